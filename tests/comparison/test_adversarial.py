"""Comparisons that invite a wrong verdict: each has the right one, in either order of the arguments."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ner_dist.comparison.compare import compare as compare_models
from ner_dist.comparison.results import Comparison
from ner_dist.errors import UserError
from tests.comparison.made_runs import project, write_run
from tests.report.examples import sentences, tagged

TYPES = ("PER", "LOC")
RESAMPLES = 500
Lines = list[dict[str, Any]]


def base(number: int = 100) -> Lines:
    """Sentences whose words are all different."""
    made = sentences(number, types=TYPES)
    for sentence in made:
        sentence["tokens"] = [f"{word}.{sentence['id']}" for word in sentence["tokens"]]
    return made


def said(errors: float = 0.1, seed: int = 1, number: int = 100) -> Lines:
    return tagged(base(number), errors=errors, seed=seed, types=TYPES)


A, B = said(seed=1), said(seed=2)


def only(lines: Lines, *keys: str) -> Lines:
    return [{key: line[key] for key in (*keys, "gold", "predicted")} for line in lines]


def shuffled(lines: Lines) -> Lines:
    return random.Random(1).sample(lines, len(lines))


def predicted(lines: Lines, change: Callable[[list[str]], list[str]]) -> Lines:
    return [line | {"predicted": change(line["predicted"])} for line in lines]


def outside(tags: list[str]) -> list[str]:
    return ["O"] * len(tags)


def iob1(tags: list[str]) -> list[str]:
    """An entity begins with I- unless it follows one of the same type."""
    before = ["O", *tags]
    return [
        f"I-{tag[2:]}" if tag.startswith("B-") and old[2:] != tag[2:] else tag
        for old, tag in zip(before, tags, strict=False)
    ]


def other_words(lines: Lines, share: float) -> Lines:
    """Another tokenisation, or another test set: these words are in no other file."""
    last = int(share * len(lines))
    return [
        line | {"tokens": [f"_{word}" for word in line["tokens"]]} if i < last else line
        for i, line in enumerate(lines)
    ]


def renamed(lines: Lines, old: str, new: str, *keys: str) -> Lines:
    return [line | {key: [tag.replace(old, new) for tag in line[key]] for key in keys} for line in lines]


def right_on(lines: Lines, kept: range, tag: str) -> Lines:
    """Some sentences of one entity more, on which gold and prediction are a type of this file's own."""
    extra = [{"id": f"x{i}", "tokens": [f"x{i}"], "gold": [tag], "predicted": [tag]} for i in kept]
    return [*lines, *extra]


def without_its_errors(lines: Lines) -> Lines:
    return [line for line in lines if line["gold"] == line["predicted"]]


@dataclass
class Case:
    """Two files, and what their comparison is to say; `refused` if there is none."""

    a: Lines
    b: Lines
    says: Sequence[str] = ()
    """Parts of the verdict's text."""
    refused: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    same_order: bool = True
    """Whether both files hold their sentences in one order: then the same units are drawn in both orders."""


