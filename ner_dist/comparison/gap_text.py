"""Say in one sentence where the gap of the published figures comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist.formatting import interval, joined, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ner_dist.comparison.claims import Bounds
    from ner_dist.comparison.decomposition import Decomposition
    from ner_dist.comparison.third_models import DifferencePart, ThirdModel


def gap_sentence(
    gaps: Mapping[str, Decomposition],
    third_models: Sequence[ThirdModel],
    types: Mapping[str, int],
    *,
    percent: str,
) -> str:
    """The gap of two models; of more, that which a third model parts, or all gaps to the first model.

    Args:
        gaps: by further model: its gap to the first one.
        third_models: what parts them.
        types: by model: how many types it learns.
        percent: the level of the intervals, as a percentage.
    """
    parted = [each for each in third_models if each.third is not None]
    if parted:
        of = parted[0].of
        fewer = types[of] < types[parted[0].to]
        return _parted(gaps[of], [each for each in parted if each.of == of], percent=percent, fewer=fewer)
    if len(gaps) > 1:
        return _of_many(gaps)
    ((model, parts),) = gaps.items()
    return _of_two(model, parts, labels_only=bool(third_models))


def _of_two(model: str, parts: Decomposition, *, labels_only: bool) -> str:
    text = f"The published F1 of {model} and {parts.base} differ by {signed(parts.gap)}: "
    whose = " (their recipes differ in labels only)" if labels_only else ""
    pieces = [f"{signed(parts.model)} between the models on the same ground{whose}"]
    if round(parts.task, 4):
        pieces.append(f"{signed(parts.task)} because the task is another ({_by_change(parts)})")
    if round(parts.gold, 4):
        pieces.append(f"{signed(parts.gold)} where the gold differs")
    return f"{text}{joined(pieces)}."


def _by_change(parts: Decomposition) -> str:
    """The task's part by what changes it, with the range over the orders of the changes."""
    orders = parts.orders
    low, high = map(signed, sorted((orders.labels_first.label_set, orders.sentences_first.label_set)))
    by_order = f"; types {low} to {high}, by which is changed first" if low != high else ""
    return f"types {signed(parts.label_set)}, sentences {signed(parts.sentences)}{by_order}"


def _of_many(gaps: Mapping[str, Decomposition]) -> str:
    base = next(iter(gaps.values())).base
    same_task = not any(round(each.task, 4) or round(each.gold, 4) for each in gaps.values())
    if same_task:
        shown = [f"{signed(each.gap)} ({model})" for model, each in gaps.items()]
        return f"The published F1 differ from that of {base} as on the same ground: {joined(shown)}."
    shown = [f"{signed(each.model)} of {signed(each.gap)} ({model})" for model, each in gaps.items()]
    gold = " or the gold" if any(round(each.gold, 4) for each in gaps.values()) else ""
    return (
        f"Of the gaps of the published F1 to that of {base}, the models on the same ground account for "
        f"{joined(shown)}; the rest is because the task{gold} is another."
    )


def _parted(parts: Decomposition, thirds: Sequence[ThirdModel], *, percent: str, fewer: bool) -> str:
    """The gap with the models' part in two: by the first third model; the reverse model's in brackets."""
    of, base = thirds[0].of, parts.base
    pieces = []
    if round(parts.task, 4):
        easier = "easier" if parts.task > 0 else "harder"
        bounds = parts.intervals.get("task")
        shown = f", {percent} CI {_bounds(bounds)}" if bounds else ""
        pieces.append(f"{signed(parts.task)} because the task of {of} is {easier} to score{shown}")
    for what, part in (
        (f"it learns {'fewer' if fewer else 'other'} labels", thirds[0].labels),
        ("its training is another (data, encoder, settings)", thirds[0].training),
    ):
        if part is not None:
            pieces.append(f"{signed(part.difference)} because {what}: {_shown(part)}")
    if round(parts.gold, 4):
        pieces.append(f"{signed(parts.gold)} where the gold differs")
    text = f"The published F1 of {of} and {base} differ by {signed(parts.gap)}: {'; '.join(pieces)}"
    for reverse in thirds[1:]:
        if reverse.training is not None:
            labels, training = (signed(part.difference) for part in (reverse.labels, reverse.training))
            text += f"; by {reverse.third}, the labels are worth {labels} and the training {training}"
    return f"{text}."


def _shown(part: DifferencePart) -> str:
    bounds = interval(part.low, part.high, sign=True)
    unshown = "" if part.significant else ", not shown"
    return f"{part.of} − {part.to}, CI {bounds}{unshown}"


def _bounds(bounds: Bounds) -> str:
    return interval(bounds.low, bounds.high, sign=True)
