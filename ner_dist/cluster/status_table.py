"""The status of runs as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ner_dist.cluster.status import ComparisonStatus, Overview, RunStatus, overview
from ner_dist.evaluation import json_form
from ner_dist.formatting import duration

if TYPE_CHECKING:
    from rich.console import Group

# Wide enough that nothing is folded where there is no terminal.
_PIPE_WIDTH = 200
_STYLES = {"running": "green", "failed": "red", "complete": "dim"}


def show_status(folders: list[str], *, as_json: bool) -> None:
    """Print the status of all runs below some folders.

    Args:
        folders: runs, experiments, or folders with runs below.
        as_json: print every fact as JSON.

    Raises:
        UserError: a folder is none, or holds no run.
    """
    from ner_dist.runtime.console import Console

    if as_json:
        print(json.dumps(json_form.as_json(overview(folders)), indent=1))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPE_WIDTH)
    console.print(_page(overview(folders)))


def _page(seen: Overview) -> Group:
    from rich.console import Group
    from rich.text import Text

    lines = []
    for run in seen.runs:
        if text := "; ".join(_notes(run, seen.time)):
            warns = run.silent is not None or run.over is not None
            lines.append(Text(f"{run.name}: {text}", style="yellow" if warns else ""))
    lines += [Text(_compared(one)) for one in seen.comparisons]
    if seen.problem:
        lines.append(Text(f"{seen.problem}: states are known from the files alone"))
    return Group(_table(seen), Text(), *lines, Text(summary(seen), style="bold"))


def _table(seen: Overview) -> Any:
    from rich.table import Table
    from rich.text import Text

    rows = [_cells(run, seen.time) for run in seen.runs]
    # Without lines, all columns and a name of 20 letters fit into 100.
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    # Empty columns are left out.
    used = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    for name in used:
        left = name in ("run", "state", "job")
        table.add_column(
            name,
            justify="left" if left else "right",
            no_wrap=name != "run",
            overflow="fold",
        )
    for run, row in zip(seen.runs, rows, strict=True):
        table.add_row(*(Text(row[name]) for name in used), style=_STYLES.get(run.state))
    return table


def _cells(run: RunStatus, now: datetime) -> dict[str, str]:
    pace = run.pace
    total = "" if pace.total is None else f"/{pace.total}"
    share = "" if pace.total is None else f"{math.floor(100 * pace.step / pace.total)}%"
    return {
        "run": run.name,
        "state": run.state,
        "step": f"{pace.step}{total}" if pace.step or total else "",
        "%": share,
        "ep": _format_cell(pace.epoch, "d"),
        "loss": _format_cell(pace.loss, ".4f"),
        "F1": _format_cell(pace.f1, ".3f"),
        "best": _format_cell(pace.best_f1, ".3f"),
        "words/s": _format_cell(pace.words_per_second, ",.0f"),
        "took": _duration_cell(run.elapsed),
        "left": _duration_cell(run.left) if run.state != "complete" else "",
        "ends": "" if run.ends is None else clock(run.ends, now),
        "job": run.job_name or "",
    }


def _notes(run: RunStatus, now: datetime) -> list[str]:
    """Facts for which the table has no column."""
    notes, job = [], run.job
    if run.state == "running":
        doing = "" if run.phase == "training" else f"{run.phase} "
        where = f"on {run.nodes}" if run.nodes else ""
        notes += [text] if (text := f"{doing}{where}".strip()) else []
        if job is not None and job.left is not None:
            notes.append(f"{duration(job.left)} left of its time limit")
        if run.silent is not None:
            notes.append(f"silent for {duration(run.silent)}: check whether it hangs")
    elif run.state == "pending" and job is not None:
        reason = f"waits ({job.reason})" if job.reason else "waits"
        start = f", start expected {clock(job.start, now)}" if job.start else ""
        notes.append(f"{reason}{start}")
        if run.over is not None and job.limit is not None:
            notes.append(f"has a time limit of {duration(job.limit)}")
    elif run.state in ("stopped", "failed"):
        notes.append(_how_it_ended(run))
    elif run.state == "complete" and run.test_f1 is not None:
        notes.append(f"test F1 {run.test_f1:.4f}")
    if run.over is not None:
        times = "once" if run.resumes == 1 else f"~{run.resumes} times"
        notes.append(f"the limit is {duration(run.over)} too short: will be requeued and resumed {times}")
    if run.restarts:
        notes.append(f"{run.restarts} restart{'s' if run.restarts > 1 else ''} so far")
    return notes


def _how_it_ended(run: RunStatus) -> str:
    state = f" ({run.job.state})" if run.job is not None else ""
    ended = f"job {run.job_name} ended{state} without results" if run.job_name else "nothing trains here"
    log = f", log {run.log}" if run.log else ""
    if run.checkpoint is None:
        next_start = "there is no checkpoint, so the next start begins at step 0"
    else:
        next_start = f"the next start resumes from step {run.checkpoint}"
    return f"{ended}{log}; {next_start}"


def _compared(one: ComparisonStatus) -> str:
    texts = {
        "pending": f"waits ({one.reason})" if one.reason else "waits",
        "running": "is running",
        "done": f"is done: {one.result}",
        "failed": "ended without compare.json" + (f", log {one.log}" if one.log else ""),
        "unknown": "has not been written yet",
    }
    return f"comparison of {one.experiment} (job {one.job}) {texts[one.state]}"


def summary(seen: Overview) -> str:
    """How many runs are in which state, and when all will be done, in one line."""
    states = ", ".join(f"{count} {state}" for state, count in seen.counts.items() if count)
    text = f"{len(seen.runs)} run{'s' if len(seen.runs) != 1 else ''}: {states}"
    if seen.all_end is None:
        return text
    known = all(run.ends or run.state == "complete" for run in seen.runs)
    which = "all done" if known else "those with a known end done"
    return f"{text}; {which} by about {clock(seen.all_end, seen.time)}"


def _format_cell(value: float | None, how: str) -> str:
    return "" if value is None else format(value, how)


def _duration_cell(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def clock(moment: datetime, now: datetime) -> str:
    """Local time of day, with the date if it is not today's."""
    local, today = moment.astimezone(), now.astimezone().date()
    return local.strftime("%H:%M" if local.date() == today else "%b %d %H:%M")
