"""The contestants of `throughput.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """A worker script and its own settings."""

    title: str
    script: str
    options: dict[str, Any] = field(default_factory=dict)
    share: int = 1
    """Trains the first 1/share of the sample only, being that much slower."""


OURS = "ner_dist"
CONTESTANTS = {
    OURS: Contestant("ner_dist", "ours.py", {"packing": True, "copies": True}),
    "padded": Contestant("ner_dist, padded", "ours.py", {"packing": False, "copies": True}),
    "autocast": Contestant("ner_dist, autocast", "ours.py", {"packing": True, "copies": False}),
    "before": Contestant("ner_dist, padded, autocast", "ours.py", {"packing": False, "copies": False}),
    "trainer": Contestant("Trainer, run_ner.py", "trainer.py", {"by_length": False}),
    "by-length": Contestant("Trainer, by length", "trainer.py", {"by_length": True}),
    "no-trainer": Contestant("run_ner_no_trainer.py", "no_trainer.py"),
    "span-marker": Contestant("SpanMarker", "span_marker_.py", {"warmup": 1}, share=8),
    "flair": Contestant("flair", "flair_.py"),
}
OTHERS = [name for name in CONTESTANTS if name != OURS]
PEERS = [name for name in OTHERS if name not in ("padded", "autocast", "before")]
"""What people use instead; the others are ours with parts left out, and have to be asked for."""
