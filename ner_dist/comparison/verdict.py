"""A comparison in plain words: what the gap is made of, and which differences are shown to be real.

"No difference shown" is all that a test can say where it finds none; two models are never called equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ner_dist.formatting import counted, joined, p_value, signed

FEW = 30
"""Of a type with fewer gold entities, a handful decides: its line says how few there are."""


def verdict(figures: dict[str, Any]) -> dict[str, Any]:
    """What a comparison's figures say.

    Args:
        figures: of compare.json: `runs`, `headline`, `shared`, `decomposition` and `uncertainty`.

    Returns:
        `paragraph`, and `lines`: the difference of each pair over all types, then by type, real ones first.
    """
    differences = figures["uncertainty"]["differences"]
    sentences = [_headline(figures)]
    sentences += [_parts_of_gap(model, parts) for model, parts in figures["decomposition"].items()]
    for pair in differences:
        sentences += [_same_ground(figures, pair), _by_type(pair)]
    sentences += _caveats(figures, differences)
    lines = [line for pair in differences for line in _lines(figures, pair)]
    return {"paragraph": " ".join(sentences), "lines": lines}


def _headline(figures: dict[str, Any]) -> str:
    """The scores that would be published."""
    named = []
    for model, run in figures["runs"].items():
        name = f"{run['name']}, " if run.get("name") else ""
        f1 = figures["headline"][model]["mean"]["test"]["f1"]
        named.append(f"{model} ({name}{counted(len(run['labels']), 'type')}) has F1 {f1:.4f}")
    return f"Each on its own labels and sentences, {joined(named)}."


def _parts_of_gap(model: str, parts: dict[str, Any]) -> str:
    other, gap, own = parts["from"], parts["gap"], parts["model"]
    text = (
        f"Of the gap of {signed(gap)} ({model} − {other}), {signed(parts['label_set'])} is due to the "
        f"label set, {signed(parts['sentences'])} to the sentences and {signed(own)} to the model"
    )
    # As the reader sees them: a part of 0.0000 has no direction.
    own, gap = round(own, 4), round(gap, 4)
    if own * gap < 0:
        text += ", which points the other way"
    elif 0 < abs(own) < abs(gap) / 2:
        text += f", which is {100 * own / gap:.0f} % of it"
    return text + "."


def _same_ground(figures: dict[str, Any], pair: dict[str, Any]) -> str:
    """The difference over all types, and whether it is shown to be real."""
    of, to, shared, f1 = pair["of"], pair["to"], figures["shared"], pair["micro"]["f1"]
    aligned = (
        f"On the same {counted(shared['sentences'], 'sentence')} and {counted(len(shared['types']), 'type')}"
    )
    scores = f"{of} has F1 {shared[of]['f1']:.4f} and {to} {shared[to]['f1']:.4f}"
    figure = _difference(figures, pair, f1)
    if f1["real"]:
        better, other = _order(pair, f1)
        return (
            f"{aligned}, {scores}: {better} is better than {other}, and this is shown to be real ({figure})."
        )
    return f"{aligned}, {scores}: no difference between {of} and {to} is shown ({figure})."


def _by_type(pair: dict[str, Any]) -> str:
    """The types on which one of the two is better."""
    better: dict[str, list[str]] = {pair["of"]: [], pair["to"]: []}
    unshown: list[str] = []
    for name, cell in pair["per_type"].items():
        group = better[_order(pair, cell["f1"])[0]] if cell["f1"]["real"] else unshown
        group.append(name)
    found = [f"{model} is better on {joined(types)}" for model, types in better.items() if types]
    if not found:
        between = f"between {pair['of']} and {pair['to']}"
        return f"Corrected for the number of types, none of them shows a difference {between}."
    if unshown:
        rest = unshown if len(unshown) < 6 else [f"the other {len(unshown)} types"]
        found.append(f"no difference is shown on {joined(rest)}")
    return f"By type, {joined(found)}."


def _caveats(figures: dict[str, Any], differences: Sequence[dict[str, Any]]) -> list[str]:
    """What the reader might believe and should not."""
    caveats = []
    single = [model for model, run in figures["runs"].items() if len(run["paths"]) == 1]
    if len(single) == len(figures["runs"]):
        caveats.append("There was one training of each model: this says nothing about another seed.")
    elif single:
        caveats.append(f"There was one training of {joined(single)}: this says nothing about another seed.")
    shared = figures["shared"]
    shown = {name for pair in differences for name, cell in pair["per_type"].items() if cell["f1"]["real"]}
    few = [name for name in shared["types"] if name not in shown and _support(figures, name) < FEW]
    if few and differences:
        caveats.append(f"Too few entities (under {FEW}) to expect a difference to show: {', '.join(few)}.")
    done, needed = (figures["uncertainty"][key] for key in ("resamples", "resamples_needed"))
    if done < needed:
        caveats.append(
            f"With {done:,} resamples no difference on a type can be shown: {needed:,} are needed."
        )
    return caveats


def _lines(figures: dict[str, Any], pair: dict[str, Any]) -> list[str]:
    lines = [_line(figures, pair, "all types together", pair["micro"]["f1"])]
    cells = [(name, cell["f1"]) for name, cell in pair["per_type"].items()]
    for name, f1 in sorted(cells, key=lambda cell: (not cell[1]["real"], -abs(cell[1]["difference"]))):
        support = _support(figures, name)
        few = f"; {counted(support, 'entity', 'entities')} only" if support < FEW else ""
        lines.append(_line(figures, pair, name, f1, few))
    return lines


def _line(
    figures: dict[str, Any], pair: dict[str, Any], where: str, f1: dict[str, Any], few: str = ""
) -> str:
    several = len(figures["runs"]) > 2
    figure = _difference(figures, pair, f1)
    if f1["real"]:
        better, other = _order(pair, f1)
        than = f" than {other}" if several else ""
        return f"{better} is better{than} on {where} ({figure}{few})"
    between = f" between {pair['of']} and {pair['to']}" if several else ""
    return f"no difference shown{between} on {where} ({figure}{few})"


def _difference(figures: dict[str, Any], pair: dict[str, Any], cell: dict[str, Any]) -> str:
    """The lead of the better model if it is real, else `of` - `to`, with the interval and the deciding p."""
    difference, low, high = cell["difference"], cell["low"], cell["high"]
    sides = f"{pair['of']} − {pair['to']}: "
    if cell["real"]:
        sides = ""
        if difference < 0:
            difference, low, high = -difference, -high, -low
    digits = 4 if high - low < 0.02 else 3
    larger = max(cell["p"], cell["p_randomisation"])
    p = cell.get("p_holm", larger)
    text = (
        f"{sides}F1 {signed(difference, digits)}, {100 * figures['uncertainty']['level']:g} % CI "
        f"{signed(low, digits).removeprefix('+')} to {signed(high, digits).removeprefix('+')}, {_p(p)}"
    )
    if not cell["real"] and (low > 0 or high < 0):
        # The interval by itself leaves out 0: the reader is told what else was asked.
        asked = ["by randomisation"] if larger > cell["p"] else []
        asked += ["corrected for the number of types"] if p > larger else []
        text += f" {joined(asked)}" if asked else ""
    return text


def _order(pair: dict[str, Any], cell: dict[str, Any]) -> tuple[str, str]:
    """The better model and the other."""
    return (pair["of"], pair["to"]) if cell["difference"] > 0 else (pair["to"], pair["of"])


def _support(figures: dict[str, Any], name: str) -> int:
    """Gold entities of a type, which are the same for all models."""
    return round(figures["shared"][next(iter(figures["runs"]))]["per_type"][name]["support"])


def _p(value: float) -> str:
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
