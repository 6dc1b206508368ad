"""Scoring predicted tags: seconds of our counting and of seqeval, in both modes, and whether they agree.

    python benchmarks/scoring.py PREDICTIONS.jsonl[.gz] [--repeat 5]

Each line of the file holds `gold` and `predicted` (or `pred`) tags of one sentence. What is timed is what an
evaluation does with its result: from label ids to the table of precision, recall and F1 per type. seqeval is
given the same tags as lists of strings, ready made.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import statistics
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from ner_dist.evaluation import metrics
from ner_dist.labels import LabelSet


def main() -> None:
    """Print one line of a Markdown table for each mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    settings = parser.parse_args()
    gold, predicted = read(settings.predictions)
    types = sorted({tag[2:] for tags in gold + predicted for tag in tags if tag != "O"})
    labels = LabelSet.from_types(types)
    ids = [
        np.fromiter((labels.label2id[tag] for tag in itertools.chain(*side)), dtype=np.int16)
        for side in (gold, predicted)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(tags) for tags in gold])])
    print(f"{len(gold):,} sentences, {len(ids[0]):,} words, {len(types)} types\n")
    print("| scheme | ner_dist | seqeval | ratio | micro F1 | figures |\n|---|---|---|---|---|---|")
    for scheme, strict, options in (
        (metrics.STRICT, True, {"mode": "strict", "scheme": IOB2}),
        (metrics.LENIENT, False, {}),
    ):
        ours, theirs = [], []
        for _ in range(settings.repeat):
            began = time.perf_counter()
            scored = metrics.scores(metrics.count(*ids, offsets, labels, strict=strict), types)
            between = time.perf_counter()
            report = classification_report(gold, predicted, output_dict=True, zero_division=0, **options)
            ours.append(between - began)
            theirs.append(time.perf_counter() - between)
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(
            f"| {scheme} | {mine:.3f} s | {other:.2f} s | {other / mine:.0f} | {scored.f1:.6f} "
            f"| {'identical' if same(asdict(scored), report) else 'DIFFERENT'} |"
        )


def read(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predicted tags of every sentence."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["gold"] for row in rows], [row.get("predicted", row.get("pred")) for row in rows]


def same(scored: dict, report: dict) -> bool:
    """Whether every figure is the same number, to the last bit."""
    pairs = [(scored, report["micro avg"]), (scored["macro"], report["macro avg"])]
    pairs += [(figures, report[name]) for name, figures in scored["per_type"].items()]
    names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    return all(mine[key] == theirs[names[key]] for mine, theirs in pairs for key in names)


if __name__ == "__main__":
    main()
