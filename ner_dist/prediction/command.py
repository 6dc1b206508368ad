"""`ner-dist predict`: tag a file, a folder or standard input with a trained model."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ner_dist import __version__
from ner_dist.errors import UserError, disk_errors
from ner_dist.evaluation.point_options import PointOptions
from ner_dist.files import check_folder, printable, typed
from ner_dist.formatting import counted
from ner_dist.model.exported import is_exported
from ner_dist.prediction.inputs import STDIN, check_input, files_of, items
from ner_dist.prediction.items import Item
from ner_dist.prediction.output_formats import OUTPUT_FORMATS, OutputFormat
from ner_dist.prediction.parts import Parts, chunks, tag_parts
from ner_dist.run.directory import Run
from ner_dist.runtime.precision import uses_gpu
from ner_dist.runtime.progress import progress
from ner_dist.runtime.ranks import PREPARATION_TIMEOUT, OneProcess, sharing_problems
from ner_dist.runtime.screen import unchanged_output

if TYPE_CHECKING:
    import torch
    from accelerate import PartialState

    from ner_dist.prediction.tagger import Tagger
    from ner_dist.recipe import Decode, Precision

log = logging.getLogger(__name__)

_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".conll": "conll", ".tsv": "conll", ".bio": "conll"}
_LOG_SECONDS = 30


@dataclass(frozen=True)
class Prediction:
    """What to tag, with which model, and where the result goes."""

    model: str
    """A run, a folder with a model, or a hub name."""
    input: str
    """A file, a folder, or `-` for standard input."""
    output: Path | None
    """None is standard output."""
    output_format: str
    input_format: str = "auto"
    text_column: str | None = None
    precision: Precision = "auto"
    decode: Decode | None = None
    backend: Literal["auto", "torch", "onnx"] = "auto"
    """`torch` or `onnx` refuse a model of the other kind; `auto` takes either."""
    point: PointOptions = field(default_factory=PointOptions)

    def items(self) -> Iterator[Item]:
        """What to tag, in order."""
        return items(self.input, kind=self.input_format, text_column=self.text_column)

    @property
    def format(self) -> OutputFormat:
        return OUTPUT_FORMATS[self.output_format]

    def arguments(self) -> list[str]:
        """The command line of `ner-dist predict` for this."""
        words = [f"--format={self.output_format}", f"--input-format={self.input_format}"]
        words += [f"--precision={self.precision}"]
        if self.output is not None:
            words.append(f"--out={self.output}")
        if self.text_column is not None:
            words.append(f"--text-column={self.text_column}")
        if self.decode is not None:
            words.append(f"--decode={self.decode}")
        words += self.point.arguments()
        return [*words, "--", self.model, self.input]

    def about(self, tagger: Tagger) -> dict[str, object]:
        """What decides the output, to tell whether chunks that are there already belong to it."""
        if self.input == STDIN:
            return {"once": time.time_ns()}
        read = [[printable(file), *_stamp(file)] for file in files_of(self.input)]
        run = Run(Path(self.model))
        folder = run.model if run.model.is_dir() else Path(self.model)
        model = [[file.name, *_stamp(file)] for file in sorted(folder.glob("*")) if file.is_file()]
        how = [self.output_format, self.input_format, self.text_column, tagger.precision, tagger.decode]
        how += self.point.arguments()
        commit = getattr(tagger.config, "_commit_hash", None)  # of a model on the hub
        return {"version": __version__, "model": [self.model, model, commit], "input": read, "how": how}


def _stamp(file: Path) -> tuple[int, int]:
    known = file.stat()
    return known.st_size, known.st_mtime_ns


def output_format(output: Path | None, asked: str | None) -> str:
    """The format of the output: what was asked for, else by its ending, else JSON lines.

    Raises:
        UserError: the ending is that of no format.
    """
    if asked is not None and asked not in OUTPUT_FORMATS:
        fix = f"pass one of {', '.join(OUTPUT_FORMATS)}; `ner-dist convert` writes spaCy's from jsonl"
        raise UserError(f"unknown format `{asked}`", where="--format", fix=fix)
    if asked is not None or output is None:
        return asked or "jsonl"
    if output.suffix not in _ENDINGS:
        what = f"the ending '{output.suffix}' is that of no format" if output.suffix else "it has no ending"
        fix = f"end it with {', '.join(_ENDINGS)}, or pass --format {' or '.join(OUTPUT_FORMATS)}"
        raise UserError(what, where=f"-o {printable(output)}", fix=fix)
    return _ENDINGS[output.suffix]


def check(prediction: Prediction, *, processes: int | None = None) -> None:
    """Find mistakes before the model is loaded.

    Args:
        prediction: what is to be done.
        processes: number of processes; None is that of a launcher.

    Raises:
        UserError: the input does not exist, the output exists or cannot be written, standard input and
            output are used with several processes, or the model is not what `backend` and `precision` say.
    """
    check_input(prediction.input)
    several = (processes or int(os.environ.get("WORLD_SIZE", 1))) > 1
    _check_backend(prediction, several=several)
    output = prediction.output
    if several and (output is None or prediction.input == STDIN):
        what = "several processes can neither read standard input nor write standard output"
        raise UserError(what, fix="name a file for the input, and one for the output with -o")
    if output is None:
        return
    if output.is_dir():
        raise UserError("is a folder", where=f"-o {printable(output)}", fix="name a file in it")
    if output.exists():
        raise UserError(
            "exists already", where=f"-o {printable(output)}", fix="name another file, or delete it"
        )
    check_folder(output.parent, where="-o")


def _check_backend(prediction: Prediction, *, several: bool) -> None:
    where, exported = printable(prediction.model), is_exported(prediction.model)
    if exported and prediction.backend == "torch":
        raise UserError("is an exported model", where=where, fix="name the run, or leave --backend out")
    if not exported and prediction.backend == "onnx":
        fix = f"write one: ner-dist export {typed(prediction.model)} FOLDER"
        raise UserError("is no exported model", where=where, fix=fix)
    if exported and several:
        fix = "leave --processes out"
        raise UserError("an exported model predicts in one process, on all cores", where=where, fix=fix)


def predict(prediction: Prediction) -> None:
    """Tag the input and write the result, in its order.

    Raises:
        UserError: see `check`; the model cannot be loaded, or an item cannot be read.
    """
    check(prediction)
    state, tagger = _start(prediction)
    write = prediction.format

    def tag(chunk: list[Item]) -> str:
        return write.between.join(map(write.item, tagger.tag_items(chunk)))

    with _shown(prediction) as show:
        if prediction.output is None:
            _to_stdout(prediction, tag, show)
            return
        parts = Parts(prediction.output)
        if state.is_main_process and parts.open(prediction.about(tagger)):
            log.info("continuing with the chunks of %s that are missing", printable(prediction.output))
        state.wait_for_everyone()
        count, problem = 0, None
        with sharing_problems(state) as share:
            try:
                with disk_errors():
                    count = tag_parts(
                        parts,
                        prediction.items(),
                        tag,
                        rank=state.process_index,
                        world=state.num_processes,
                        passed=show,
                    )
            except UserError as error:
                problem = error
            share(problem)
        if state.is_main_process:
            parts.join(count, head=write.head, between=write.between, tail=write.tail)
            log.info("written to %s", printable(prediction.output))


def _start(prediction: Prediction) -> tuple[PartialState | OneProcess, Tagger]:
    """Join the other processes, and load the tagger; an exported one needs neither them nor torch."""
    if is_exported(prediction.model):
        return OneProcess(), _load(prediction, None)
    # These imports take seconds.
    from accelerate import PartialState

    from ner_dist.runtime.cpu_kernels import speed_up

    state = PartialState(cpu=not uses_gpu(), timeout=PREPARATION_TIMEOUT)
    tagger = _load(prediction, state.device)
    if state.device.type == "cpu":
        speed_up(fp32=tagger.precision == "fp32")
    return state, tagger


def _load(prediction: Prediction, device: torch.device | None) -> Tagger:
    from ner_dist.prediction.tagger import load_tagger

    began = time.perf_counter()
    point = prediction.point
    tagger = load_tagger(
        prediction.model,
        prediction.precision,
        device,
        prediction.decode,
        threshold=point.threshold,
        bias=point.bias,
        target_precision=point.target_precision,
        target_recall=point.target_recall,
    )
    log.info(
        "%s on %s in %s, loaded in %.1f s: %s",
        *(prediction.model, tagger.device.type, tagger.precision, time.perf_counter() - began),
        ", ".join(tagger.labels.types),
    )
    return tagger


def _to_stdout(
    prediction: Prediction, tag: Callable[[list[Item]], str], show: Callable[[list[Item]], None]
) -> None:
    """Write each chunk when it is tagged."""
    write, between, output = prediction.format, "", unchanged_output()
    print(write.head, end="", file=output)
    for chunk in chunks(prediction.items()):
        print(between, tag(chunk), sep="", end="", file=output, flush=True)
        between = write.between
        show(chunk)
    print(write.tail, end="", file=output, flush=True)


@contextmanager
def _shown(prediction: Prediction) -> Iterator[Callable[[list[Item]], None]]:
    """Show how far the tagging is; yields a function to call with each chunk that is done."""
    total = 0
    if prediction.input != STDIN:
        total = sum(file.stat().st_size for file in files_of(prediction.input))
    began = logged = time.perf_counter()
    done = texts = 0
    with progress("tagging", total) as show:

        def passed(chunk: list[Item]) -> None:
            nonlocal done, texts, logged
            texts += len(chunk)
            done += sum(map(_bytes, chunk))
            show(min(total, done))
            if time.perf_counter() - logged > _LOG_SECONDS:
                logged = time.perf_counter()
                log.info("%s", _progress(texts, done, logged - began))

        yield passed
    log.info("tagged %s", _progress(texts, done, time.perf_counter() - began))


def _bytes(item: Item) -> int:
    text = item.text if item.text is not None else " ".join(item.words or ())
    return len(text.encode()) + 1


def _progress(texts: int, size: int, seconds: float) -> str:
    speed = size / max(seconds, 1e-3) / 1e3
    return f"{counted(texts, 'text')} ({size / 1e6:.1f} MB) in {seconds:.0f} s, {speed:.0f} kB/s"
