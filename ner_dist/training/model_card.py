"""The README.md of a saved model, and what the hub reads beside it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

import yaml
from huggingface_hub import ModelCard
from jinja2 import Environment, PackageLoader, StrictUndefined

from ner_dist import __version__
from ner_dist.comparison.verdict import FEW
from ner_dist.data.one_source import SYNTHETIC
from ner_dist.evaluation.metrics import STRICT
from ner_dist.files import write_atomically
from ner_dist.formatting import counted, joined, score
from ner_dist.outside import as_code, in_markdown
from ner_dist.recipe import SCRATCH
from ner_dist.training import card_examples, card_metadata
from ner_dist.training.card_figures import RESAMPLES, ScoredSplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from ner_dist.recipe import Recipe
    from ner_dist.recipe_data import Reading
    from ner_dist.run.directory import Run
    from ner_dist.training.results import RunResults

_FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
}


def write_card(run: Run, recipe: Recipe, types: Sequence[str], results: RunResults) -> None:
    """Write README.md and `.eval_results/` into RUN/model, from the results and RUN/predictions."""
    scored = [
        ScoredSplit.read(name, figures, run.predictions(name), types=list(types), seed=recipe.train.seed)
        for name, figures in results.scored().items()
    ]
    write_atomically(run.model / "README.md", model_card(recipe, types, results, scored))
    for name, entries in card_metadata.eval_results(recipe, results).items():
        content = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
        write_atomically(run.model / card_metadata.EVAL_RESULTS / f"{name}.yaml", content)


def model_card(
    recipe: Recipe,
    types: Sequence[str],
    results: RunResults | None = None,
    scored: Sequence[ScoredSplit] = (),
) -> str:
    """The text of the saved model's README.md. It names no place on this machine.

    Args:
        recipe: what it was trained with.
        types: what it knows.
        results: of the training; None before there are any.
        scored: the splits in the results.
    """
    data, last = recipe.data, scored[-1] if scored else None
    tried = None if results is None else results.examples
    text = _template().render(
        card_data=card_metadata.metadata(recipe, results).to_yaml(),
        name=in_markdown(recipe.name),
        origin=_origin(recipe),
        languages=card_metadata.languages(data),
        types=types,
        splits=scored,
        last=last,
        shows_examples=last is not None and card_metadata.is_public(data),
        figures=_FIGURES,
        about_results=_about_results(recipe, scored),
        own_example=card_examples.own_example(results),
        words_example=card_examples.WORDS,
        text_example=card_examples.text_example(tried),
        about_words=card_examples.said_of_words(tried, recipe.evaluation.decode),
        about_text=card_examples.said_of_text(tried),
        about_data=_about_data(recipe, results),
        limits=_limits(recipe, types, last),
        licence=_licence(recipe),
    )
    return str(ModelCard(text))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("ner_dist.training"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": as_code, "score": score}
    return environment.get_template("model_card.md")


def _origin(recipe: Recipe) -> str:
    """What was trained by what, on what: a sentence without its end."""
    name = recipe.model.name
    if name == SCRATCH:
        base = "A small encoder, trained from random weights"
    elif card_metadata.is_local(name):
        base = f"{as_code(card_metadata.public_name(name))}, fine-tuned"
    else:
        base = f"[{as_code(name)}](https://huggingface.co/{quote(name)}), fine-tuned"
    return f"{base} by ner_dist {__version__} on {joined(_sources(recipe))}"


def _sources(recipe: Recipe) -> list[str]:
    """The data sets, as the card calls them."""
    return [_source(each) for each in card_metadata.readings(recipe.data)]


def _source(data: Reading) -> str:
    if data.path == SYNTHETIC:
        return "ner_dist's embedded corpus"
    named = as_code(card_metadata.public_name(data.path))
    if not card_metadata.is_local(data.path):
        named = f"[{named}](https://huggingface.co/datasets/{quote(data.path)})"
    return named + (f" ({in_markdown(data.language)})" if data.language else "")


def _about_results(recipe: Recipe, scored: Sequence[ScoredSplit]) -> list[str]:
    if not scored:
        return ["It has not been scored."]
    drawn, level = scored[-1].uncertainty.drawn, 100 * scored[-1].uncertainty.level
    says = [
        f"Precision, recall and F1 are micro averages over entities, {STRICT}.",
        f"Intervals ({level:g} %) are percentiles of the bootstrap: {drawn} were drawn {RESAMPLES:,} times.",
        f"They say nothing about another seed: there was one training, with seed {recipe.train.seed}.",
    ]
    for split in scored:
        if (whole := split.figures.with_repeats) is not None:
            says.append(
                f"With the repeats that were left out, {split.name} has {whole.sentences:,} sentences and "
                f"F1 {score(whole.f1)}."
            )
    return says


def _about_data(recipe: Recipe, results: RunResults | None) -> list[str]:
    """Sizes of the splits, repeats in them, and sentences that training has seen."""
    counts = {} if results is None else results.data
    lines = []
    for name in ("train", "validation", "test"):
        if f"{name}_sentences" not in counts:
            continue
        line = f"{name}: {counted(counts[f'{name}_sentences'], 'sentence')}"
        if repeats := counts.get(f"{name}_duplicates"):
            kept = "left out" if recipe.data.deduplicate else "kept"
            line += f"; {counted(repeats, 'repeated sentence')} {kept}"
        if name != "train" and (seen := counts.get(f"{name}_in_train")):
            line += f"; {counted(seen, 'sentence')} also in train"
        lines.append(f"{line}.")
    return lines or [f"{joined(_sources(recipe))}."]


def _limits(recipe: Recipe, types: Sequence[str], last: ScoredSplit | None) -> list[str]:
    lines = [f"It finds {counted(len(types), 'type')} of entities and no others."]
    if recipe.labels != "all":
        lines.append("The data has more types: their entities were trained and scored as `O`.")
    if last is not None:
        support = {name: one.support for name, one in last.figures.per_type.items()}
        few = [as_code(name) for name, number in support.items() if number < FEW]
        if few:
            lines.append(
                f"Under {FEW} entities in {last.name}, of which a few decide the scores: {', '.join(few)}."
            )
    lines.append(
        "It was scored on text like that of its training. How it does on text of another kind, language or "
        "time was not measured."
    )
    return lines


def _licence(recipe: Recipe) -> str:
    known = card_metadata.licences(recipe.data)
    names = {None if each is None else each.licence_name for each in known}
    data = joined(_sources(recipe)).replace("ner_dist's embedded corpus", "ner_dist's embedded corpus")
    if len(names) == 1 and (name := names.pop()) is not None:
        says = f"{name}, which is the licence of the data ({data})."
    else:
        says = f"None is claimed, since ner_dist does not know that of the data ({data})."
    if recipe.model.name != SCRATCH:
        says += " The terms of the base model apply as well."
    return says
