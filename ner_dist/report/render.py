"""Fill in the templates; everything but the package's own markup is escaped."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ner_dist import __version__
from ner_dist.outside import shown


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
    """A self-contained page, with style and scripts inside.

    Args:
        template: name of the template.
        values: values for the template.
    """
    own = {
        "style": _own("style.css"),
        "page_script": _own("page.js"),
        "explorer_script": _own("explorer.js"),
        "review_script": _own("review.js"),
        "serve_style": _own("serve.css"),
        "serve_script": _own("serve.js"),
        "version": __version__,
    }
    text = _environment().get_template(template).render(own, **values)
    return shown(text)


def _own(name: str) -> Markup:
    """A file of the package, as trusted markup."""
    return Markup((resources.files("ner_dist.report") / "templates" / name).read_text(encoding="utf-8"))
