"""Tagging words with a trained model, exactly as an evaluation does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ner_dist.data.batch_plan import plan_evaluation
from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.encoding import encode
from ner_dist.data.prepare import ANY_TRAINING, window_sizes
from ner_dist.data.renaming import places
from ner_dist.data.words_without_subwords import join_entities
from ner_dist.errors import UserError
from ner_dist.evaluation.evaluate import word_logits
from ner_dist.evaluation.id2label import Decoder, known_labels, spell_model
from ner_dist.files import read_json
from ner_dist.labels import OUTSIDE, LabelSet
from ner_dist.model.encoder import load_config
from ner_dist.model.tagger import load_tagging_model
from ner_dist.model.tokenizer import load_tokenizer, padding_id
from ner_dist.recipe import Data, Model, Precision, Recipe
from ner_dist.recipe_file import load_recipe
from ner_dist.run.directory import Run, predicts_iob2
from ner_dist.runtime.precision import Device, resolve_precision

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from ner_dist.data.encoding import Encoded

_ANY_RECIPE = Recipe(name="tagging", output_dir=".", data=Data(path="words"), train=ANY_TRAINING)


@dataclass(frozen=True)
class Tagger:
    """A trained model that tags sentences; `load_tagger` makes it.

    Example:
        >>> import ner_dist
        >>> tagger = ner_dist.load_tagger("runs/full")
        >>> tags = tagger.tag([["Anna", "Berg", "visits", "York", "."]])
        >>> len(tags[0])
        5
        >>> tagger.labels.types[:3]
        ('PER', 'ORG', 'LOC')
    """

    labels: LabelSet
    """The types that the model knows, with the tags that `tag` gives."""
    model: torch.nn.Module
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

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
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
            >>> [len(tags) for tags in tagger.tag([["York"], [], ["Anna", "Berg"]])]
            [1, 0, 2]
        """
        words = _words_of(sentences)
        if not words:
            return []
        offsets = offsets_of(np.array([len(sentence) for sentence in words]))
        split = Split(words, tags=np.zeros(offsets[-1], dtype=np.int16), offsets=offsets)
        encoded = encode(split, self.tokenizer, max_length=self.max_length, overlap=self.overlap)
        predicted = self._predict(encoded, split.tags)
        gaps = encoded.without_subwords(len(predicted))
        self._decode(predicted, gaps, offsets)
        join_entities(predicted, gaps, offsets, self.labels)
        tags = np.array(self.labels.tags, dtype=object)[predicted]
        return [tags[start:end].tolist() for start, end in pairwise(offsets)]

    def _predict(self, encoded: Encoded, targets: np.ndarray) -> np.ndarray:
        """The model's id of every word, int16 [W]; 0 at words without subwords."""
        predicted = np.zeros(len(targets), dtype=np.int16)
        plan = plan_evaluation(encoded.lengths, encoded.sentence, batch_tokens=self.batch_tokens)
        micro_batches, pad_id = plan.rank_micro_batches(0, 1), padding_id(self.tokenizer)
        for batch, logits in word_logits(
            self.model, encoded, targets, micro_batches, pad_id=pad_id, device=self.device
        ):
            predicted[batch.words] = logits.argmax(-1).cpu().numpy()
        return predicted

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
            where="tag",
            fix='write tag([["Anna", "visits", "York"]])',
        )
    return [list(sentence) for sentence in sentences]


def load_tagger(
    path: str | Path, precision: Precision = "auto", device: str | torch.device | None = None
) -> Tagger:
    """Load a trained model to tag with.

    On the words of a run's own test split it gives the tags of RUN/predictions/test.jsonl.

    Args:
        path: a run's directory, a folder with a model, or a hub name.
        precision: `fp32`, `bf16` or `fp16`; `auto` is that in which a run was scored if the device has it,
            else what suits the device.
        device: such as `cpu` or `cuda:1`; None is a GPU if there is one, else the CPU.

    Raises:
        UserError: the model cannot be loaded, or the device cannot compute in this precision.

    Example:
        >>> import ner_dist
        >>> tagger = ner_dist.load_tagger("runs/full", device="cpu")
        >>> tagger.precision, tagger.device.type
        ('fp32', 'cpu')
        >>> tags = tagger.tag([["Anna", "Berg"], ["York"]])
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
    return Tagger(
        labels=labels,
        model=model.eval(),
        tokenizer=tokenizer,
        precision=settled,
        device=where,
        max_length=longest,
        overlap=overlap,
        batch_tokens=recipe.evaluation.batch_tokens,
        decoder=Decoder(
            spelt=spelt,
            to=places(spelt.names, {}, labels.types),
            labels=labels,
            iob2=predicts_iob2(run),
        ),
    )


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
