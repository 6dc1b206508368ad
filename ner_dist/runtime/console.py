"""Tables on the terminal: text from outside is shown in them as it is, and never obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.segment import Segment
from rich.text import Text

from ner_dist.outside import shown


class Console(RichConsole):
    """rich's console for text that is not markup: `[/red]` and `:dog:` are names of types."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(shown(text), **settings)

    def render(self, *words: Any, **settings: Any) -> Iterable[Segment]:
        for segment in super().render(*words, **settings):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)
