"""How many planted label errors are at the top of the doctor's list, beside cleanlab's.

Changes 5 % of the training spans of a data set (their type, their boundary, removed, invented; at least 50
of each), trains the folds on what came of it, and counts the planted errors in the first tenth of the list.
cleanlab's token classification scores the same words from the same out-of-fold probabilities: once it
ranks the doctor's spans, each by its worst word, and once it ranks words, as its own list does.

    pip install cleanlab
    python benchmarks/label_errors.py --data ../shared/data/wikineural_en_resplit --model MINILM --folds 5 \\
        --out label_errors

`--again 4` plants the errors in four other places, too, and has the same models judge them. `--only 1` trains
one fold, and measures on its sentences alone.

A second start goes on where the first was stopped. `--train` also writes the recipes that train on the
changed data and on what a perfect reviewer of the first tenth makes of it, and prints the commands that
compare them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.sources import load_corpus
from ner_dist.doctor.folds import train_folds, write_folds, write_sentences
from ner_dist.doctor.probabilities import out_of_fold
from ner_dist.doctor.suspects import suspects
from ner_dist.labels import extract_spans
from ner_dist.recipe import Model, Recipe
from ner_dist.recipe_data import Data, SplitNames
from ner_dist.recipe_file import bare_recipe, to_yaml
from ner_dist.runtime.accelerator import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.data.corpus import Corpus, Split
    from ner_dist.doctor.suspects import Suspect
    from ner_dist.labels import LabelSet

KINDS = ("type", "boundary", "removed", "invented")
LEAST = 50


@dataclass(frozen=True)
class Planted:
    """One error that was put into the tags."""

    kind: str
    start: int
    """First word that the true or the wrong entity covers, counted over all sentences."""
    end: int
    """Behind the last."""


class _Changes:
    """Tags that are changed place by place, never twice at or beside one word."""

    def __init__(self, split: Split, labels: LabelSet) -> None:
        self.tags = split.tags.copy()
        self.outside = labels.label2id["O"]
        self.sentence_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
        self.planted: list[Planted] = []
        self._begins = [labels.label2id[f"B-{name}"] for name in labels.types]
        self._insides = [labels.label2id[f"I-{name}"] for name in labels.types]
        self._touched = np.zeros(len(self.tags), dtype=bool)

    def free(self, start: int, end: int) -> bool:
        """Whether nothing was changed at these words or beside them."""
        return not self._touched[max(0, start - 1) : end + 1].any()

    def blank(self, start: int, end: int) -> bool:
        """Whether words of one sentence, and those beside them, are in no entity."""
        if end > len(self.tags) or self.sentence_of[start] != self.sentence_of[end - 1]:
            return False
        return bool((self.tags[max(0, start - 1) : end + 1] == self.outside).all())

    def change(self, kind: str, was: tuple[int, int] | None, now: tuple[int, int] | None, type_: int) -> None:
        """Put an error in the place of an entity, or of nothing; None is no entity."""
        if was is not None:
            self.tags[was[0] : was[1]] = self.outside
        if now is not None:
            self.tags[now[0]], self.tags[now[0] + 1 : now[1]] = self._begins[type_], self._insides[type_]
        both = [each for each in (was, now) if each is not None]
        start, end = min(each[0] for each in both), max(each[1] for each in both)
        self._touched[start:end] = True
        self.planted.append(Planted(kind, start, end))


def plant(
    split: Split, labels: LabelSet, *, share: float, least: int = LEAST, seed: int
) -> tuple[np.ndarray, list[Planted]]:
    """Change a share of a split's spans.

    Args:
        split: true tags.
        labels: what its ids mean.
        share: of the spans, the four kinds together.
        least: errors of each kind, however few a share of the spans are.
        seed: of the choice.

    Returns:
        The changed tags, int16 [W], and what was planted.
    """
    random = np.random.default_rng(seed)
    spans = extract_spans(split.tags, split.offsets, labels, strict=False)
    each = max(least, round(share * len(spans.start) / len(KINDS)))
    made = _Changes(split, labels)
    count = Counter[str]()
    for index in random.permutation(len(spans.start)).tolist():
        kind = next((kind for kind in KINDS[:3] if count[kind] < each), None)
        if kind is None:
            break
        place, type_ = (int(spans.start[index]), int(spans.end[index])), int(spans.type[index])
        if not made.free(*place):
            continue
        now: tuple[int, int] | None = place
        if kind == "type":
            type_ = int(random.choice([other for other in range(len(labels.types)) if other != type_]))
        elif kind == "removed":
            now = None
        else:
            moves = _moves(*place, made.tags, made.sentence_of, made.outside)
            now = moves[int(random.integers(len(moves)))] if moves else None
            if now is None or not made.free(*now):
                continue
        made.change(kind, place, now, type_)
        count[kind] += 1
    sizes = list(Counter((spans.end - spans.start).tolist()).elements())
    while count["invented"] < each:
        start, size = int(random.integers(len(made.tags))), int(random.choice(sizes))
        if made.blank(start, start + size) and made.free(start, start + size):
            made.change("invented", None, (start, start + size), int(random.integers(len(labels.types))))
            count["invented"] += 1
    return made.tags, made.planted


def _moves(
    start: int, end: int, tags: np.ndarray, sentence_of: np.ndarray, outside: int
) -> list[tuple[int, int]]:
    """Other boundaries of an entity: one word longer or shorter on either side."""
    moves = []
    if start > 0 and sentence_of[start - 1] == sentence_of[start] and tags[start - 1] == outside:
        moves.append((start - 1, end))
    if end < len(tags) and sentence_of[end] == sentence_of[start] and tags[end] == outside:
        moves.append((start, end + 1))
    if end - start > 1:
        moves += [(start + 1, end), (start, end - 1)]
    return moves


@dataclass(frozen=True)
class Place:
    """An item of a ranked list: words that a reviewer looks at, counted over all sentences."""

    start: int
    end: int


def places(found: Sequence[Suspect], offsets: np.ndarray) -> list[Place]:
    """The words of each suspect."""
    made = []
    for suspect in found:
        both = (*suspect.annotated, *suspect.suggested)
        first = int(offsets[suspect.sentence])
        made.append(Place(first + min(span.start for span in both), first + max(span.end for span in both)))
    return made


def found_in(ranked: Sequence[Place], planted: Sequence[Planted], *, first: int) -> Counter[str]:
    """Planted errors of each kind that the first items of a list overlap."""
    seen = {word for place in ranked[:first] for word in range(place.start, place.end)}
    return Counter(error.kind for error in planted if seen.intersection(range(error.start, error.end)))


def cleanlab_scores(tags: np.ndarray, probabilities: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """cleanlab's quality of each word's label, float [W]; low is suspicious."""
    from cleanlab.token_classification.rank import get_label_quality_scores

    bounds = list(pairwise(offsets.tolist()))
    labels = [tags[start:end].tolist() for start, end in bounds]
    _, scores = get_label_quality_scores(labels, [probabilities[start:end] for start, end in bounds])
    return np.concatenate([np.asarray(each, dtype=float) for each in scores])


def measure(
    split: Split, tags: np.ndarray, probabilities: np.ndarray, labels: LabelSet, planted: Sequence[Planted]
) -> dict[str, Any]:
    """Planted errors in the first tenth of each list, by kind, and the size of that tenth."""
    found = suspects(replace(split, tags=tags), tags, probabilities, labels)
    ours = places(found, split.offsets)
    tenth = len(ours) // 10
    lists = {"ner-dist doctor": ours}
    try:
        quality = cleanlab_scores(tags, probabilities, split.offsets)
    except ImportError:
        print("cleanlab is not installed: pip install cleanlab")
    else:
        worst = np.array([quality[place.start : place.end].min() for place in ours])
        lists["cleanlab, our spans by their worst word"] = [
            ours[i] for i in np.argsort(worst, kind="stable").tolist()
        ]
        words = np.argsort(quality, kind="stable")[:tenth].tolist()
        lists["cleanlab, words"] = [Place(word, word + 1) for word in words]
    return {
        "planted": dict(Counter(error.kind for error in planted)),
        "items": len(ours),
        "tenth": tenth,
        "found": {name: dict(found_in(ranked, planted, first=tenth)) for name, ranked in lists.items()},
    }


def table(result: dict[str, Any]) -> list[str]:
    """The result as a Markdown table."""
    planted = result["planted"]
    lines = [
        f"| first {result['tenth']:,} of {result['items']:,} | {' | '.join(KINDS)} | all | share |",
        "|---" * (len(KINDS) + 3) + "|",
        f"| planted | {' | '.join(str(planted[kind]) for kind in KINDS)} | {sum(planted.values())} | |",
    ]
    for name, found in result["found"].items():
        cells = " | ".join(str(found.get(kind, 0)) for kind in KINDS)
        share = sum(found.values()) / sum(planted.values())
        lines.append(f"| {name} | {cells} | {sum(found.values())} | {100 * share:.1f} % |")
    return lines


def reviewed(
    found: Sequence[Suspect], planted: Sequence[Planted], true: np.ndarray, split: Split, labels: LabelSet
) -> list[dict[str, Any]]:
    """What a perfect reviewer makes of suspects: corrections of the planted errors that they overlap."""
    seen = {word for place in places(found, split.offsets) for word in range(place.start, place.end)}
    rows = []
    for error in planted:
        if not seen.intersection(range(error.start, error.end)):
            continue
        sentence = int(np.searchsorted(split.offsets, error.start, side="right")) - 1
        start, end = split.offsets[sentence : sentence + 2].tolist()
        was, now = (
            _spans(tags[start:end], labels, error.start - start, error.end - start)
            for tags in (split.tags, true)
        )
        row = {"decision": "accept", "split": "train", "tokens": split.tokens[sentence]}
        rows.append(row | {"was": was, "now": now})
    return rows


def _spans(tags: np.ndarray, labels: LabelSet, start: int, end: int) -> list[dict[str, Any]]:
    """Entities of one sentence that overlap words start to end."""
    spans = extract_spans(tags, np.array([0, len(tags)]), labels, strict=False)
    rows = zip(spans.start.tolist(), spans.end.tolist(), spans.type.tolist(), strict=True)
    return [
        {"start": first, "end": behind, "type": labels.types[kind]}
        for first, behind, kind in rows
        if first < end and start < behind
    ]


def write_recipes(out: Path, recipe: Recipe, source: str) -> None:
    """Recipes of the changed and of the corrected data, scored on the untouched test split."""
    for split in ("validation", "test"):
        path = out / "data" / f"{split}.jsonl"
        if not path.exists():
            corpus = load_corpus(Data(path=source), splits=[split])
            write_sentences(path, corpus.splits[split], corpus.labels)
    data = recipe.data.model_copy(update={"splits": SplitNames()})
    for name, corrections in (("dirty", None), ("corrected", str(out / "corrections.jsonl"))):
        own = data.model_copy(update={"corrections": corrections})
        changed = recipe.model_copy(
            update={"name": name, "output_dir": str(out / "runs" / name), "data": own}
        )
        (out / f"{name}.yaml").write_text(to_yaml(changed), encoding="utf-8")
    runs = []
    for name in ("dirty", "corrected"):
        for seed in (1, 2, 3):
            run = out / "runs" / f"{name}-{seed}"
            runs.append(str(run))
            print(f"ner-dist train {out / name}.yaml train.seed={seed} output_dir={run}")
    print(f"ner-dist compare {' '.join(runs)} --out {out / 'comparison'}")


def planted_data(arguments: argparse.Namespace, folder: Path) -> tuple[Corpus, np.ndarray, list[Planted]]:
    """The changed corpus as it is read again, the true tags, and what was planted."""
    corpus = load_corpus(Data(path=arguments.data), splits=["train"])
    split = corpus.splits["train"]
    if arguments.sentences is not None:
        split = split.keep(np.arange(len(split)) < arguments.sentences)
    tags, planted = plant(split, corpus.labels, share=arguments.share, seed=arguments.seed)
    write_sentences(folder / "data" / "train.jsonl", replace(split, tags=tags), corpus.labels)
    rows = [asdict(error) for error in planted]
    (folder / "planted.json").write_text(json.dumps(rows), encoding="utf-8")
    return replace(corpus, splits={"train": replace(split, tags=tags)}), split.tags, planted


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with a training split")
    parser.add_argument("--model", required=True, help="encoder: a folder, a hub name, or scratch")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("label_errors"))
    parser.add_argument("--share", type=float, default=0.05, help="of the spans that are changed")
    parser.add_argument("--sentences", type=int, help="of the training split; all if not given")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--again", type=int, default=0, help="times that errors are planted in other places")
    parser.add_argument("--only", type=int, help="folds that are trained and measured on; all if not given")
    parser.add_argument("--train", action="store_true", help="write recipes of the dirty and corrected data")
    parser.add_argument("settings", nargs="*", help="keys of `train`, e.g. train.max_steps=200")
    return parser.parse_args()


@dataclass(frozen=True)
class Judged:
    """The sentences of the trained folds, with errors in their tags and what models say of them."""

    split: Split
    true: np.ndarray
    """int16 [W]: the tags without errors."""
    probabilities: np.ndarray
    planted: list[Planted]

    def keep(self, chosen: np.ndarray) -> Judged:
        """Select sentences, bool [N]."""
        words = np.repeat(chosen, np.diff(self.split.offsets))
        place = np.cumsum(words) - 1
        moved = [
            Planted(error.kind, int(place[error.start]), int(place[error.end - 1]) + 1)
            for error in self.planted
            if words[error.start]
        ]
        return Judged(self.split.keep(chosen), self.true[words], self.probabilities[words], moved)


def main() -> None:
    """Run the command line."""
    arguments = parsed()
    set_up_logging()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    corpus, true, planted = planted_data(arguments, out)
    recipe = Recipe(
        name="label_errors",
        output_dir=str(out / "run"),
        model=Model(name=arguments.model),
        train=bare_recipe(arguments.data, arguments.settings).train,
        data=Data(
            path=str(out / "data"),
            splits=SplitNames(validation=None, test=None),
            label_names=list(corpus.labels.tags),
            deduplicate=False,
            cache_dir=str(out / "cache"),
        ),
    )
    read = load_corpus(recipe.data)
    split, labels = read.splits["train"], read.labels
    folds = write_folds(recipe, read, out, count=arguments.folds)[: arguments.only]
    train_folds(folds)
    probabilities = out_of_fold(folds, labels=labels, offsets=split.offsets)
    trained = np.isin(np.arange(len(split)), np.concatenate([fold.sentences for fold in folds]))
    judged = Judged(split, true, probabilities, planted).keep(trained)
    results = measured(judged, labels, arguments)
    (out / "result.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for each in results:
        print("\n".join(table(each)))
    if arguments.train:
        found = suspects(judged.split, judged.split.tags, judged.probabilities, labels)
        rows = reviewed(found[: results[0]["tenth"]], judged.planted, judged.true, judged.split, labels)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (out / "corrections.jsonl").write_text(lines, encoding="utf-8")
        write_recipes(out, recipe, arguments.data)


def measured(judged: Judged, labels: LabelSet, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The result of the errors that the models were trained beside, and of those planted again."""
    split, known = judged.split, judged.probabilities
    results = [measure(split, split.tags, known, labels, judged.planted)]
    clean = replace(split, tags=judged.true)
    for seed in range(arguments.seed + 1, arguments.seed + 1 + arguments.again):
        tags, planted = plant(clean, labels, share=arguments.share, seed=seed)
        results.append(measure(clean, tags, known, labels, planted))
    return results


if __name__ == "__main__":
    main()
