"""Reports are written: of a comparison, and of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist.report import numbers, tables
from ner_dist.report.comparison_page import comparison_page
from ner_dist.report.markdown import markdown
from ner_dist.report.run_page import run_page
from ner_dist.run import check_folder, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.comparison.comparison import Comparison
    from ner_dist.run import Run


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
    title = (
        numbers.joined(list(tables.titles(figures).values())) if len(figures["runs"]) < 4 else "Comparison"
    )
    written = [out / "report.md"]
    write_atomically(written[0], markdown(figures, title=title))
    if html:
        written.append(out / "report.html")
        write_atomically(written[1], comparison_page(comparison, title))
    return written


def write_run_report(run: Run, out: Path | None = None) -> list[Path]:
    """Write the report of a run, which may be training.

    Args:
        run: its directory.
        out: folder for `report.html`; the run's own if None.

    Returns:
        What was written.

    Raises:
        UserError: there is no run, or the folder cannot be written to.
    """
    path = (out or run.folder) / "report.html"
    text = run_page(run)
    check_folder(path.parent, where=str(path))
    write_atomically(path, text)
    return [path]
