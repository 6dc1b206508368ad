"""The events of metrics.jsonl: one JSON object a line, of one start of a training after the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Event = dict[str, Any]

FORMAT = 2
"""Version of the events that are written, in each of them; those without one are of version 1."""

_STEPS = 2**53
"""More than any training takes, and no more than a float tells apart, by which charts draw them."""


def as_event(line: bytes) -> Event | None:
    """The event of a line; None if it is not whole, as the one that is being written or that a crash left."""
    try:
        found = json.loads(line)
        sound = type(found["step"]) is int and abs(found["step"]) < _STEPS and isinstance(found["event"], str)
        return found if sound and isinstance(found.get("split", ""), str) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def starts(events: Iterable[Event]) -> list[list[Event]]:
    """The events of each start of the training; one that began anew says so by its smaller step alone."""
    found: list[list[Event]] = []
    for each in events:
        if not found or each["event"] == "resume" or each["step"] < found[-1][-1]["step"]:
            found.append([])
        found[-1].append(each)
    return found


def read_events(path: Path) -> list[Event]:
    """Every event that counts, by step: of steps that a resumed training took again, the last time.

    Args:
        path: of metrics.jsonl, which need not exist.

    Raises:
        UserError: it exists and cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    # A checkpoint's event comes when it is written, after later steps.
    on_the_clock = [each for line in lines if (each := as_event(line)) and each["event"] != "checkpoint"]
    kept: list[Event] = []
    for start in starts(on_the_clock):
        first = start[0]
        # A resumed training goes on behind its step; one that began anew does this step again.
        last = first["step"] if first["event"] == "resume" else first["step"] - 1
        kept = [each for each in kept if each["step"] <= last] + start
    return list({(each["event"], each.get("split"), each["step"]): each for each in kept}.values())
