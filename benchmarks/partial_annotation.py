"""Two sources that annotate different types: what three losses make of words that a source calls O.

A tagger on windows of hashed words, without an encoder, learns from two halves of the embedded corpus. Each
half annotates two types of four. `marginal` is ner_dist's loss (`model/partial_loss.py`), `own labels` a
softmax over the source's labels alone, `negatives` takes every O as none of the four.

    python benchmarks/partial_annotation.py
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ner_dist.data.synthetic import generate
from ner_dist.evaluation import metrics
from ner_dist.labels import LabelSet
from ner_dist.model.partial_loss import summed_cross_entropy
from ner_dist.recipe_data import Synthetic

LABELS = LabelSet.from_types(["PER", "ORG", "LOC", "ANIM"])
ANNOTATED = torch.tensor([[True] * 5 + [False] * 4, [True] + [False] * 4 + [True] * 4])
BUCKETS, SENTENCES, SEEDS = 6000, 1600, 3
LOSSES = ("marginal", "own labels", "negatives")


def features(sentences) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Hashed words around each word, int64 [W, 8]; label ids [W]; offsets [N+1]."""
    rows, ids, offsets = [], [], [0]
    for words, tags in sentences:
        padded = ["<s>", "<s>", *words, "</s>", "</s>"]
        for i, tag in enumerate(tags):
            word = padded[i + 2]
            named = [f"{place}{padded[i + place]}" for place in range(5)]
            named += [f"s{word[-3:]}", f"p{word[:3]}", f"c{word[:1].isupper()}"]
            rows.append([zlib.crc32(name.encode()) % BUCKETS for name in named])
            ids.append(LABELS.label2id.get(tag, 0))
        offsets.append(len(rows))
    return torch.tensor(rows), np.array(ids, dtype=np.int16), np.array(offsets)


def loss_of(kind: str, logits: torch.Tensor, targets: torch.Tensor, annotated: torch.Tensor) -> torch.Tensor:
    if kind == "marginal":
        return summed_cross_entropy(logits, targets, annotated, outside=0, ignore_index=-100)
    if kind == "own labels":
        logits = logits.masked_fill(~annotated, -1e4)
    return cross_entropy(logits, targets, reduction="sum")


def f1(kind: str, seed: int, train, test) -> float:
    """F1 of one training."""
    words, targets, annotated = train
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Embedding(BUCKETS, 24),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(8 * 24, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, len(LABELS)),
    )
    optimizer = torch.optim.Adam(model.parameters(), 6e-3)
    for _ in range(8):
        for batch in torch.randperm(len(words)).split(1024):
            loss = loss_of(kind, model(words[batch]), targets[batch], annotated[batch]) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    predicted = model(test[0]).argmax(-1).numpy().astype(np.int16)
    counts = metrics.count(test[1], predicted, test[2], LABELS, strict=True)
    return metrics.scores(counts, LABELS.types).f1


def main() -> None:
    corpus = generate(Synthetic(train=SENTENCES, validation=10, test=400))
    words, ids, offsets = features(corpus["train"])
    source = (np.arange(len(ids)) >= offsets[SENTENCES // 2]).astype(int)
    annotated = ANNOTATED[torch.from_numpy(source)]
    targets = torch.from_numpy(ids.astype(np.int64))
    targets = targets.where(annotated.gather(-1, targets[:, None])[:, 0], 0)
    test = features(corpus["test"])
    for kind in LOSSES:
        scores = [f1(kind, seed, (words, targets, annotated), test) for seed in range(SEEDS)]
        print(f"{kind:12} F1 {np.mean(scores):.3f}, sd {np.std(scores, ddof=1):.3f}", flush=True)


if __name__ == "__main__":
    main()
