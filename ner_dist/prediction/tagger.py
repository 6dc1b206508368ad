"""Tag words and texts with a trained model, exactly as an evaluation does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ner_dist.data.batch_plan import plan_evaluation
from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.encoding import encode
from ner_dist.data.prepare import ANY_TRAINING, window_sizes
from ner_dist.data.renaming import places
from ner_dist.data.words import TextRule
from ner_dist.data.words_without_subwords import join_entities
from ner_dist.errors import UserError
from ner_dist.evaluation.forward import word_logits
from ner_dist.evaluation.id2label import Decoder, known_labels, spell_model
from ner_dist.evaluation.legal import LegalTags
from ner_dist.files import read_json
from ner_dist.labels import OUTSIDE, LabelSet
from ner_dist.model.encoder import load_config
from ner_dist.model.tagger import decoding_of, load_tagging_model, own_settings
from ner_dist.model.tokenizer import load_tokenizer, padding_id
from ner_dist.prediction.entities import Entity, TaggedItem, TaggedWords, entities_of
from ner_dist.prediction.items import Item
from ner_dist.recipe import Data, Decode, Model, Precision, Recipe
from ner_dist.recipe_file import load_recipe
from ner_dist.run.directory import Run, predicts_iob2
from ner_dist.runtime.precision import Device, resolve_precision

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerFast

    from ner_dist.data.encoding import Encoded

_ANY_RECIPE = Recipe(name="tagging", output_dir=".", data=Data(path="words"), train=ANY_TRAINING)


@dataclass(frozen=True)
class Tagger:
    """A trained model that tags sentences; `load_tagger` makes it.

    Example:
        >>> import ner_dist
        >>> tagger = ner_dist.load_tagger("runs/full")
        >>> tags = tagger.tags([["Anna", "Berg", "visits", "York", "."]])
        >>> len(tags[0])
        5
        >>> tagger.labels.types[:3]
        ('PER', 'ORG', 'LOC')
    """

    labels: LabelSet
    """The types that the model knows, with the tags that `tags` gives."""
    model: torch.nn.Module
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerFast
    precision: str
    """Number format of the computation: `fp32`, `bf16` or `fp16`."""
    device: torch.device
    max_length: int
    """Longest window in subwords, special tokens included."""
    overlap: int
    """Subwords that neighbouring windows of one long sentence share."""
    batch_tokens: int
    """Padded subwords a forward pass holds."""
    decoder: Decoder
    """Maps the model's ids to `labels`."""
    decode: Decode
    """How tags are chosen; see `evaluation.decode` of a recipe. `greedy` if `decoder` has work to do."""
    text_rule: TextRule
    """How texts are cut into sentences of words."""

    def tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Tag sentences that are split into words already.

        Sentences that are longer than the model can take are read in overlapping windows. A word of which the
        tokenizer makes no subword belongs to the entity around it, else it is `O`. A model that predicts in
        another scheme than IOB2 has it recognised over all sentences of the call, so pass many at once.

        Args:
            sentences: the words of each.

        Returns:
            The IOB2 tag of every word.

        Raises:
            UserError: a sentence is text, not a list of words.

        Example:
            >>> import ner_dist
            >>> tagger = ner_dist.load_tagger("runs/full")
            >>> [len(tags) for tags in tagger.tags([["York"], [], ["Anna", "Berg"]])]
            [1, 0, 2]
        """
        tagged = self.predict(_words_of(sentences))
        tags = np.array(self.labels.tags, dtype=object)[tagged.tags]
        return [tags[start:end].tolist() for start, end in pairwise(tagged.offsets)]

    def spans(self, texts: Sequence[str]) -> list[list[Entity]]:
        """Find the entities in texts of any length.

        Args:
            texts: they are cut into sentences and words by the rule the model was trained with.

        Returns:
            The entities of every text, in its order; `text[entity.start:entity.end]` is the entity's text.

        Raises:
            UserError: `texts` is one text, not a list of texts.

        Example:
            >>> import ner_dist
            >>> tagger = ner_dist.load_tagger("runs/full")
            >>> text = "Anna Berg visits York."
            >>> all(text[each.start : each.end] == each.text for each in tagger.spans([text])[0])
            True
        """
        if isinstance(texts, str):
            raise UserError(
                "one text is given, not a list of texts", where="spans", fix="write spans([text])"
            )
        return [tagged.entities for tagged in self.tag_items([Item(text=text) for text in texts])]

    def tag_items(self, items: Sequence[Item]) -> list[TaggedItem]:
        """Tag texts and lists of words, with their words, tags and entities."""
        sentences: list[list[str]] = []
        places: list[list[tuple[int, int]] | None] = []
        ends = [0]
        for item in items:
            if item.text is None:
                sentences.append(item.words or [])
                places.append(None)
            else:
                chars = self.text_rule.word_ranges(item.text)
                words = [item.text[start:end] for start, end in chars]
                firsts = self.text_rule.first_words(item.text, chars)
                sentences += [words[first:end] for first, end in pairwise([*firsts, len(words)])]
                places.append(chars)
            ends.append(len(sentences))
        tagged = self.predict(sentences)
        spans, names = tagged.entities(), np.array(self.labels.tags, dtype=object)
        result = []
        for item, of_item, first, last in zip(items, places, ends, ends[1:], strict=False):
            begin, end = int(tagged.offsets[first]), int(tagged.offsets[last])
            part = TaggedItem(
                item,
                words=list(chain.from_iterable(sentences[first:last])),
                chars=of_item,
                sentences=(tagged.offsets[first : last + 1] - begin).tolist(),
                tags=names[tagged.tags[begin:end]].tolist(),
            )
            part.entities.extend(entities_of(part, spans.within(begin, end), self.labels.types))
            result.append(part)
        return result

    def predict(self, sentences: list[list[str]]) -> TaggedWords:
        """Tag sentences of words; their label ids and probabilities as arrays over all words."""
        offsets = offsets_of(np.array([len(sentence) for sentence in sentences], dtype=np.int64))
        split = Split(sentences, tags=np.zeros(offsets[-1], dtype=np.int16), offsets=offsets)
        if not len(split.tags):
            return TaggedWords(split.tags, np.empty(0), offsets, self.labels)
        encoded = encode(split, self.tokenizer, max_length=self.max_length, overlap=self.overlap)
        predicted, probability = self._predict(encoded, split)
        gaps = encoded.without_subwords(len(predicted))
        self._decode(predicted, gaps, offsets)
        join_entities(predicted, gaps, offsets, self.labels)
        return TaggedWords(predicted, probability, offsets, self.labels)

    def _predict(self, encoded: Encoded, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """The model's id of every word, int16 [W], and its probability, float64 [W].

        At words without subwords they are 0 and 1.0.
        """
        predicted, probability = np.zeros(len(split.tags), dtype=np.int16), np.ones(len(split.tags))
        legal = LegalTags(encoded, split.offsets, self.labels) if self.decode == "viterbi" else None
        plan = plan_evaluation(encoded.lengths, encoded.sentence, batch_tokens=self.batch_tokens)
        micro_batches, pad_id = plan.rank_micro_batches(0, 1), padding_id(self.tokenizer)
        for batch, logits in word_logits(
            self.model, encoded, split.tags, micro_batches, pad_id=pad_id, device=self.device
        ):
            predicted[batch.words] = tags = logits.argmax(-1).cpu().numpy()
            if legal is not None:
                legal.keep(batch.words, tags, logits.cpu().numpy())
            probability[batch.words] = logits.softmax(-1).amax(-1).cpu().numpy()
        if legal is not None:
            redone, of_redone = legal.decode(predicted)
            probability[redone] = of_redone
        return predicted, probability

    def _decode(self, predicted: np.ndarray, gaps: np.ndarray, offsets: np.ndarray) -> None:
        """Turn the model's ids into those of `labels`, in place, as if the words at `gaps` were not there."""
        if self.decoder.is_identity:
            return
        self.decoder.decode_words(predicted, np.delete(np.arange(len(predicted)), gaps), offsets)
        predicted[gaps] = self.labels.label2id[OUTSIDE]