UNSHOWN, LEFT_OUT = "no difference is shown", "which leaves out"
CASES = {
    "identical files": Case(A, A, ["both have F1", UNSHOWN, "p = 1.00"]),
    "disjoint labels": Case(
        renamed(A, "LOC", "PER", "gold", "predicted"),
        renamed(renamed(B, "PER", "LOC", "gold", "predicted"), "LOC", "DIS", "gold", "predicted"),
        refused="share no entity type",
    ),
    "all O predicted": Case(A, predicted(B, outside), ["A leads by", "differ by more than the chance"]),
    "all O": Case(
        *([line | {"gold": outside(line["gold"]), "predicted": outside(line["gold"])} for line in A],) * 2,
        refused="every tag is O",
    ),
    "shuffled, with words": Case(A, shuffled(B), [UNSHOWN], same_order=False),
    "shuffled, with ids": Case(only(A, "id"), shuffled(only(B, "id")), [UNSHOWN], same_order=False),
    "shuffled, neither": Case(
        only(A), shuffled(only(B)), refused="neither ids nor the order of gold tags tell"
    ),
    "blocks in another order, without words": Case(
        only(A),
        only([*B[70:], *B[:70]]),
        [LEFT_OUT, "cannot be known whether some sentences are copies"],
        same_order=False,
    ),
    "twice, with words": Case(only(A * 2, "tokens"), only(B * 2, "tokens"), [UNSHOWN]),
    "three times, with words": Case(only(A * 3, "tokens"), only(B * 3, "tokens"), [UNSHOWN]),
    "twice, without words": Case(only(A * 2), only(B * 2), [UNSHOWN]),
    "three times, without words": Case(only(A * 3), only(B * 3), [UNSHOWN]),
    "three times in a row, without words": Case(
        only([line for line in A for _ in range(3)]), only([line for line in B for _ in range(3)]), [UNSHOWN]
    ),
    "gold that decides who leads": Case(
        right_on(A, range(40), "B-PER"),
        right_on(B, range(40), "B-LOC"),
        ["The gold of 40 more sentences differs", "Who leads depends on whose gold is right"],
    ),
    "another tokenisation": Case(A, other_words(B, 0.3), [LEFT_OUT, "30 of A and 30 of B"]),
    "another test set": Case(A, other_words(B, 0.8), refused="only 20 of 100 sentences can be compared"),
    "another test set, asked for": Case(
        A, other_words(B, 0.8), ["80 of A and 80 of B"], settings={"partial": True}
    ),
    "lower-cased words": Case(
        [line | {"tokens": [word.upper() for word in line["tokens"]]} for line in A], B, ["100 sentences"]
    ),
    "IOB1 gold": Case(
        A,
        [line | {"gold": iob1(line["gold"])} for line in B],
        ["100 sentences", UNSHOWN],
    ),
    "IOB1 predictions": Case(A, predicted(B, iob1), ["100 sentences", UNSHOWN]),
    "what it gets wrong is left out": Case(
        said(0.03, seed=1),
        without_its_errors(said(0.03, seed=1)),
        [LEFT_OUT, "A file that leaves out what its model gets wrong looks better"],
    ),
    "another label set": Case(
        renamed(A, "LOC", "LOC", "gold"),
        [line | {key: project(line[key], ["PER"]) for key in ("gold", "predicted")} for line in B],
        ["because the task is another"],
    ),
}
ANSWERED = [name for name, case in CASES.items() if case.refused is None]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Compare files of lines, in their order; what was compared before is not compared again."""
    folder = tmp_path_factory.mktemp("adversarial")
    known: dict[tuple[str, ...], Comparison] = {}

    def compared(*files: Lines, **settings) -> Comparison:
        texts = tuple("".join(json.dumps(line) + "\n" for line in lines) for lines in files)
        if texts not in known:
            paths = [folder / f"{number}.jsonl" for number in range(len(texts))]
            for path, text in zip(paths, texts, strict=True):
                path.write_text(text)
            known[texts] = compare_models(*paths, out=folder / "out", resamples=RESAMPLES, **settings)
        return known[texts]

    return compared


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_right(compared, name):
    case = CASES[name]
    if case.refused is not None:
        for order in ((case.a, case.b), (case.b, case.a)):
            with pytest.raises(UserError, match=case.refused):
                compared(*order, **case.settings)
        return
    verdict = compared(case.a, case.b, **case.settings).verdict
    text = " ".join([verdict.paragraph, *verdict.caveats])
    for part in case.says:
        assert part in text, text


@pytest.mark.parametrize("name", ANSWERED)
def test_swapping_the_arguments_changes_signs_and_nothing_else(compared, name):
    case = CASES[name]
    there = compared(case.a, case.b, **case.settings)
    back = compared(case.b, case.a, **case.settings)
    assert there.shared.models["A"] == back.shared.models["B"]
    assert there.shared.models["B"] == back.shared.models["A"]
    one, other = there.decomposition["B"], back.decomposition["B"]
    for part in ("gap", "label_set", "sentences", "gold", "model", "task"):
        assert getattr(one, part) == pytest.approx(-getattr(other, part), abs=1e-12)
    (mine,), (theirs,) = there.uncertainty.differences, back.uncertainty.differences
    # Draws follow the order of the first file, so bounds of files in two orders differ by Monte Carlo error.
    rough = {} if case.same_order else {"abs": 0.02}
    for here, there_cell in zip(
        mine.figures.overall().values(), theirs.figures.overall().values(), strict=True
    ):
        assert here.difference == pytest.approx(-there_cell.difference, abs=1e-12)
        bounds = (-there_cell.trained.high, -there_cell.trained.low)
        assert (here.trained.low, here.trained.high) == pytest.approx(bounds, **(rough or {"abs": 1e-12}))
        assert here.trained.p_holm == pytest.approx(there_cell.trained.p_holm, abs=0.1 if rough else 1e-12)
        assert here.significant == there_cell.significant
    assert len(there.verdict.lines) == len(back.verdict.lines)


@pytest.mark.parametrize("name", [name for name in ANSWERED if name.startswith(("twice", "three times"))])
def test_copies_change_no_interval(compared, name):
    case = CASES[name]
    several, once = (
        compared(*files).uncertainty.differences[0].figures.micro.f1.trained
        for files in ((case.a, case.b), (A, B))
    )
    assert (several.low, several.high) == pytest.approx((once.low, once.high), abs=0.006)


def test_orders_of_words_and_ids_change_no_figure(compared):
    plain = compared(A, B)
    for name in ("shuffled, with words", "shuffled, with ids"):
        assert compared(CASES[name].a, CASES[name].b).shared.models == plain.shared.models


def seeds_of(folder: Path, name: str, seeds: Sequence[int], errors: float = 0.1) -> list[Path]:
    runs = []
    for seed in seeds:
        lines = said(errors, seed=seed + 100 * ord(name))
        run = write_run(folder / f"{name}-{seed}", list(TYPES), lines, name=name)
        (run / "recipe.yaml").write_text(
            f"name: {name}\noutput_dir: {run}\ndata: {{path: news}}\ntrain: {{seed: {seed}}}\n"
        )
        runs.append(run)
    return runs


@pytest.mark.parametrize(
    ("of_a", "of_b"),
    [([1], [1, 2, 3, 4, 5]), ([1, 2, 3], [1, 2, 3]), ([1, 2, 3], [4, 5, 6]), ([1, 2], [1, 2])],
)
def test_seeds_of_two_recipes_are_grouped_and_swapping_them_changes_signs_alone(tmp_path, of_a, of_b):
    a, b = seeds_of(tmp_path, "a", of_a), seeds_of(tmp_path, "b", of_b, errors=0.14)
    there, back = (
        compare_models(*order, out=tmp_path / "out", resamples=100) for order in ((*a, *b), (*b, *a))
    )
    assert [len(run.paths) for run in there.runs.values()] == [len(of_a), len(of_b)]
    (mine,), (theirs,) = there.uncertainty.differences, back.uncertainty.differences
    here, other = mine.figures.micro.f1, theirs.figures.micro.f1
    assert here.difference == pytest.approx(-other.difference)
    assert (here.recipes.low, here.recipes.high) == pytest.approx((-other.recipes.high, -other.recipes.low))
    assert here.recipes.p == pytest.approx(other.recipes.p)
    assert f"{len(of_a)} and {len(of_b)} trainings" in there.verdict.paragraph


def test_three_seeds_of_one_recipe_are_refused(tmp_path):
    with pytest.raises(UserError, match="the runs are of one model"):
        compare_models(*seeds_of(tmp_path, "a", [1, 2, 3]), out=tmp_path / "out")


@pytest.mark.parametrize("number", [3, 5])
def test_equal_models_are_ranked_alike_in_one_short_paragraph(compared, number):
    files = [said(seed=seed) for seed in range(number)]
    comparison = compared(*files)
    assert set(comparison.uncertainty.ranks.values()) == {1}
    assert len(comparison.verdict.paragraph.split()) < 130
    back = compared(*files[::-1])
    assert [*comparison.shared.models.values()] == [*back.shared.models.values()][::-1]
