"""The page on which people tag a text."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from ner_dist.report.render import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.serving.schemas import ModelInfo

# Scripts with a type hold data, which a browser does not run.
_INLINE = {name: re.compile(f"<{name}>(.*?)</{name}>", re.S) for name in ("script", "style")}


def tag_page(models: Sequence[ModelInfo], *, asks_token: bool) -> tuple[str, str]:
    """HTML of the page, and its Content-Security-Policy: only the page's own scripts and styles, this server.

    Args:
        models: those that are served.
        asks_token: whether a request needs a token.
    """
    types = list(dict.fromkeys(name for model in models for name in model.types))
    html = page(
        "serve.html.j2",
        title="Tag a text",
        sections=[],
        models=models,
        asks_token=asks_token,
        data={"models": [model.model for model in models], "types": types},
    )
    allowed = [f"{kind}-src {_hashes(pattern, html)}" for kind, pattern in _INLINE.items()]
    rules = ["default-src 'none'", *allowed, "connect-src 'self'", "img-src data:"]
    return html, "; ".join([*rules, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])


def _hashes(pattern: re.Pattern[str], html: str) -> str:
    digests = [hashlib.sha256(inline.encode()).digest() for inline in pattern.findall(html)]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
