"""How far a training is and when it will end, from the end of its metrics.jsonl.

The file may be large and may be written to at this moment: it is read from its end, as far as needed, and a
line that is only half there is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from ner_dist.run.events import as_event, starts

_FIRST_READ, _MOST_READ = 1 << 17, 1 << 24
_ENOUGH_EVENTS = 200
# The clock of training runs through these; a checkpoint's seconds are the time that it took.
_ON_THE_CLOCK = ("train", "evaluation", "resume")


@dataclass(frozen=True)
class Pace:
    """What the events tell. None where they do not tell it yet; durations in seconds.

    Attributes:
        step: of the newest event, total: steps of the whole training.
        epoch, loss, words_per_second: of the newest training event; epochs count from 1.
        f1: of the newest scoring of the validation split, best_f1: the best that was read.
        trained: time that training took by the newest event, over all its starts.
        last: when the newest event was written.
        per_step: wall time a step of late, see `_per_step`.
        scoring: wall time of the newest scoring of the validation split.
        gap: the longest time between two events of late.
        stride: steps between two training events.
    """

    step: int = 0
    total: int | None = None
    epoch: int | None = None
    loss: float | None = None
    words_per_second: float | None = None
    f1: float | None = None
    best_f1: float | None = None
    trained: float = 0.0
    last: datetime | None = None
    per_step: float | None = None
    scoring: float | None = None
    gap: float | None = None
    stride: int = 1

    def left(self, now: datetime | None = None) -> float | None:
        """Seconds until the results are there.

        The steps that are left at the recent pace, evaluations and checkpoints included, and the scoring of
        two splits at the end, each taken to be as long as the newest evaluation.

        Args:
            now: for a training that runs. It has gone on since its newest event, though by no more steps than
                there are between two events: one that hangs comes no nearer to its end.
        """
        if self.total is None or self.per_step is None:
            return None
        to_go = max(0, self.total - self.step)
        training, scoring = to_go * self.per_step, 2 * (self.scoring or 0.0)
        if now is None or self.last is None:
            return training + scoring
        since = max(0.0, (now - self.last).total_seconds())
        if to_go == 0:
            return max(0.0, scoring - since)
        return max(0.0, training - min(since, self.stride * self.per_step)) + scoring

    def patience(self) -> float:
        """Seconds without an event after which something may be wrong: five times the longest of late."""
        usual = self.gap or 0.0
        if self.total is not None and self.step >= self.total:
            usual += 2 * (self.scoring or 0.0)
        return max(60.0, 5 * usual)


def read_pace(path: Path) -> Pace:
    """The pace of the training that writes this metrics.jsonl, which need not exist."""
    try:
        events = recent_events(path)
        modified = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    except OSError:
        return Pace()
    clocked = [event for event in events if event["event"] in _ON_THE_CLOCK]
    if not clocked:
        return Pace()
    trains = [event for event in clocked if event["event"] == "train"]
    scores = [event for event in clocked if event["event"] == "evaluation" and event.get("f1") is not None]
    # A training that has just been resumed goes on at the pace it had, until it has one of its own.
    trained = [start for start in starts(clocked) if any(event["event"] == "train" for event in start)]
    train: dict[str, Any] = trains[-1] if trains else {}
    recent = _window(trained[-1]) if trained else []
    newest = clocked[-1]
    return Pace(
        step=newest["step"],
        total=train.get("total_steps"),
        epoch=train.get("epoch"),
        loss=train.get("loss"),
        words_per_second=train.get("words_per_second"),
        f1=scores[-1]["f1"] if scores else None,
        best_f1=max((event["f1"] for event in scores), default=None),
        trained=newest["seconds"],
        last=_written(events[-1]) or modified,
        per_step=_per_step(recent),
        scoring=_scoring(clocked),
        gap=max((b["seconds"] - a["seconds"] for a, b in pairwise(recent)), default=None),
        stride=_stride(recent),
    )


def recent_events(path: Path) -> list[dict[str, Any]]:
    """The events at the end of the file, oldest first: enough for a pace and the newest evaluation.

    Lines that are no whole event are left out: the one that is being written, or one that a killed training
    left.
    """
    length = _FIRST_READ
    with path.open("rb") as file:
        while True:
            size = file.seek(0, 2)
            file.seek(max(0, size - length))
            # What comes after the last line end is still being written.
            lines = file.read(length).split(b"\n")[:-1]
            whole = length >= size
            events = [found for line in (lines if whole else lines[1:]) if (found := _timed(line))]
            kinds = [each["event"] for each in events]
            enough = "evaluation" in kinds and kinds.count("train") >= _ENOUGH_EVENTS
            if whole or enough or length >= _MOST_READ:
                return events
            length *= 4


def _timed(line: bytes) -> dict[str, Any] | None:
    """The event of a line, if the clock of the training is in it."""
    found = as_event(line)
    try:
        return found if found and found["seconds"] >= 0 else None
    except (KeyError, TypeError):
        return None


def _written(event: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(event["time"])
    except (KeyError, ValueError):
        return None


def _window(start: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The recent part of a start: from one training event to the newest.

    A tenth of the training, rounded up to whole intervals between evaluations, so that the window holds as
    many evaluations a step as what is left of the training; less if the start is younger.
    """
    trains = [index for index, event in enumerate(start) if event["event"] == "train"]
    last = start[trains[-1]]
    scored = sorted({event["step"] for event in start if event["event"] == "evaluation"})
    interval = scored[-1] - (scored[-2] if len(scored) > 1 else 0) if scored else 1
    tenth = max(20, (last.get("total_steps") or last["step"]) / 10)
    wanted = last["step"] - interval * math.ceil(tenth / interval)
    first = max((index for index in trains[:-1] if start[index]["step"] <= wanted), default=trains[0])
    if first == trains[-1] and first > 0:
        first -= 1
    return start[first : trains[-1] + 1]


def _per_step(recent: list[dict[str, Any]]) -> float | None:
    """Wall time a step over the recent part, with the evaluations and the checkpoints that fell into it.

    The rate that a training event states is that of its steps alone, and so too good for a forecast.
    Measuring begins with the first event of a start, so that compiling does not count, unless it is all there
    is.
    """
    if not recent:
        return None
    first, last = recent[0], recent[-1]
    if len(recent) == 1:
        # A start whose first event this is, at most: its clock began with step 1.
        return last["seconds"] / last["step"] if last["step"] > 0 else None
    steps = last["step"] - first["step"]
    return (last["seconds"] - first["seconds"]) / steps if steps > 0 else None


def _scoring(clocked: list[dict[str, Any]]) -> float | None:
    """Seconds of the newest evaluation: since the training event of the same step."""
    for before, event in reversed(list(pairwise(clocked))):
        if event["event"] == "evaluation" and before["step"] == event["step"]:
            return event["seconds"] - before["seconds"]
    return None


def _stride(recent: list[dict[str, Any]]) -> int:
    steps = [event["step"] for event in recent if event["event"] == "train"]
    return max((b - a for a, b in pairwise(steps)), default=1)
