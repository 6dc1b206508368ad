"""Damage files of a run in every way a disk or a person may: one line says so, and its remedy works.

`make soak` tries all damages of all files, `make test` some of them.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.distributed import faults
from tests.distributed.faults import fault
from tests.distributed.test_kill_anywhere import SMALL, contents

pytestmark = pytest.mark.distributed


def _cut(share: float) -> Callable[[Path, random.Random], None]:
    def cut(path: Path, draw: random.Random) -> None:
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return cut


def _flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _flip_in_the_middle(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _text(path: Path, draw: random.Random) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "empty": _cut(0),
    "half": _cut(0.5),
    "one byte short": lambda path, draw: path.write_bytes(path.read_bytes()[:-1]),
    "a flipped bit": _flip,
    "another flipped bit": _flip,
    "a flipped bit in the middle": _flip_in_the_middle,
    "removed": lambda path, draw: path.unlink(),
    "a folder": _folder,
    "a symlink loop": _loop,
    "a pointer": _text,
}

COMPLETE = (
    "model/config.json",
    "model/model.safetensors",
    "model/operating_curve.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/README.md",
    "predictions/test.jsonl",
    "predictions/validation.jsonl",
    "metrics.jsonl",
    "recipe.yaml",
    "results.json",
    "SHA256SUMS",
)
"""The files of a complete run that are no checkpoints."""
READERS = {
    "evaluate": ["evaluate", "run"],
    "compare": ["compare", "run", "other", "--out", "compared", "--resamples", "100"],
    "report": ["report", "run", "--out", "page"],
    "predict": ["predict", "run", "text.txt", "-o", "tagged.jsonl"],
    "status": ["status", "run"],
}
READERS_OF = {"model": ("evaluate", "predict"), "predictions": ("compare", "report")}
"""The commands that read the files in a folder of a run; files beside them are read by all."""
INTERRUPTED = ("recipe.yaml", "metrics.jsonl", ".holder.json", ".lock")
TRAIN = ["train", "tiny.yaml", "output_dir=run", "data.cache_dir=cache"]


@pytest.fixture(scope="module")
def ways(server, tmp_path_factory):
    """A folder with the complete run `run`."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "tiny.yaml").write_text(SMALL.replace("max_steps: 20", "max_steps: 6"))
    (folder / "text.txt").write_text("Mr. Smith went to York .\n")
    job = server.command(folder, *TRAIN)
    assert job.wait() == [0], job.text()
    return folder


@pytest.fixture(scope="module")
def more_ways(server, ways):
    """Beside it, another complete run, `other`, and the killed run `killed`."""
    folder = ways
    for name, more in (("other", ["labels=[PER, LOC, ORG]"]), ("killed", [])):
        waits = [fault(faults.wait_in, step=5)] if name == "killed" else []
        job = server.command(folder, *TRAIN, f"output_dir={name}", *more, faults=waits)
        if waits:
            job.wait_for("waiting")
            job.wait_for("saved step-000003")
            job.send(faults.signal.SIGKILL)
        assert job.wait() == [-9 if waits else 0], job.text()


@pytest.fixture
def place(ways, tmp_path):
    """Puts an undamaged copy of `run` or `killed` at `run`, beside all else."""
    for name in ("tiny.yaml", "text.txt", "other", "cache"):
        (tmp_path / name).symlink_to(ways / name)

    def put(name: str) -> Path:
        for made in ("run", "compared", "page", "tagged.jsonl", ".tagged.jsonl.parts"):
            path = tmp_path / made
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(ways / name, tmp_path / "run")
        return tmp_path

    return put


def figures(folder: Path) -> dict[str, object]:
    """The checked files of a complete run, without times."""
    names = {*COMPLETE} - {"metrics.jsonl", "recipe.yaml", "model/README.md"}
    return {name: content for name, content in contents(folder).items() if name in names}


def problem(server, folder: Path, words: list[str]) -> tuple[str | None, str | None]:
    """The error line of a command, None if it succeeds; and what is wrong with the way in which it failed."""
    job = server.command(folder, *words)
    (code,) = job.wait()
    text = job.text()
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    if "Traceback" in text or code not in (0, 2) or len(lines) != (code == 2):
        return None, f"exit code {code}: {text[-700:]}"
    return (lines[0] if lines else None), None


def follow(folder: Path, line: str) -> None:
    """Do by hand what an error line tells, apart from repeating the training."""
    path = folder / re.match(r"error: (?:output_dir )?(\S+?):", line)[1]
    if "move the folder away" in line or "remove" in line:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def faults_of(server, put, file: str, how: str, name: str, undisturbed: dict[str, object]) -> list[str]:
    """What is wrong with the answers to one damage of one file."""
    draw, wrong = random.Random(f"{file} {how}"), []
    folder = put(name)
    DAMAGES[how](folder / "run" / file, draw)
    if name == "run":
        for reader in READERS_OF.get(Path(file).parts[0], READERS):
            line, trouble = problem(server, folder, READERS[reader])
            if trouble:
                wrong.append(f"{reader}: {trouble}")
            elif line is not None:
                if not re.search("repeat the command that trained it|train it to the end|move it away", line):
                    wrong.append(f"{reader} names no remedy: {line}")
                if not (Path(file).name in line or "SHA256SUMS" in line):
                    wrong.append(f"{reader} names another file: {line}")
    for _ in range(2):
        line, trouble = problem(server, folder, TRAIN)
        if trouble:
            return [*wrong, f"train: {trouble}"]
        if line is None:
            break
        follow(folder, line)
    else:
        return [*wrong, f"train is still refused: {line}"]
    if (now := figures(folder / "run")) != undisturbed:
        other = [name for name in undisturbed if now.get(name) != undisturbed[name]]
        wrong.append(f"other contents after training: {other}")
    return wrong


def test_a_flipped_bit_of_the_model_is_one_line_and_the_remedy_works(server, ways, place):
    how = "a flipped bit in the middle"
    assert not faults_of(server, place, "model/model.safetensors", how, "run", figures(ways / "run"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "file"),
    [*(("run", file) for file in COMPLETE), *(("killed", file) for file in INTERRUPTED)],
)
def test_all_damages(server, ways, more_ways, place, name, file):
    undisturbed = figures(ways / "run")
    wrong = {}
    for how in DAMAGES:
        if how == "removed" and not (ways / name / file).exists():
            continue
        if found := faults_of(server, place, file, how, name, undisturbed):
            wrong[how] = found
            print(name, file, how, json.dumps(found, indent=1))
    assert not wrong, wrong
