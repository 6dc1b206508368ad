"""Speed of training and evaluation against what people use instead.

    python benchmarks/throughput.py --model FOLDER|random --data FOLDER|synthetic [--rounds 3] [--json OUT]

Every contestant fine-tunes the same model on the same sample of sentences, once through, with about as many
sentences a step. Each run is a process of its own, and the contestants take turns, so that what else the
machine does hits all of them. Measured from before the first batch is loaded to the end of the last step,
after a few steps that warm up. `ner_dist` is this package; the others are

    trainer       transformers' Trainer as its example run_ner.py sets it up
    by-length     the same, with sentences grouped by length, as well as the Trainer would in a whole data set
    no-trainer    transformers' example run_ner_no_trainer.py: a plain Accelerate loop
    span-marker   SpanMarker's Trainer with its defaults, in an environment of its own
    flair         flair's fine-tuning of a linear tagger, in an environment of its own

and, where `--peers` names them, ner_dist with parts left out

    padded        padded batches of about one length instead of packed rows
    autocast      autocast instead of 16-bit copies of the weights
    before        both

A contestant that cannot run has the reason in its row. The columns are explained in `speed_report.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import speed_report
from contestants import CONTESTANTS, OTHERS, OURS, PEERS
from environments import NotInstalled, last_line, python_of
from inputs import RANDOM, Inputs, prepare

from ner_dist.data.batch_plan import plan_epoch
from ner_dist.data.packed_plan import plan_packed_epoch
from ner_dist.errors import UserError, show
from ner_dist.files import check_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

WORKERS = Path(__file__).parent / "peers"
REPOSITORY = Path(__file__).parents[1]
MATRIX = "matrix.py"
TIMEOUT_SECONDS = 1800
PRECISIONS = ("fp32", "bf16", "fp16")


def main() -> int:
    """Measure and print the tables; 2 for a mistake in the arguments."""
    try:
        arguments = _arguments()
        environment = _environment(arguments)
        with tempfile.TemporaryDirectory() as folder:
            inputs = prepare(
                Path(folder),
                model=arguments.model,
                data=arguments.data,
                sentences={"train": arguments.steps * arguments.sentences, "test": arguments.test_sentences},
                max_length=arguments.max_length,
                seed=arguments.seed,
            )
            settings = _settings(arguments, inputs)
            pythons = {name: _python(name) for name in (OURS, *arguments.peers)}
            results = [
                result
                for number in range(arguments.rounds)
                for result in _round(number, arguments, settings, pythons, environment)
            ]
    except UserError as error:
        return show(error)
    report = speed_report.summarise(results, inputs) | {"arguments": vars(arguments)}
    print("\n".join(speed_report.tables(report)))
    if arguments.json:
        path = Path(arguments.json)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options], all of them in --help",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--model", default="random", help=f"a model's folder, or one of {', '.join(RANDOM)}")
    parser.add_argument("--data", default="synthetic", help="as data.path of a recipe")
    parser.add_argument("--precision", default="fp32,bf16", help=f"some of {', '.join(PRECISIONS)}")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {', '.join(OTHERS)}; or none")
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument("--steps", type=_positive, default=40, help="steps of a run, warm-up left out")
    parser.add_argument("--warmup", type=_positive, default=3, help="steps that are not measured")
    parser.add_argument("--sentences", type=_positive, default=32, help="sentences of a step")
    parser.add_argument("--micro-batches", type=_positive, default=2, help="forward passes of our step")
    parser.add_argument("--test-sentences", type=_positive, default=1000, help="sentences of an evaluation")
    parser.add_argument("--max-length", type=_positive, default=256, help="longer sentences are left out")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--json", help="file for every figure of every run")
    arguments = parser.parse_args()
    arguments.precision = _chosen("--precision", arguments.precision, PRECISIONS)
    arguments.peers = [] if arguments.peers == "none" else _chosen("--peers", arguments.peers, OTHERS)
    if arguments.json:
        check_folder(Path(arguments.json).parent, where="--json")
    return arguments


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def _chosen(option: str, text: str, known: Sequence[str]) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise UserError(f"there is no `{name}`", where=option, fix=f"choose from {', '.join(known)}")
    return names


def _environment(arguments: argparse.Namespace) -> dict[str, str]:
    """The workers' environment: they see one GPU or none, have the same number of threads, and no hub."""
    import torch

    from ner_dist.runtime.threads import cores

    found = torch.cuda.is_available()
    if arguments.device == "cuda" and not found:
        raise UserError("there is no CUDA GPU", where="--device", fix="pass --device cpu")
    on_gpu = found and arguments.device != "cpu"
    if "fp16" in arguments.precision and not on_gpu:
        raise UserError("fp16 trains only on a GPU", where="--precision", fix="pass fp32 or bf16")
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] if on_gpu else ""
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": gpu,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(cores()),
        # Otherwise the tokenizers warn of every process that a loader forks.
        "TOKENIZERS_PARALLELISM": "false",
    }


