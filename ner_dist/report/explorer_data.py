"""Data of the sentence explorer: JSON that is safe inside a `<script>` element."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ner_dist.report.error_tables import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST = 20_000
"""Sentences in a page; of more, it would be slow to open."""

# What could end the element or begin a comment in it, and what old JavaScript takes for a line end.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def explorer_data(sentences: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Markup:
    """The sentences, with types, kinds and models as their places in lists.

    Args:
        sentences: as `comparison.disagreements.disagreements` finds them.
        titles: what each model is called.
    """
    types: dict[str, int] = {}
    kinds = {kind: place for place, kind in enumerate(KINDS)}

    def place(name: str) -> int:
        return types.setdefault(name, len(types))

    def entities(found: Sequence[Sequence[Any]]) -> list[list[int]]:
        return [[place(name), start, end] for name, start, end in found]

    def errors(found: Sequence[Sequence[Any]]) -> list[list[int]]:
        return [[kinds[kind], place(name), start, end] for kind, name, start, end in found]

    packed = [
        {
            # As text: a script's numbers are exact only up to 2^53.
            "id": str(each["id"]),
            "tokens": each["tokens"],
            "words": each["words"],
            "copies": each["copies"],
            "gold": entities(each["gold"]),
            "predicted": [entities(each["predicted"][model]) for model in titles],
            "errors": [errors(each["errors"][model]) for model in titles],
            "disagree": each["disagree"],
        }
        for each in sentences
    ]
    data = {
        "models": list(titles.values()),
        "types": list(types),
        "kinds": list(KINDS.values()),
        "sentences": packed,
    }
    return script_json(data)


def script_json(data: Any) -> Markup:
    """JSON in which nothing is markup."""
    # Lone surrogates, which Python's readers let through, are written as escapes: files are UTF-8.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
    safe = "".join(f"\\u{ord(sign):04x}" if "\ud800" <= sign <= "\udfff" else sign for sign in text)
    return Markup(safe)
