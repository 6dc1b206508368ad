"""Data of the sentence explorer: JSON that is safe inside a `<script>` element."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ner_dist.outside import shown_values
from ner_dist.report.error_tables import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ner_dist.comparison.disagreements import Disagreement, Entity

MOST = 20_000
"""Largest number of sentences in a page; with more, it would open slowly."""

# Characters that could end the element or begin a comment, and line ends of old JavaScript.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def explorer_data(sentences: Sequence[Disagreement], titles: Mapping[str, str]) -> Markup:
    """The data of the explorer, with types, kinds and models as indices into lists.

    Args:
        sentences: those to show.
        titles: headings of the models.
    """
    types: dict[str, int] = {}
    kinds = {kind: place for place, kind in enumerate(KINDS)}

    def packed(entity: Entity) -> list[int]:
        return [types.setdefault(entity.type, len(types)), entity.start, entity.end]

    rows = [
        {
            # As text: a script's numbers are exact only up to 2^53.
            "id": str(each.id),
            "tokens": each.tokens,
            "words": each.words,
            "copies": each.copies,
            "gold": [*map(packed, each.gold)],
            "predicted": [[*map(packed, each.predicted[model])] for model in titles],
            "errors": [
                [[kinds[error.kind], *packed(error.entity)] for error in each.errors[model]]
                for model in titles
            ],
            "disagree": each.models_differ,
        }
        for each in sentences
    ]
    data = {
        "models": list(titles.values()),
        "types": list(types),
        "kinds": list(KINDS.values()),
        "sentences": rows,
    }
    return script_json(data)


def script_json(data: Any) -> Markup:
    """JSON without characters that HTML would interpret, or a page obey."""
    text = json.dumps(shown_values(data), ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))
