"""F1, words/s and size of a run's model in torch (fp32, bf16) and in ONNX (fp32, int8).

    python benchmarks/export.py RUN [--rounds 5] [--sentences 2000]

The run's model is exported twice. Words/s are those of `Tagger.tags` on the first sentences of the run's
test split, as `ner-dist predict` calls it. The four models take turns in one process, which has one thread,
then in one that has all. F1 is strict, on the same sentences. Ratios are medians of the rounds, each beside
torch in fp32 of its round. Also printed: the largest difference of logits, ONNX in fp32 from torch, on 1,000
sentences of the split.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMS = {"torch fp32": "fp32", "torch bf16": "bf16", "ONNX fp32": "auto", "ONNX int8": "auto"}
"""Rows, with the precision in which each is loaded."""


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--child", type=json.loads, metavar="MODELS", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.child:
        print(json.dumps(measured(settings, settings.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        models = exported(settings.run, Path(folder))
        largest = difference(settings.run, models["ONNX fp32"])
        print(f"largest difference of logits: {largest:.1e}\n", flush=True)
        both = [child(settings, models, threads) for threads in (1, None)]
        print(f"| | F1 | {' | '.join(['words/s, one thread', '×', 'words/s, all threads', '×'])} | MB |")
        print("|---|---|---|---|---|---|---|")
        for name in FORMS:
            cells = []
            for of_threads in both:
                speeds, torch = of_threads[name]["speeds"], of_threads["torch fp32"]["speeds"]
                ratio = statistics.median(mine / other for mine, other in zip(speeds, torch, strict=True))
                cells += [f"{statistics.median(speeds):,.0f}", f"{ratio:.2f}"]
            f1 = both[0][name]["f1"]
            print(f"| {name} | {f1:.4f} | {' | '.join(cells)} | {weights_size(models[name]):.1f} |")


def exported(run: Path, folder: Path) -> dict[str, Path]:
    """The folder of each row's model."""
    from ner_dist.export.command import export

    export(str(run), folder / "fp32")
    export(str(run), folder / "int8", quantise="int8", allow_loss=1.0)
    return dict(zip(FORMS, (run, run, folder / "fp32", folder / "int8"), strict=True))


def difference(run: Path, exported: Path) -> float:
    """Largest absolute difference of two logits of a word, on up to 1,000 sentences of the test split."""
    import ner_dist
    from ner_dist.export.check import check_tokenizer, largest_difference
    from ner_dist.model.exported import ExportedModel

    own, other = ner_dist.load_tagger(run, "fp32", "cpu"), ner_dist.load_tagger(exported)
    sentences = [row["tokens"] for row in rows_of(run, 1000)]
    encoded = check_tokenizer(ExportedModel.open(exported).tokenizer(), own, sentences)
    return largest_difference(own, other.scorer, encoded)


def weights_size(model: Path) -> float:
    """Megabytes of the files with weights."""
    files = [*model.glob("model/*.safetensors"), *model.glob("onnx/*")]
    return sum(file.stat().st_size for file in files) / 1e6


def child(settings: argparse.Namespace, models: dict[str, Path], threads: int | None) -> dict:
    """What `measured` gives in a process with some threads; None is all."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    environment.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    words = [f"--rounds={settings.rounds}", f"--sentences={settings.sentences}", "--child"]
    words.append(json.dumps({name: str(path) for name, path in models.items()}))
    done = subprocess.run(
        [sys.executable, __file__, str(settings.run), *words],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict = json.loads(done.stdout)
    return result


def rows_of(run: Path, number: int) -> list[dict]:
    """The first sentences of the run's test split, with gold tags."""
    lines = (run / "predictions" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:number]
    return [json.loads(line) for line in lines]


def measured(settings: argparse.Namespace, models: dict[str, str]) -> dict:
    """Words/s of every model in every round, after a part of the sentences as warm-up, and strict F1."""
    from ner_dist.runtime.threads import wait_considerately

    wait_considerately()
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    import ner_dist
    from ner_dist.runtime.cpu_kernels import speed_up

    taggers = {name: ner_dist.load_tagger(models[name], FORMS[name], "cpu") for name in FORMS}
    speed_up(fp32=True)
    rows = rows_of(settings.run, settings.sentences)
    sentences, gold = [row["tokens"] for row in rows], [row["gold"] for row in rows]
    result: dict = {name: {"speeds": []} for name in FORMS}
    for tagger in taggers.values():
        tagger.tags(sentences[: len(sentences) // 8])
    for _ in range(settings.rounds):
        for name, tagger in taggers.items():
            began = time.perf_counter()
            tags = tagger.tags(sentences)
            result[name]["speeds"].append(sum(map(len, sentences)) / (time.perf_counter() - began))
            result[name]["f1"] = float(f1_score(gold, tags, mode="strict", scheme=IOB2))
    return result


if __name__ == "__main__":
    main()
