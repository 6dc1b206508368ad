"""The metadata of a model card, as the Hugging Face hub reads it: base model, data, licence, results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml

from ner_dist.data.one_source import SYNTHETIC
from ner_dist.evaluation.metrics import STRICT
from ner_dist.files import now
from ner_dist.recipe import SCRATCH

if TYPE_CHECKING:
    from ner_dist.evaluation.figures import SplitFigures
    from ner_dist.recipe import Recipe
    from ner_dist.recipe_data import Data, Reading
    from ner_dist.training.results import RunResults


EVAL_RESULTS = ".eval_results"
"""Folder of a model in which the hub looks for scores."""
EXAMPLES = "| type | examples |"
"""Head of the card's table of types, where it has examples."""
FOLDER = "path/to/this/folder"
"""What the examples of a card call the model; on the hub, its name is there."""


@dataclass(frozen=True)
class KnownData:
    """What is known of a data set."""

    licence: str
    """Identifier of the hub."""
    licence_name: str
    languages: tuple[str, ...] = ()
    """Codes of ISO 639-1; of these, a recipe may take one."""


_WIKIPEDIA = ("de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru")
_BY_NC_SA = ("cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0")
# By a part of the name, which copies have too: what their licence forbids is forbidden there as well.
_KNOWN = {
    "multinerd": KnownData(*_BY_NC_SA, (*_WIKIPEDIA, "zh")),
    "wikineural": KnownData(*_BY_NC_SA, _WIKIPEDIA),
    SYNTHETIC: KnownData("apache-2.0", "Apache 2.0", ("en",)),
}
_METRICS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "accuracy": "Accuracy"}


def is_local(name: str) -> bool:
    """Whether the name of a model or of data is a path on this machine."""
    path = Path(name).expanduser()
    return path.exists() or path.is_absolute() or name.startswith((".", "~"))


def public_name(name: str) -> str:
    """A hub name unchanged; a local path shortened to its last part."""
    if not is_local(name):
        return name
    path = Path(name).expanduser().resolve()
    # RUN/model says nothing: the run's name does.
    path = path.parent if path.name == "model" else path
    # The name of a home folder is that of its user.
    return path.name if path.name and path not in (Path.home(), *Path.home().parents) else "local"


def readings(data: Data) -> list[Reading]:
    """The data sets that the data is read from."""
    return [*data.sources] or [data]


def is_public(data: Data) -> bool:
    """Whether anybody can have the data: it is on the hub, or made by ner_dist."""
    return all(each.path == SYNTHETIC or not is_local(each.path) for each in readings(data))


def licences(data: Data) -> list[KnownData | None]:
    """What is known of each data set; None where nothing is."""
    return [_known(each.path) for each in readings(data)]


def _known(path: str) -> KnownData | None:
    if path == SYNTHETIC:
        return _KNOWN[SYNTHETIC]
    name = Path(path).name.lower()
    return next((known for part, known in _KNOWN.items() if part in name and part != SYNTHETIC), None)


def languages(data: Data) -> list[str]:
    """The languages of the data, as codes; empty if they are not known."""
    found: set[str] = set()
    for each, known in zip(readings(data), licences(data), strict=True):
        if each.language is not None:
            found |= {each.language} if re.fullmatch("[a-z]{2,3}", each.language) else set()
        elif known is not None:
            found |= set(known.languages)
    return sorted(found)


def metadata(recipe: Recipe, results: RunResults | None) -> ModelCardData:
    """The block of YAML at the top of the card.

    Args:
        recipe: what the model was trained with.
        results: of the training; None before there are any.
    """
    base, data = recipe.model.name, recipe.data
    on_hub = [each.path for each in readings(data) if each.path != SYNTHETIC and not is_local(each.path)]
    licence = {known.licence if known else None for known in licences(data)}
    index = [] if results is None else _model_index(recipe, results)
    return ModelCardData(
        language=languages(data) or None,
        license=licence.pop() if len(licence) == 1 else None,
        library_name="transformers",
        pipeline_tag="token-classification",
        tags=["named-entity-recognition", "token-classification", "ner_dist"],
        base_model=None if base == SCRATCH or is_local(base) else base,
        datasets=list(dict.fromkeys(on_hub)) or None,
        metrics=list(_METRICS) if index else None,
        model_name=recipe.name if index else None,
        eval_results=index or None,
    )


def _model_index(recipe: Recipe, results: RunResults) -> list[EvalResult]:
    """The scores of each split; with the repeats that were dropped too, as others publish theirs."""
    index = []
    for split, figures in results.scored().items():
        index += _scores(recipe, split, figures, "")
        if figures.with_repeats is not None:
            index += _scores(recipe, split, figures.with_repeats, ", with repeated sentences")
    return index


def _scores(recipe: Recipe, split: str, figures: Any, remark: str) -> list[EvalResult]:
    data = recipe.data
    sources = readings(data)
    named = " + ".join(_plain(public_name(each.path)) for each in sources)
    return [
        EvalResult(
            task_type="token-classification",
            task_name="Named-entity recognition",
            dataset_type=named,
            dataset_name=named + (f" ({_plain(data.language)})" if data.language else ""),
            dataset_config=sources[0].name if len(sources) == 1 else None,
            dataset_revision=sources[0].revision if len(sources) == 1 else None,
            dataset_split=split,
            metric_type=kind,
            metric_name=name + ("" if kind == "accuracy" else f", {STRICT}") + remark,
            metric_value=round(getattr(figures, kind), 4),
            dataset_args=None if recipe.labels == "all" else {"types": list(recipe.labels)},
        )
        for kind, name in _METRICS.items()
    ]


def _plain(name: str) -> str:
    """A name without signs that a page could read as markup."""
    return re.sub(r"[^\w./ +-]", "_", name)


def eval_results(recipe: Recipe, results: RunResults) -> dict[str, list[dict[str, Any]]]:
    """Content of the hub's `.eval_results/NAME.yaml` by NAME: the test F1 on a whole data set of the hub.

    Leaderboards list the model by it, so there is none for some of the types, for splits that the hub's data
    does not have, or for data that was corrected. Repeated sentences count, since they do for others.
    https://huggingface.co/docs/hub/eval-results
    """
    data, figures = recipe.data, results.test
    changed = data.sources or data.corrections or data.split != type(data.split)() or data.files
    if figures is None or changed or recipe.labels != "all" or is_local(data.path) or data.path == SYNTHETIC:
        return {}
    entry = EvalResultEntry(
        dataset_id=data.path,
        task_id=data.name or data.language or "default",
        value=round(_published_f1(figures), 4),
        dataset_revision=data.revision,
        date=now(),
        notes=f"entity F1, {STRICT}, {data.splits.test} split",
    )
    return {public_name(data.path).rpartition("/")[2]: eval_result_entries_to_yaml([entry])}


def _published_f1(figures: SplitFigures) -> float:
    return figures.f1 if figures.with_repeats is None else figures.with_repeats.f1
