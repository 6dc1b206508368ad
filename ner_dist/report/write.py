"""Reports are written: of a comparison, and of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist.report import tables
from ner_dist.report.comparison_page import comparison_page
from ner_dist.report.markdown import markdown
from ner_dist.run import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.comparison.comparison import Comparison


def write_report(comparison: Comparison, out: Path, *, html: bool = True) -> list[Path]:
    """Write the reports of a comparison.

    Args:
        comparison: what was compared.
        out: folder for `report.md` and `report.html`.
        html: whether to write the latter.

    Returns:
        What was written.
    """
    figures = comparison.figures
    title = " and ".join(tables.titles(figures).values()) if len(figures["runs"]) < 4 else "Comparison"
    written = [out / "report.md"]
    write_atomically(written[0], markdown(figures, title=title))
    if html:
        written.append(out / "report.html")
        write_atomically(written[1], comparison_page(comparison, title))
    return written
