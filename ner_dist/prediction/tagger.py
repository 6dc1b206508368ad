"""Tag words and texts with a trained model, exactly as an evaluation does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.batch_plan import plan_evaluation
from ner_dist.data.corpus import Split
from ner_dist.data.encoding import encode
from ner_dist.data.renaming import places
from ner_dist.data.words import TextRule
from ner_dist.data.words_without_subwords import join_entities
from ner_dist.errors import UserError
from ner_dist.evaluation.id2label import Decoder, known_labels, spell_model
from ner_dist.evaluation.legal import LegalTags
from ner_dist.evaluation.operating_point import ByType, OperatingPoint, operating_point
from ner_dist.evaluation.point_options import PointOptions
from ner_dist.labels import OUTSIDE, LabelSet
from ner_dist.model.exported import is_exported
from ner_dist.model.own_settings import decoding_of, own_settings, temperature_of, trained_here
from ner_dist.prediction.entities import Entity, TaggedItem, TaggedWords, entities_of
from ner_dist.prediction.items import Item
from ner_dist.prediction.loading import Loaded, load_exported, load_trained

if TYPE_CHECKING:
    import torch

    from ner_dist.data.encoding import Encoded
    from ner_dist.prediction.scorers import Place
    from ner_dist.recipe import Decode, Precision


@dataclass(frozen=True)
class Tagger(Loaded):
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
    decoder: Decoder
    """Maps the model's ids to `labels`."""
    decode: Decode
    """How tags are chosen; see `evaluation.decode` of a recipe. `greedy` if `decoder` has work to do."""
    point: OperatingPoint
    """Thresholds, biases and the temperature of probabilities."""
    text_rule: TextRule
    """How texts are cut into sentences of words."""

    @property
    def device(self) -> Place:
        """Where the model computes."""
        return self.scorer.device

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
        split = Split.of_words(sentences)
        offsets = split.offsets
        if not len(split.tags):
            return TaggedWords(split.tags, np.empty(0), offsets, self.labels)
        encoded = encode(split, self.tokenizer, max_length=self.max_length, overlap=self.overlap)
        predicted, probability = self._choose(self._logits(encoded), encoded, offsets)
        gaps = encoded.without_subwords(len(predicted))
        self._decode(predicted, gaps, offsets)
        missing = np.zeros(len(predicted), dtype=bool)
        missing[gaps] = True
        self.point.drop(predicted, probability, missing, offsets, self.labels)
        join_entities(predicted, gaps, offsets, self.labels)
        return TaggedWords(predicted, probability, offsets, self.labels)

    def _logits(self, encoded: Encoded) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Run forward passes; yield the words of each, int [n], and their logits, float32 [n, labels]."""
        plan = plan_evaluation(encoded.lengths, encoded.sentence, batch_tokens=self.batch_tokens)
        yield from self.scorer.word_logits(encoded, plan.rank_micro_batches(0, 1))

    def _choose(
        self, passes: Iterable[tuple[np.ndarray, np.ndarray]], encoded: Encoded, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The model's id of every word, int16 [W], and its probability, float64 [W].

        At words without subwords they are 0 and 1.0.
        """
        predicted, probability = np.zeros(offsets[-1], dtype=np.int16), np.ones(offsets[-1])
        legal = None
        if self.decode == "viterbi":
            legal = LegalTags(encoded, offsets, self.labels, bias=self.point.bias)
        for words, logits in passes:
            predicted[words] = tags = self.point.best(logits)
            if legal is not None:
                legal.keep(words, tags, logits)
            probability[words] = self.point.probabilities(logits, tags)
        if legal is not None:
            redone, logits = legal.decode(predicted)
            probability[redone] = self.point.probabilities(logits, predicted[redone])
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
    *,
    threshold: ByType = 0.0,
    bias: ByType = 0.0,
    target_precision: float | None = None,
    target_recall: float | None = None,
) -> Tagger:
    """Load a trained model to tag with.

    On the words of a run's own test split it gives the tags of RUN/predictions/test.jsonl.

    Args:
        path: a run's directory, a folder with a model, a hub name, or a folder of `ner-dist export`, which
            needs neither torch nor transformers.
        precision: `fp32`, `bf16` or `fp16`; `auto` is that in which a run was scored if the device has it,
            else what suits the device.
        device: such as `cpu` or `cuda:1`; None is a GPU if there is one, else the CPU.
        decode: `greedy` or `viterbi`, as `evaluation.decode` of a recipe; None is how the model was scored,
            or `greedy`.
        threshold: entities whose calibrated probability is below become `O`: a number, or one for each type
            that a mapping names.
        bias: added to the logits of a type's tags before tags are chosen, likewise; it raises recall.
        target_precision: take the smallest threshold that reaches this precision on the validation split.
        target_recall: take the smallest bias that reaches this recall there.

    Raises:
        UserError: the model cannot be loaded, the device cannot compute in this precision, a type is
            unknown, or a target is not reached.

    Example:
        >>> import ner_dist
        >>> tagger = ner_dist.load_tagger("runs/full", device="cpu")
        >>> tagger.precision, tagger.device.type
        ('fp32', 'cpu')
        >>> tags = tagger.tags([["Anna", "Berg"], ["York"]])
        >>> len(tags)
        2
    """
    load = load_exported if is_exported(path) else load_trained
    loaded = load(path, precision, device)
    spelt = spell_model(loaded.id2tag, folder=loaded.folder, given=None)
    labels = known_labels(spelt, {})
    decoder = Decoder(
        spelt=spelt,
        to=places(spelt.names, {}, labels.types),
        labels=labels,
        iob2=loaded.iob2 or trained_here(loaded.config),
    )
    chosen: Decode = (decode or decoding_of(loaded.config)) if decoder.is_identity else "greedy"
    options = PointOptions.of(threshold, bias, target_precision, target_recall)
    least, added = options.resolve(loaded.folder, chosen)
    return Tagger(
        **vars(loaded),
        labels=labels,
        decoder=decoder,
        decode=chosen,
        point=operating_point(
            temperature=temperature_of(loaded.config),
            threshold=least,
            bias=added,
            spelt=spelt,
            to=decoder.to,
            known=labels.types,
            scored=labels.types,
        ),
        text_rule=text_rule(loaded.config),
    )


def text_rule(config: Any) -> TextRule:
    """The rule by which texts are cut for a model: that of its training, or Unicode's words and sentences.

    A model that was trained on lists of words has no rule of its own.
    """
    written = own_settings(config).get("text")
    return TextRule(sentences="unicode") if written is None else TextRule.from_dict(written)
