"""The plan as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist.formatting import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.sizing.advise import Sized

WIDTH = 116
"""Columns of the terminal; no cell is cut, whatever the number of machines."""


def print_plan(
    sized: Sequence[Sized], *, title: str, facts: Sequence[str], advice: Sequence[str], chosen: Sized | None
) -> None:
    """Print the table, the assumptions behind it, and the advice."""
    from rich import box
    from rich.table import Table

    from ner_dist.runtime.console import Console

    console = Console(width=WIDTH, highlight=False)
    caption = "GiB of one rank at its peak; micro_batch_tokens, largest and taken; share of a step that waits"
    table = Table(
        title=title,
        caption=caption,
        box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False,
    )  # fmt: skip
    columns = ("config", "wght", "grad", "optim", "activ", "buff", "total", "fits to", "micro")
    for name in (*columns, "step s", "comm", "words/s", "time"):
        table.add_column(name, justify="left" if name == "config" else "right", no_wrap=True)
    for one in sized:
        table.add_row(*_cells(one), style="bold" if one is chosen else None)
    console.print(table)
    reasons: dict[str, list[str]] = {}
    for one in sized:
        if one.refused:
            reasons.setdefault(one.refused, []).append(one.launch.name)
    for reason, names in reasons.items():
        console.print(f"{', '.join(names)}: {reason}")
    for line in facts:
        console.print(line)
    for line in advice:
        # A command is to be copied whole.
        console.print(line, soft_wrap=line.startswith("  "))


def _cells(one: Sized) -> list[str]:
    if one.memory is None:
        return [one.launch.name, *["-"] * 12]
    memory = one.memory
    parts = (memory.weights, memory.gradients, memory.optimiser, memory.activations, memory.buffers)
    cells = [one.launch.name, *(_gib(part) for part in parts), _gib(memory.total)]
    cells += [f"{one.largest:,}" if one.largest else "no", f"{one.micro_batch_tokens}"]
    if one.time is None or not one.fits:
        return [*cells, "-", "-", "-", "-"]
    share = one.time.exposed / one.time.total
    return [
        *cells,
        _seconds(one.time.total),
        f"{share:.0%}",
        f"{one.words_per_second:,.0f}",
        duration(3600 * one.hours),
    ]


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f}" if size < 10 * 2**30 else f"{size / 2**30:.1f}"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"
