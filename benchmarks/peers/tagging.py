"""Data, model and scores of the workers on stock transformers, as in its `run_ner` examples."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
)
from worker import SPACED, read

IGNORED = -100


class Tagging:
    """One model and its data, ready for training."""

    def __init__(self, settings: SimpleNamespace) -> None:
        """
        Args:
            settings: as `throughput.py` gives them to every worker.
        """
        self.tags: list[str] = settings.tags
        config = AutoConfig.from_pretrained(
            settings.model,
            num_labels=len(self.tags),
            id2label=dict(enumerate(self.tags)),
            label2id={tag: number for number, tag in enumerate(self.tags)},
        )
        spaced = {"add_prefix_space": True} if config.model_type in SPACED else {}
        self.tokenizer = AutoTokenizer.from_pretrained(settings.model, **spaced)
        self.max_length: int = settings.max_length
        torch.manual_seed(settings.seed)
        # The examples take the precision of the file; every contestant here keeps its weights in fp32.
        self.model = AutoModelForTokenClassification.from_pretrained(
            settings.model, config=config, dtype=torch.float32
        )
        self.train = self._tokenised(read(f"{settings.data}/train.jsonl")[: settings.train_sentences])
        self.collator = DataCollatorForTokenClassification(
            self.tokenizer, pad_to_multiple_of=8 if settings.precision == "fp16" else None
        )

    def test(self, settings: SimpleNamespace) -> Dataset:
        return self._tokenised(read(f"{settings.data}/test.jsonl"))

    def _tokenised(self, rows: list[dict[str, Any]]) -> Dataset:
        return Dataset.from_list(rows).map(self._encode, batched=True, remove_columns=["tokens", "ner_tags"])

    def _encode(self, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """Subwords, and the word's label at its first one."""
        encoded = self.tokenizer(
            rows["tokens"], truncation=True, max_length=self.max_length, is_split_into_words=True
        )
        label_id = self.model.config.label2id
        encoded["labels"] = [
            _at_first_subwords([label_id[tag] for tag in tags], encoded.word_ids(row))
            for row, tags in enumerate(rows["ner_tags"])
        ]
        return encoded

    def scores(self, outcome: tuple[Any, Any]) -> dict[str, float]:
        """What `run_ner.py` computes, lenient seqeval, without the hub's copy of it."""
        from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

        logits, labels = outcome
        predicted = logits.argmax(-1)
        pairs = [
            [
                (self.tags[label], self.tags[guess])
                for label, guess in zip(*row, strict=True)
                if label != IGNORED
            ]
            for row in zip(labels, predicted, strict=True)
        ]
        gold, guesses = ([[pair[side] for pair in row] for row in pairs] for side in (0, 1))
        figures = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
        return {name: figure(gold, guesses) for name, figure in figures.items()} | {
            "accuracy": accuracy_score(gold, guesses)
        }


def _at_first_subwords(labels: list[int], words: list[int | None]) -> list[int]:
    """A word's label where its first subword stands, elsewhere what the loss leaves out."""
    placed, before = [], None
    for word in words:
        placed.append(IGNORED if word is None or word == before else labels[word])
        before = word
    return placed