def _python(name: str) -> str | NotInstalled:
    """The contestant's interpreter, or the reason why there is none."""
    try:
        return python_of(name)
    except NotInstalled as reason:
        return reason


def _settings(arguments: argparse.Namespace, inputs: Inputs) -> dict[str, Any]:
    """The settings of every worker."""
    lengths = inputs.samples["train"].subwords
    return {
        "model": str(inputs.model),
        "data": str(inputs.folder),
        "tags": inputs.tags,
        "sentences": arguments.sentences,
        "micro_batches": arguments.micro_batches,
        "micro_batch_tokens": {
            packing: _micro_batch_tokens(arguments, lengths, packing=packing == "packed")
            for packing in ("packed", "padded")
        },
        "max_length": inputs.max_length,
        "warmup": arguments.warmup,
        # High, so that a short training learns something that the scores can show.
        "learning_rate": 3e-4,
        "seed": arguments.seed,
    }


def _micro_batch_tokens(arguments: argparse.Namespace, lengths: np.ndarray, *, packing: bool) -> int:
    """Our batch size in subwords that gives an epoch as many steps as the other contestants' have."""

    plan = plan_packed_epoch if packing else plan_epoch

    def steps(tokens: int) -> int:
        return plan(
            lengths,
            batch_tokens=tokens * arguments.micro_batches,
            micro_batch_tokens=tokens,
            seed=arguments.seed,
            epoch=0,
        ).n_steps

    tokens = max(int(lengths.max()), int(lengths.sum()) // (arguments.steps * arguments.micro_batches))
    while steps(tokens) > arguments.steps:
        tokens += 1
    return tokens


def _round(
    number: int,
    arguments: argparse.Namespace,
    settings: dict[str, Any],
    pythons: dict[str, str | NotInstalled],
    environment: dict[str, str],
) -> Iterator[dict[str, Any]]:
    """Every contestant once, in every precision. Rounds differ in who comes first."""
    names = list(pythons)
    names = names[number % len(names) :] + names[: number % len(names)]
    for precision in arguments.precision:
        matrix = _run(sys.executable, MATRIX, {"precision": precision}, environment)
        if "failed" in matrix:
            raise UserError(f"this machine cannot multiply in {precision}: {matrix['failed']}")
        for name in names:
            contestant = CONTESTANTS[name]
            sentences = arguments.steps * arguments.sentences // contestant.share
            told = settings | contestant.options | {"precision": precision, "train_sentences": sentences}
            python = pythons[name]
            if isinstance(python, NotInstalled):
                result: dict[str, Any] = {"failed": f"not installed: {python}"}
            else:
                result = _run(python, contestant.script, told, environment)
            shown = result.get("failed") or f"{result['seconds']:.1f} s"
            print(f"round {number + 1}, {precision}, {contestant.title}: {shown}", file=sys.stderr)
            yield {
                "name": name,
                "title": contestant.title,
                "precision": precision,
                "round": number,
                "sentences": sentences,
                "matrix_flops": matrix["flops_per_second"],
            } | result


def _run(python: str, script: str, settings: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """The result of one worker, or `failed` with the reason."""
    paths = {"PYTHONPATH": str(REPOSITORY)} if script == CONTESTANTS[OURS].script else {"PYTHONPATH": ""}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            done = subprocess.run(
                [python, str(WORKERS / script)],
                input=json.dumps(settings | {"scratch": scratch}),
                env=environment | paths,
                cwd=scratch,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {TIMEOUT_SECONDS} s"}
    if done.returncode:
        return {"failed": last_line(done.stderr)}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
