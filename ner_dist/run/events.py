"""Read the events of metrics.jsonl: one JSON object per line, over all starts of a training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Event = dict[str, Any]

FORMAT = 2
"""Version written into each event; events without one are of version 1."""

_STEPS = 2**53
"""More steps than any training takes, and exact as a float, which charts use."""


def as_event(line: bytes) -> Event | None:
    """Parse an event; None for an incomplete line, as during a write or after a crash."""
    try:
        event = json.loads(line)
        sound = type(event["step"]) is int and abs(event["step"]) < _STEPS and isinstance(event["event"], str)
        return event if sound and isinstance(event.get("split", ""), str) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def starts(events: Iterable[Event]) -> list[list[Event]]:
    """Split the events by start of the training; a restart from step 0 shows only by its smaller step."""
    by_start: list[list[Event]] = []
    for each in events:
        if not by_start or each["event"] == "resume" or each["step"] < by_start[-1][-1]["step"]:
            by_start.append([])
        by_start[-1].append(each)
    return by_start


def read_events(path: Path) -> list[Event]:
    """Read the events that count, by step; if a resumed training repeated steps, the last ones.

    Args:
        path: metrics.jsonl, which may be missing.

    Raises:
        UserError: the file exists but cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        fix = "move it away: without it, curves and times are not shown"
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix=fix) from None
    # The event of a checkpoint is written when it is on disk, after later steps.
    on_the_clock = [each for line in lines if (each := as_event(line)) and each["event"] != "checkpoint"]
    kept: list[Event] = []
    for start in starts(on_the_clock):
        first = start[0]
        # A resumed training begins after its step; one that restarted from step 0 repeats this step.
        last = first["step"] if first["event"] == "resume" else first["step"] - 1
        kept = [each for each in kept if each["step"] <= last] + start
    return list({(each["event"], each.get("split"), each["step"]): each for each in kept}.values())
