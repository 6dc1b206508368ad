"""What is to be tagged: a text, or a sentence that is split into words already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """One text to tag, or one sentence that is split into words already."""

    text: str | None = None
    words: list[str] | None = None
    """Set if `text` is not."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Everything else that the input holds of it, kept for the output."""
