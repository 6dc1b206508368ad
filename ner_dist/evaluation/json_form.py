"""Dataclasses as JSON: an object whose keys are the fields, unless a field says otherwise."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Final

_FORM = "json"

OPTIONAL: Final = {_FORM: "optional"}
"""Metadata of a field that is left out where it is None."""
INLINE: Final = {_FORM: "inline"}
"""Metadata of a field whose own keys stand in the object that has it."""
INTERNAL: Final = {_FORM: "internal"}
"""Metadata of a field that is not written."""


def key(name: str) -> dict[str, str]:
    """Metadata of a field whose key is no identifier of Python, such as `with`."""
    return {"key": name}


def as_json(value: Any) -> Any:
    """Convert to what `json.dumps` accepts.

    Dataclasses become dictionaries, tuples lists, times ISO text, and numbers that are not finite None.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if is_dataclass(value):
        written: dict[str, Any] = {}
        for field in fields(value):
            form, own = field.metadata.get(_FORM), getattr(value, field.name)
            if form == "internal" or (form == "optional" and own is None):
                continue
            if form == "inline":
                written |= as_json(own)
            else:
                written[field.metadata.get("key", field.name)] = as_json(own)
        return written
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
