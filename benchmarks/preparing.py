"""Time and memory of preparing data, by size: from a CoNLL file to the first step of a training.

    python benchmarks/preparing.py --model FOLDER [--sentences 100000,1000000,5000000] [--out FOLDER]

Sentences have 20 words: two of the embedded corpus, and words that make each sentence another. They are
written once, and read from a warm page cache. Measured of each size, in processes of their own:

    prepare   `ner-dist prepare`: seconds, those of all processors, sentences a second of one processor, peak
              of resident memory
    check     the checksums of all that was written: processor's seconds a gigabyte
    plan      the seconds that a training takes to its plan, from the log, and to its first step
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).parents[1]
WORDS = 20
HELD_OUT = 1_000
COLUMNS = ["sentences", "prepare, s", "CPU, s", "sentences/s a core", "peak, GB", "cache, GB", "check, s/GB"]
COLUMNS += ["plan, s", "step 1, s"]


def main() -> None:
    """Measure every size, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of an encoder, for its tokenizer")
    parser.add_argument("--sentences", default="100000,1000000,5000000")
    parser.add_argument("--format", default="conll", choices=("conll", "jsonl"))
    parser.add_argument("--out", type=Path, default=Path("runs/preparing"), help="folder for data and cache")
    parser.add_argument("--keep", action="store_true", help="keep data and cache")
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|", flush=True)
    for number in map(int, arguments.sentences.split(",")):
        row = measure(number, arguments)
        print("| " + " | ".join(row) + " |", flush=True)


def measure(number: int, arguments: argparse.Namespace) -> list[str]:
    """The row of one size."""
    folder = arguments.out / f"{arguments.format}-{number}"
    write(folder / "data", number, arguments.format)
    recipe = ["recipes/own_data.yaml", f"data.path={(folder / 'data').absolute()}"]
    recipe += [f"model.name={arguments.model}", f"data.cache_dir={(folder / 'cache').absolute()}"]
    shutil.rmtree(folder / "cache", ignore_errors=True)
    shutil.rmtree(folder / "run", ignore_errors=True)
    made = timed(["-m", "ner_dist.cli", "prepare", *recipe], folder / "prepare.log")
    size = sum(path.stat().st_size for path in (folder / "cache").rglob("*") if path.is_file())
    check = timed(["-c", CHECK, str(folder / "cache")], folder / "check.log")
    seconds = float(check["said"].split()[-1])
    steps = ["train.max_steps=1", "checkpoint.every=null", "precision=fp32", "evaluation.every=1000000"]
    steps += ["train.batch_tokens=1024", "train.micro_batch_tokens=512", f"output_dir={folder / 'run'}"]
    plan, step = first_step(["-m", "ner_dist.train", *recipe, *steps], folder / "train.log", folder / "run")
    if not arguments.keep:
        shutil.rmtree(folder)
    each = number / made["processor"]
    row = [f"{number:,}", f"{made['seconds']:.0f}", f"{made['processor']:.0f}", f"{each:,.0f}"]
    row += [f"{made['peak']:.2f}", f"{size / 1e9:.2f}", f"{seconds / size * 1e9:.2f}"]
    return [*row, f"{plan:.0f}", f"{step:.0f}"]


CHECK = """
import sys, time
from pathlib import Path
from ner_dist.data.checksums import fault_in
folder = next(path for path in (Path(sys.argv[1]) / "prepared").iterdir() if path.is_dir())
began = time.process_time()
assert fault_in(folder) is None
print(time.process_time() - began)
"""


def write(folder: Path, number: int, form: str) -> None:
    """Write train, validation and test; the same sentences at every call."""
    if (folder / f"test.{form}").exists():
        return
    from ner_dist.data.synthetic import generate
    from ner_dist.recipe_data import Synthetic

    folder.mkdir(parents=True, exist_ok=True)
    base = [
        sentence for sentence in generate(Synthetic(train=20_000))["train"] if len(sentence[0]) <= WORDS // 2
    ]
    dice = random.Random(7)
    for split, size in (("train", number), ("validation", HELD_OUT), ("test", HELD_OUT)):
        with (folder / f"{split}.{form}").open("w", encoding="utf-8") as file:
            for at in range(size):
                words, tags = [f"{split[:2]}{at}"], ["O"]
                for more, of_more in (dice.choice(base), dice.choice(base)):
                    words += more
                    tags += of_more
                words += [str(at % 997 + place) for place in range(WORDS - len(words))]
                tags += ["O"] * (len(words) - len(tags))
                if form == "jsonl":
                    file.write(json.dumps({"tokens": words, "ner_tags": tags}) + "\n")
                else:
                    file.write(
                        "".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"
                    )


def timed(arguments: list[str], log: Path) -> dict[str, Any]:
    """Run Python: seconds, those of processors, and the peak of resident memory in GB."""
    began = time.perf_counter()
    with log.open("w") as file:
        process = started(arguments, file)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, said = time.perf_counter() - began, log.read_text()
    if process.returncode:
        raise SystemExit(f"failed:\n{said[-4000:]}")
    processor = used.ru_utime + used.ru_stime
    return {"seconds": seconds, "processor": processor, "peak": used.ru_maxrss / 1e6, "said": said}


def first_step(arguments: list[str], log: Path, run: Path) -> tuple[float, float]:
    """Seconds from the start of a training to its plan, which the log tells of, and to its first step."""
    began, plan = time.perf_counter(), 0.0
    with log.open("w") as file:
        process = started(arguments, file)
    events = run / "metrics.jsonl"
    while process.poll() is None:
        plan = plan or ("steps" in log.read_text()) * (time.perf_counter() - began)
        if events.exists() and '"train"' in events.read_text():
            break
        time.sleep(0.1)
    step = time.perf_counter() - began
    process.terminate()
    process.wait()
    if not events.exists():
        raise SystemExit(f"failed:\n{log.read_text()[-4000:]}")
    return plan, step


def started(arguments: list[str], log: IO[str]) -> subprocess.Popen[str]:
    """Start Python in the repository, offline."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY, env=environment
    )


if __name__ == "__main__":
    main()
