"""Charts as inline SVG: matplotlib draws, the page's style sheet gives the colours.

matplotlib writes colours as hexadecimal numbers. Each role has a number of its own here, which becomes a CSS
variable in the SVG, so that one chart serves light, dark and print. Text stays text.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

INK, MUTED, GRID, PAPER = "#000000", "#000002", "#000003", "#000004"
MODELS = tuple(f"#00010{i}" for i in range(6))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One more than there are colours, so that combinations of the two repeat late."""
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--surface"}
_VARIABLES |= {color: f"--model-{i}" for i, color in enumerate(MODELS)}

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ner_dist",
    "text.parse_math": False,
    "font.size": 11,
    "font.family": ["DejaVu Sans"],
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
}


def model_color(index: int) -> str:
    """The colour of the model at an index, as in the page's legend."""
    return MODELS[index % len(MODELS)]


def model_marker(index: int) -> str:
    """The marker of the model at an index, as in the page's legend, to recognise it without colour."""
    return MARKERS[index % len(MARKERS)]


WIDE, NARROW = 350.0, 320.0
"""Widths in CSS pixels of charts with names at their side, and of charts in a grid; both fit a phone."""


@contextmanager
def chart(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """An empty chart of a size in CSS pixels, in the page's style."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        yield figure, figure.subplots()


def drawn(figure: Figure, *, name: str, title: str, description: str) -> Markup:
    """Convert a chart to an `<svg>` element; call it inside the block of `chart`.

    Args:
        figure: the figure that `chart` made.
        name: unique name in the page, and prefix of its ids.
        title: title of the chart.
        description: content of the chart, or a summary of it, for screen readers.
    """
    out = io.StringIO()
    with _quiet_about_glyphs():
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(out.getvalue())
    _clean(root, name)
    _describe(root, name, title, description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def label(text: Any, *, most: int = 26) -> str:
    """A name for a chart, shortened to `most` characters, without characters that XML forbids."""
    shown = _for_xml(str(text))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _for_xml(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)


@contextmanager
def _quiet_about_glyphs() -> Iterator[None]:
    """Suppress warnings about missing glyphs: the browser has other fonts, matplotlib only measures text."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _clean(root: ElementTree.Element, name: str) -> None:
    """Clean the SVG: unique ids, only where referenced; colours as CSS variables; no metadata."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    wanted = {one or other for one, other in used}
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in wanted:
            element.set("id", f"{name}-{own}")
        if _HREF in element.attrib:
            element.set("href", "#" + name + "-" + element.attrib.pop(_HREF)[1:])
        if "clip-path" in element.attrib:
            element.set("clip-path", element.get("clip-path", "").replace("url(#", f"url(#{name}-"))
        if "style" in element.attrib:
            element.set("style", _style(element.get("style", "")))
        elif element.tag == f"{{{_SVG}}}text":
            element.set("style", "fill: var(--ink)")
        if "d" in element.attrib:
            element.set("d", " ".join(_short(element.get("d", "")).split()))
        element.text, element.tail = _bare(element.text), _bare(element.tail)


def _style(text: str) -> str:
    text = re.sub(r"font-family: [^;]+(; )?|font-stretch: [^;]+(; )?", "", text)
    text = re.sub(r"#[0-9a-f]{6}", lambda match: f"var({_VARIABLES.get(match[0], '--ink')})", text)
    if "font-size" in text and "fill" not in text:
        text += "; fill: var(--ink)"
    return text


def _short(path: str) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", path)


def _bare(text: str | None) -> str | None:
    return text if text and text.strip() else None


def _describe(root: ElementTree.Element, name: str, title: str, description: str) -> None:
    width, height = root.get("viewBox", "0 0 1 1").split()[2:]
    root.attrib.update(
        {
            "class": "chart",
            "width": width,
            "height": height,
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-description",
        }
    )
    root.attrib.pop("version", None)
    for place, (tag, role, text) in enumerate(
        (("title", "title", title), ("desc", "description", description))
    ):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{role}"})
        element.text = _for_xml(text)
        root.insert(place, element)
