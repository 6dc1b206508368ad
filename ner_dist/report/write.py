"""Write the reports of a comparison and of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.comparison.compare import REPORTS
from ner_dist.files import check_folder, write_atomically
from ner_dist.report import tables
from ner_dist.report.comparison_page import comparison_page
from ner_dist.report.markdown import markdown
from ner_dist.report.run_page import check_run, run_page

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.comparison.results import Comparison
    from ner_dist.run.directory import Run

_MARKDOWN, _HTML = REPORTS


def reports(comparison: Comparison, *, html: bool = True) -> dict[str, str]:
    """The reports of a comparison by file name, for `compare` to write them.

    Args:
        comparison: the comparison.
        html: whether to make `report.html`.
    """
    names = list(tables.titles(comparison.runs).values())
    title = formatting.joined(names) if len(names) < 4 else "Comparison"
    pages = {_MARKDOWN: markdown(comparison, title=title)}
    return pages | ({_HTML: comparison_page(comparison, title)} if html else {})


def write_run_report(run: Run, out: Path | None = None) -> list[Path]:
    """Write the report of a run, which may still be training.

    Args:
        run: the run.
        out: folder for `report.html`; None is the run's own folder.

    Returns:
        Paths of the written files.

    Raises:
        UserError: there is no run, or the folder cannot be written to.
    """
    check_run(run)
    check_folder(out or run.folder, where="run" if out is None else "--out", files=(_HTML,))
    path = (out or run.folder) / _HTML
    write_atomically(path, run_page(run))
    return [path]
