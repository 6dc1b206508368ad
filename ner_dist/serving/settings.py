"""What to serve, where, to whom, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ner_dist.recipe import Precision

TOKEN_VARIABLE = "NER_DIST_TOKEN"
"""The environment variable of the token."""


@dataclass(frozen=True)
class Limits:
    """What one request and one client may ask for."""

    texts: int = 100
    """Texts, or lists of words, in one request."""
    characters: int = 200_000
    """Characters of one text, words of one list, characters of one word."""
    bytes: int = 4_000_000
    """Size of a body."""
    waiting: int = 128
    """Requests that are read, wait or are tagged at once."""
    seconds: float = 60
    """Time until a request must have arrived, and again until it must be answered."""
    rate: int = 6000
    """Requests a minute of one client."""


@dataclass(frozen=True)
class Service:
    """What to serve, where, and to whom."""

    models: list[str]
    """One or two runs, folders with a model, or hub names."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 is any free one."""
    token: str | None = None
    """What clients must send; None is nothing."""
    no_token: bool = False
    """Serve other machines without a token."""
    limits: Limits = field(default_factory=Limits)
    precision: Precision = "auto"
