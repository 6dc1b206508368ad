"""Templates filled in: everything that is not markup of ours is escaped."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ner_dist import __version__


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ner_dist.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, **values: Any) -> str:
    """A whole page in one file, with its style and its scripts inside.

    Args:
        template: its name.
        values: what the template shows.
    """
    own = {
        "style": _own("style.css"),
        "page_script": _own("page.js"),
        "explorer_script": _own("explorer.js"),
        "review_script": _own("review.js"),
        "version": __version__,
    }
    text = _environment().get_template(template).render(own, **values)
    # What UTF-8 cannot hold (half of a surrogate pair, from a broken file) is shown as such.
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _own(name: str) -> Markup:
    """A file of the package, which is trusted."""
    return Markup((resources.files("ner_dist.report") / "templates" / name).read_text(encoding="utf-8"))
