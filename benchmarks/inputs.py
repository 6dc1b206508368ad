"""The inputs of every contestant of `throughput.py`: a model's folder, a sample of sentences, its FLOPs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ner_dist.data.corpus import Split
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config
from ner_dist.model.encoder import max_length as longest_input
from ner_dist.model.tokenizer import load_tokenizer, train_tokenizer
from ner_dist.recipe import Model
from ner_dist.recipe_data import Data

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SYNTHETIC = "synthetic"
# Hidden size, layers and heads of models with random weights.
RANDOM = {"random": (768, 12, 12), "random-tiny": (64, 2, 2)}
ROBERTA_VOCABULARY = 50_265


@dataclass(frozen=True)
class Sample:
    """The sentences of one split that are used."""

    words: np.ndarray
    """int64 [N]: words of each sentence, in the order of the file that is written."""
    subwords: np.ndarray
    """int64 [N]: likewise, special tokens included."""


@dataclass(frozen=True)
class Inputs:
    """Written to one folder: `train.jsonl`, `test.jsonl`, and `model/` for a random model."""

    folder: Path
    model: Path
    tags: list[str]
    samples: dict[str, Sample]
    max_length: int
    """Longest sentence that is used, in subwords with special tokens; at most what the encoder takes."""
    left_out: int
    """Sentences of the splits that are longer: some contestants would cut them."""
    linear_weights: int
    """Weights of the encoder's and the head's matrices: each subword meets all of them once."""
    attention_width: int
    """Layers times hidden size."""

    def flops(self, split: str, *, sentences: int | None = None) -> float:
        """Floating-point operations of one forward pass over the first sentences, without any padding.

        Two a weight and subword; attention multiplies every pair of subwords of a sentence twice.
        """
        lengths = self.samples[split].subwords[:sentences].astype(np.float64)
        return float(2 * self.linear_weights * lengths.sum() + 4 * self.attention_width * (lengths**2).sum())


def prepare(
    folder: Path, *, model: str, data: str, sentences: dict[str, int], max_length: int, seed: int
) -> Inputs:
    """Draw the samples and write them, and the model if it has random weights.

    Args:
        folder: where to write.
        model: a model's folder, or one of `RANDOM`.
        data: as `data.path` of a recipe, with a training and a test split.
        sentences: how many of `train` and `test`.
        max_length: longest sentence in subwords, special tokens included.
        seed: of the sample and of random weights.

    Raises:
        UserError: the model or the data cannot be used, or there are too few sentences.
    """
    corpus = load_corpus(Data(path=data), splits=["train", "test"])
    if model in RANDOM:
        place = _write_random_model(
            folder / "model", model, corpus.splits["train"], max_length=max_length, seed=seed
        )
    else:
        # The workers run elsewhere.
        place = Path(model).resolve()
    config = load_config(Model(name=str(place)))
    limit = min(max_length, longest_input(config))
    tokenizer = load_tokenizer(str(place))
    samples, left_out = {}, 0
    for name, split in corpus.splits.items():
        encoded = tokenizer.backend_tokenizer.encode_batch(split.tokens, is_pretokenized=True)
        lengths = np.fromiter(map(len, encoded), np.int64, count=len(encoded))
        fitting = np.flatnonzero(lengths <= limit)
        left_out += len(lengths) - len(fitting)
        if len(fitting) < sentences[name]:
            raise UserError(
                f"the {name} split has {len(fitting)} sentences of at most {limit} subwords, "
                f"{sentences[name]} are wanted",
                fix="lower --steps or --test-sentences",
            )
        chosen = np.random.default_rng(seed).permutation(fitting)[: sentences[name]]
        _write_sentences(folder / f"{name}.jsonl", split, chosen, corpus.labels.tags)
        samples[name] = Sample(words=np.diff(split.offsets)[chosen], subwords=lengths[chosen])
    return Inputs(
        folder=folder,
        model=place,
        tags=list(corpus.labels.tags),
        samples=samples,
        max_length=limit,
        left_out=left_out,
        linear_weights=_linear_weights(config, labels=len(corpus.labels)),
        attention_width=config.num_hidden_layers * config.hidden_size,
    )


def _write_sentences(path: Path, split: Split, chosen: np.ndarray, tags: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for sentence in chosen.tolist():
            ids = split.tags[split.offsets[sentence] : split.offsets[sentence + 1]]
            row = {"tokens": split.tokens[sentence], "ner_tags": [tags[number] for number in ids]}
            lines.write(json.dumps(row) + "\n")


def _write_random_model(folder: Path, name: str, train: Split, *, max_length: int, seed: int) -> Path:
    """A RoBERTa as it would come from a hub, with a vocabulary learnt from the training split."""
    from transformers import RobertaConfig, RobertaModel

    hidden, layers, heads = RANDOM[name]
    positions = max(512, max_length)
    tokenizer = train_tokenizer(train.tokens, vocab_size=ROBERTA_VOCABULARY, max_length=positions)
    config = RobertaConfig(
        vocab_size=ROBERTA_VOCABULARY if name == "random" else len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=positions + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    torch.manual_seed(seed)
    RobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _linear_weights(config: PretrainedConfig, *, labels: int) -> int:
    from transformers import AutoModelForTokenClassification

    config.num_labels = labels
    with torch.device("meta"):
        tagger = AutoModelForTokenClassification.from_config(config)
    return sum(module.weight.numel() for module in tagger.modules() if isinstance(module, torch.nn.Linear))
