"""Checksums of a complete run: RUN/SHA256SUMS, as `sha256sum -c` reads it.

They are of the files that are read again to predict or to compare: results.json, the predictions, and the
model without its card, which people edit. Names are relative to the run, so that it may be moved or copied.
Without the file, as in a run of an older version or beside a model that was copied, nothing is checked.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from pathlib import Path

from ner_dist.errors import UserError, writing
from ner_dist.files import digest, printable, write_atomically

log = logging.getLogger(__name__)

SUMS = "SHA256SUMS"
_RESULTS, _MODEL, _PREDICTIONS = "results.json", "model", "predictions"
_NOT_CHECKED = "README.md"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_LONG = 5.0
"""Seconds of checking that are worth a line in the log."""


def write_checksums(run: Path, results: str) -> None:
    """Write the checksums of a run of which only results.json is still to be written.

    Args:
        run: its folder.
        results: what results.json will hold.
    """
    files = [path for path in (run / _MODEL).iterdir() if path.is_file() and path.name != _NOT_CHECKED]
    files += (run / _PREDICTIONS).glob("*.jsonl")
    sums = {path.relative_to(run).as_posix(): digest(path) for path in sorted(files)}
    sums[_RESULTS] = hashlib.sha256(results.encode()).hexdigest()
    with writing(run / SUMS):
        write_atomically(run / SUMS, "".join(f"{value}  {name}\n" for name, value in sums.items()))


def damage(run: Path, *names: str) -> UserError | None:
    """Describe the first damaged file of a run, and what to do; None if there is none.

    Args:
        run: its folder.
        names: which files to check, or folders with all that they hold; all of them if none is named.
    """
    if not (run / _RESULTS).exists():
        return None  # a run that is not complete
    try:
        sums = _read(run)
    except (OSError, ValueError):
        return _error(run, SUMS, "cannot be read")
    began = time.perf_counter()
    for name, expected in sums.items():
        if names and name not in names and name.partition("/")[0] not in names:
            continue
        what = _difference(run / name, expected)
        if what is not None:
            return _error(run, name, what)
    if (seconds := time.perf_counter() - began) > _LONG:
        log.info("%s: checked against %s in %.0f s", printable(run), SUMS, seconds)
    return None


def check(run: Path, *names: str) -> None:
    """Check files of a run before they are read.

    Raises:
        UserError: as `damage` returns it.
    """
    if (error := damage(run, *names)) is not None:
        raise error


def check_model(model: str | Path) -> None:
    """Check the model of a run, given as RUN or as RUN/model; other folders and hub names are not checked.

    Raises:
        UserError: a file differs from its checksum.
    """
    path = Path(model)
    if (path / _RESULTS).exists():
        check(path, _MODEL, _RESULTS)
    elif path.is_dir() and path.name == _MODEL:
        check(path.parent, _MODEL)


def _read(run: Path) -> dict[str, str]:
    """The checksums by name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
    """
    try:
        text = (run / SUMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    # Not `splitlines`: a newline with a flipped bit ends a line, too.
    found = [_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    sums = {match[2]: match[1] for match in found if match is not None}
    if None in found or not text.endswith("\n") or _RESULTS not in sums:
        raise ValueError("damaged")
    return sums


def _difference(path: Path, expected: str) -> str | None:
    try:
        return None if digest(path) == expected else f"differs from its checksum in {SUMS}"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _error(run: Path, name: str, what: str) -> UserError:
    if any((run / "checkpoints").glob("step-*")):
        fix = "repeat the command that trained it, which finishes the run again from its last checkpoint"
    else:
        fix = "copy it again from where it is sound, or train again with resume=never"
    if what.startswith("differs"):
        fix += f"; if the change is meant, delete its line in {SUMS}"
    return UserError(what, where=printable(run / name), fix=fix)
