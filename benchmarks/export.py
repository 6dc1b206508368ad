"""F1, words/s and size of a run's model in torch (fp32, bf16) and in ONNX (fp32, int8).

    python benchmarks/export.py RUN [--rounds 5] [--sentences 2000]

The run's model is exported twice. Words/s are those of `Tagger.tags` on the first sentences of the run's
test split, as `ner-dist predict` calls it, in processes of their own that take turns: with one thread and
with all. F1 is strict, on the same sentences. Ratios are medians of the rounds, each beside torch in fp32 of
its round. Also printed: the largest difference of logits, ONNX in fp32 from torch, on 1,000 sentences of the
split.
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
    parser.add_argument("--child", nargs=2, metavar=("MODEL", "PRECISION"), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.child:
        print(json.dumps(measured(*settings.child, rows_of(settings.run, settings.sentences))))
        return
    with tempfile.TemporaryDirectory() as folder:
        models = exported(settings.run, Path(folder))
        largest = difference(settings.run, models["ONNX fp32"])
        print(f"largest difference of logits: {largest:.1e}\n", flush=True)
        f1: dict[str, float] = {}
        speeds: dict[tuple[str, int], list[float]] = {}
        for _ in range(settings.rounds):
            for threads in (1, 0):
                for name in FORMS:
                    speed, f1[name] = child(settings, models[name], name, threads)
                    speeds.setdefault((name, threads), []).append(speed)
        print(f"| | F1 | {' | '.join(['words/s, one thread', '×', 'words/s, all threads', '×'])} | MB |")
        print("|---|---|---|---|---|---|---|")
        for name in FORMS:
            cells = []
            for threads in (1, 0):
                own, torch = speeds[name, threads], speeds["torch fp32", threads]
                ratio = statistics.median(mine / other for mine, other in zip(own, torch, strict=True))
                cells += [f"{statistics.median(own):,.0f}", f"{ratio:.2f}"]
            print(f"| {name} | {f1[name]:.4f} | {' | '.join(cells)} | {weights_size(models[name]):.1f} |")


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


def child(settings: argparse.Namespace, model: Path, name: str, threads: int) -> tuple[float, float]:
    """Words/s and F1, in a process of its own; no threads means all."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    environment.pop("OMP_NUM_THREADS", None)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    words = [str(settings.run), f"--sentences={settings.sentences}", "--child", str(model), FORMS[name]]
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    speed, f1 = json.loads(done.stdout)
    return speed, f1


def rows_of(run: Path, number: int) -> list[dict]:
    """The first sentences of the run's test split, with gold tags."""
    lines = (run / "predictions" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:number]
    return [json.loads(line) for line in lines]


def measured(model: str, precision: str, rows: list[dict]) -> tuple[float, float]:
    """Words/s of a loaded tagger, after a part of the sentences as warm-up, and strict F1."""
    from ner_dist.runtime.threads import wait_considerately

    wait_considerately()
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    import ner_dist
    from ner_dist.model.exported import is_exported

    tagger = ner_dist.load_tagger(model, precision, "cpu")
    if not is_exported(model):
        from ner_dist.runtime.cpu_kernels import speed_up

        speed_up(fp32=precision == "fp32")
    sentences = [row["tokens"] for row in rows]
    tagger.tags(sentences[: len(sentences) // 8])
    began = time.perf_counter()
    tags = tagger.tags(sentences)
    speed = sum(map(len, sentences)) / (time.perf_counter() - began)
    return speed, float(f1_score([row["gold"] for row in rows], tags, mode="strict", scheme=IOB2))


if __name__ == "__main__":
    main()