def _words_of(sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    """The sentences as lists; text in the place of words would be read letter by letter."""
    if isinstance(sentences, str) or any(isinstance(sentence, str) for sentence in sentences):
        raise UserError(
            "a sentence is given as text, not as a list of words",
            where="tags",
            fix='write tags([["Anna", "visits", "York"]])',
        )
    return [list(sentence) for sentence in sentences]


def load_tagger(
    path: str | Path,
    precision: Precision = "auto",
    device: str | torch.device | None = None,
    decode: Decode | None = None,
) -> Tagger:
    """Load a trained model to tag with.

    On the words of a run's own test split it gives the tags of RUN/predictions/test.jsonl.

    Args:
        path: a run's directory, a folder with a model, or a hub name.
        precision: `fp32`, `bf16` or `fp16`; `auto` is that in which a run was scored if the device has it,
            else what suits the device.
        device: such as `cpu` or `cuda:1`; None is a GPU if there is one, else the CPU.
        decode: `greedy` or `viterbi`, as `evaluation.decode` of a recipe; None is how the model was scored,
            or `greedy`.

    Raises:
        UserError: the model cannot be loaded, or the device cannot compute in this precision.

    Example:
        >>> import ner_dist
        >>> tagger = ner_dist.load_tagger("runs/full", device="cpu")
        >>> tagger.precision, tagger.device.type
        ('fp32', 'cpu')
        >>> tags = tagger.tags([["Anna", "Berg"], ["York"]])
        >>> len(tags)
        2
    """
    run = Run(Path(path))
    folder = str(run.model) if run.model.is_dir() else str(path)
    recipe = load_recipe(run.recipe) if run.recipe.exists() else _ANY_RECIPE
    recipe = recipe.model_copy(update={"model": Model(name=folder)})
    where = torch.device(device) if device is not None else _own_device()
    config = load_config(recipe.model)
    settled = _precision(precision, where, run, model_type=config.model_type)
    tokenizer = load_tokenizer(folder)
    model, written = load_tagging_model(folder, precision=settled, device=where)
    spelt = spell_model(written, folder=folder, given=None)
    labels = known_labels(spelt, {})
    longest, overlap = window_sizes(recipe, config, tokenizer)
    decoder = Decoder(
        spelt=spelt,
        to=places(spelt.names, {}, labels.types),
        labels=labels,
        iob2=predicts_iob2(run) or bool(own_settings(config)),  # only IOB2 is trained
    )
    return Tagger(
        labels=labels,
        model=model.eval(),
        config=config,
        tokenizer=tokenizer,
        precision=settled,
        device=where,
        max_length=longest,
        overlap=overlap,
        batch_tokens=recipe.evaluation.batch_tokens,
        decoder=decoder,
        decode=(decode or decoding_of(config)) if decoder.is_identity else "greedy",
        text_rule=text_rule(config),
    )


def text_rule(config: PretrainedConfig) -> TextRule:
    """The rule by which texts are cut for a model: that of its training, or Unicode's words and sentences.

    A model that was trained on lists of words has no rule of its own.
    """
    written = own_settings(config).get("text")
    return TextRule(sentences="unicode") if written is None else TextRule.from_dict(written)


def _own_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _precision(asked: Precision, device: torch.device, run: Run, *, model_type: str) -> str:
    """`fp32`, `bf16` or `fp16`."""
    here = Device.here()
    if here.is_gpu != (device.type == "cuda"):
        here = Device(device.type, is_gpu=False, native_bf16=False)
    if asked == "auto":
        environment: Any = read_json(run.results).get("environment")
        scored: str = (environment or {}).get("precision", "")
        if scored == "fp32" or (scored == "bf16" and here.native_bf16) or (scored == "fp16" and here.is_gpu):
            return scored
    return resolve_precision(asked, None, here, model_type=model_type)[0]
