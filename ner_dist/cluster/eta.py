"""How far a training is and when it will end, as the last lines of its metrics.jsonl say.

The file may be large and may be written to at this moment: it is read from its end, as far as needed, and a
line that is only half there is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from ner_dist.run.events import as_event, starts

_FIRST_READ, _MOST_READ = 1 << 17, 1 << 24
# The clock of training runs through these; a checkpoint's seconds are the time that it took.
_ON_THE_CLOCK = ("train", "evaluation", "resume")


@dataclass(frozen=True)
class Pace:
    """Progress by the newest events. None where they do not say; durations in seconds.

    Attributes:
        step: of the newest event, total: steps of the whole training.
        epoch, loss, words_per_second: of the newest training event; epochs count from 1.
        f1: of the newest scoring of the validation split, best_f1: the best so far.
        trained: time that training took by the newest event, over all its starts.
        last: when the newest event was written.
        per_step: recent wall time of a step, evaluations and checkpoints included.
        seconds_left: from the newest event to the results, as the training estimated it.
        gap: the longest time between two of the events that were read.
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
    seconds_left: float | None = None
    gap: float | None = None
    stride: int = 1

    def left(self, now: datetime | None = None) -> float | None:
        """Seconds until the results are there.

        Args:
            now: for a training that runs. Since its newest event it has done more steps, though at most as
                many as there are between two events: a training that hangs comes no nearer to its end.
        """
        left = self.seconds_left
        if left is None or now is None or self.last is None:
            return left
        since = max(0.0, (now - self.last).total_seconds())
        if self.total is not None and self.step < self.total:
            since = min(since, self.stride * (self.per_step or 0.0))
        return max(0.0, left - since)

    def left_from(self, step: int) -> float | None:
        """Seconds until the results are there, for a training that is started again after `step`."""
        if self.seconds_left is None or self.per_step is None:
            return None
        return self.seconds_left + max(0, self.step - step) * self.per_step

    def patience(self) -> float:
        """Seconds without an event after which something may be wrong: five times the longest gap."""
        usual = self.gap or 0.0
        if self.total is not None and self.step >= self.total:
            usual += self.seconds_left or 0.0
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
    train: dict[str, Any] = trains[-1] if trains else {}
    newest, start = clocked[-1], starts(clocked)[-1]
    best = [train.get("best_f1"), *(event["f1"] for event in scores)]
    per_step = train.get("seconds_per_step")
    return Pace(
        step=newest["step"],
        total=train.get("total_steps"),
        epoch=train.get("epoch"),
        loss=train.get("loss"),
        words_per_second=train.get("words_per_second"),
        f1=scores[-1]["f1"] if scores else None,
        best_f1=max((f1 for f1 in best if f1 is not None), default=None),
        trained=newest["seconds"],
        last=_written(events[-1]) or modified,
        per_step=per_step,
        seconds_left=_seconds_left(clocked, per_step),
        gap=max((b["seconds"] - a["seconds"] for a, b in pairwise(start)), default=None),
        stride=max((b["step"] - a["step"] for a, b in pairwise(_trains(start)[-3:])), default=1),
    )


def recent_events(path: Path) -> list[dict[str, Any]]:
    """The events at the end of the file, oldest first: at least the newest training event and evaluation.

    Lines that are no whole event are left out: the one that is being written, or one that a killed training
    left.
    """
    length = _FIRST_READ
    with path.open("rb") as file:
        while True:
            size = file.seek(0, 2)
            file.seek(max(0, size - length))
            # The last line has no end while it is being written.
            lines = file.read(length).split(b"\n")[:-1]
            whole = length >= size
            events = [event for line in (lines if whole else lines[1:]) if (event := _timed(line))]
            enough = {"train", "evaluation"} <= {event["event"] for event in events}
            if whole or enough or length >= _MOST_READ:
                return events
            length *= 4


def _seconds_left(clocked: list[dict[str, Any]], per_step: float | None) -> float | None:
    """The newest estimate of the training; a training that was just resumed has some of its steps again."""
    newest = clocked[-1]
    for event in reversed(clocked):
        if event.get("seconds_left") is not None:
            since: float = (event["step"] - newest["step"]) * (per_step or 0.0)
            return float(event["seconds_left"]) + since
    return None


def _trains(start: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in start if event["event"] == "train"]


def _timed(line: bytes) -> dict[str, Any] | None:
    """The event of a line, if the clock of the training is in it."""
    event = as_event(line)
    try:
        return event if event and event["seconds"] >= 0 else None
    except (KeyError, TypeError):
        return None


def _written(event: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(event["time"])
    except (KeyError, ValueError):
        return None
