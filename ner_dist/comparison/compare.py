"""Compare models: each on its own labels, all on the same ground, and explain the gap between the two.

A model with fewer types has an easier task, so headline scores with different label sets do not show which
model is better. Scores on the same ground do: on the types that all models know and the sentences that all
tagged.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.comparison.aligned import align_predictions
from ner_dist.comparison.calibration import calibration
from ner_dist.comparison.claims import SeedSpread
from ner_dist.comparison.data_effects import effects
from ner_dist.comparison.decomposition import decomposition
from ner_dist.comparison.earlier_runs import earlier_spread
from ner_dist.comparison.error_analysis import errors
from ner_dist.comparison.models import ComparedModel, models_of
from ner_dist.comparison.requirements import check_models, outcomes
from ner_dist.comparison.results import Comparison, Headline, ModelInfo, SharedScores
from ner_dist.comparison.scores import mean, std
from ner_dist.comparison.third_models import third_models
from ner_dist.comparison.trainings import TrainingInfo, trainings
from ner_dist.comparison.uncertainty import uncertainty
from ner_dist.comparison.variance import variance_parts
from ner_dist.comparison.verdict import Findings, verdict
from ner_dist.errors import UserError
from ner_dist.evaluation import metrics
from ner_dist.files import check_folder, printable, read_json, write_all
from ner_dist.formatting import counted, joined
from ner_dist.run.directory import Run, is_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.left_out import AlignmentSummary
    from ner_dist.comparison.requirements import Requirement
    from ner_dist.data.renaming import Renaming
    from ner_dist.data.tags import Repair
    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)

RESAMPLES = 10_000
LEAST_SHARE = 0.5
"""Least share of the largest file's sentences that has to be compared."""
COMPARED = "compare.json"
REPORTS = ("report.md", "report.html")
"""Files that `ner-dist compare` writes beside compare.json."""


def compare(
    *paths: str | Path,
    out: str | Path,
    resamples: int = RESAMPLES,
    names: Mapping[str, str] | None = None,
    grouped: Mapping[str, Sequence[str | Path]] | None = None,
    renaming: Renaming | None = None,
    repair: Repair = "none",
    seed_sd: float | None = None,
    seed_sd_from: Sequence[str | Path] = (),
    partial: bool = False,
    split: str = "test",
    requirements: Sequence[Requirement] = (),
    pages: Callable[[Comparison], dict[str, str]] = lambda _: {},
) -> Comparison:
    """Compare two or more models and write compare.json; replace reports of earlier figures.

    Args:
        paths: complete runs, and files of predictions. Two are models A and B; of more, runs whose recipes
            differ only in `train.seed` form one model, and letters follow the first run of each.
        out: folder for `compare.json`.
        resamples: number of resamples of the bootstrap and of the randomisation test.
        names: names for models, by letter.
        grouped: by letter: runs or files that are seeds of one model. The models of `paths` then have the
            other letters.
        renaming: new names for types, in all files that contain them; None drops a type.
        repair: repair of gold tags, as in `data.repair`.
        seed_sd: standard deviation of F1 between seeds, known from elsewhere, for models with one run each.
        seed_sd_from: folders of earlier runs of several seeds, which show this standard deviation.
        partial: compare on less than half of a file's sentences too.
        split: split of the runs whose predictions are compared, `test` or `validation`.
        requirements: what is required of the models; whether it holds is part of the result.
        pages: gives the reports to write beside compare.json, by name; where there is no room for them,
            nothing is written.

    Raises:
        UserError: a path is missing, incomplete or holds no predictions, the models share no type or
            sentence, less than half of the sentences are compared and not `partial`, `out` is a run,
            `seed_sd` or `seed_sd_from` is given for models of several seeds, or a requirement names another
            model.
    """
    out = Path(out)
    check_folder(out, where="--out", files=(COMPARED, *REPORTS))
    if is_run(Run(out)):
        raise UserError(
            "is a run, which has a report of its own",
            where=f"--out {printable(out)}",
            fix="name another folder",
        )
    models = models_of(paths, names, grouped=grouped, renaming=renaming, repair=repair, split=split)
    check_models(requirements, models)
    own = {letter: model.own for letter, model in models.items()}
    aligned, alignment = align_predictions(own, {letter: model.seeds for letter, model in models.items()})
    if not partial:
        _check_share(models, alignment)
    alignment = replace(alignment, notes=[*alignment.notes, *_notes(models, split)])
    if repair == "none":  # else its gold is another than the run's
        _check_headlines(models, split)
    folders = {letter: model.runs for letter, model in models.items()}
    recipes = {letter: model.recipe for letter, model in models.items() if model.recipe is not None}
    trained = trainings(folders, recipes)
    described = {letter: _described(model, trained[letter]) for letter, model in models.items()}
    spread = _seed_spread(seed_sd, seed_sd_from, split, recipes, models)
    measured = uncertainty(aligned, resamples=resamples, known=spread)
    findings = Findings(
        runs=described,
        headline={
            letter: Headline(mean(model.headline), std(model.headline)) for letter, model in models.items()
        },
        alignment=alignment,
        shared=_on_same_ground(aligned),
        decomposition=decomposition(own, aligned),
        uncertainty=measured,
        variance=variance_parts(aligned, own, {letter: model.refits for letter, model in models.items()}),
        third_models=third_models(
            recipes, {letter: run.labels for letter, run in described.items()}, measured
        ),
    )
    comparison = Comparison(
        runs=findings.runs,
        split=split,
        scheme=metrics.STRICT,
        headline=findings.headline,
        alignment=alignment,
        shared=findings.shared,
        decomposition=findings.decomposition,
        third_models=findings.third_models,
        renaming=dict(renaming) if renaming else None,
        uncertainty=findings.uncertainty,
        verdict=verdict(findings),
        errors={model: errors(aligned, model) for model in aligned.models},
        calibration={model: calibration(aligned, model) for model in aligned.models},
        effects=effects(aligned),
        variance=findings.variance,
        aligned=aligned,
        folders=folders,
        requirements=outcomes(requirements, findings.uncertainty, findings.f1_by_gold),
    )
    _note_replaced(out, comparison)
    text = json.dumps(comparison.figures, indent=1, ensure_ascii=False, allow_nan=False)
    reports = pages(comparison)
    write_all({out / name: content for name, content in {COMPARED: text + "\n", **reports}.items()})
    # Reports of earlier figures would contradict the new compare.json.
    for name in {*REPORTS} - reports.keys():
        (out / name).unlink(missing_ok=True)
    return comparison


def _seed_spread(
    seed_sd: float | None,
    folders: Sequence[str | Path],
    split: str,
    recipes: Mapping[str, Recipe],
    models: Mapping[str, ComparedModel],
) -> SeedSpread | None:
    """What is known of seeds besides what the compared runs show."""
    if seed_sd is None and not folders:
        return None
    option = "--seed-sd" if seed_sd is not None else "--seed-sd-from"
    if any(len(model.paths) > 1 for model in models.values()):
        raise UserError(
            "the runs show how F1 varies between seeds", where=option, fix="leave out this option"
        )
    if seed_sd is None:
        return earlier_spread(folders, split, [*recipes.values()])
    if folders:
        raise UserError("contradicts --seed-sd", where="--seed-sd-from", fix="leave out one of the two")
    return SeedSpread(seed_sd)


def _note_replaced(out: Path, comparison: Comparison) -> None:
    """Log which comparison of other models this one replaces in a folder."""
    earlier = read_json(out / COMPARED).get("runs")
    if not isinstance(earlier, dict):
        return
    runs = [run["paths"] for run in earlier.values() if isinstance(run, dict) and "paths" in run]
    paths = [str(path) for own in runs if isinstance(own, list) for path in own]
    if sorted(paths) != sorted(path for run in comparison.runs.values() for path in run.paths):
        log.info("replaces the comparison of %s in %s", joined(paths, most=4), printable(out))


def _described(model: ComparedModel, training: TrainingInfo | None) -> ModelInfo:
    return ModelInfo(
        name=model.name,
        paths=model.paths,
        seeds=model.seeds,
        labels=list(model.own[0].labels.types),
        sentences=len(model.own[0]),
        training=training,
    )


def _on_same_ground(aligned: AlignedPredictions) -> SharedScores:
    return SharedScores(
        types=list(aligned.labels.types),
        sentences=len(aligned),
        models={model: mean(runs) for model, runs in aligned.scores.items()},
        std={model: std(runs) for model, runs in aligned.scores.items()},
    )


def _check_share(models: dict[str, ComparedModel], alignment: AlignmentSummary) -> None:
    largest = max((run for model in models.values() for run in model.own), key=len)
    if alignment.sentences < LEAST_SHARE * len(largest):
        raise UserError(
            f"only {alignment.sentences:,} of {counted(len(largest), 'sentence')} can be compared: the "
            "others are not in all files, or their gold differs",
            where=largest.source,
            fix="name predictions on one test set, or pass --partial to compare on these alone",
        )


def _notes(models: dict[str, ComparedModel], split: str) -> list[str]:
    """Remarks on the ground that follow from what is compared."""
    notes = []
    plain = [letter for letter, model in models.items() if model.runs[0] is None]
    if plain:
        notes.append(
            f"The labels of {', '.join(plain)} are the types that occur in the file: "
            "a type that a model knows and that is nowhere in it cannot be seen."
        )
    if split == "validation" and len(plain) < len(models):
        notes.append(
            "Runs are compared on the validation split, which chose their weights: test scores are usually "
            "lower."
        )
    return notes


def _check_headlines(models: dict[str, ComparedModel], split: str) -> None:
    """Warn where a run's results.json disagrees with its predictions."""
    for model in models.values():
        for path, predictions, headline in zip(model.paths, model.own, model.headline, strict=True):
            f1, published = predictions.scores.f1, headline.of(split).f1
            if published is not None and abs(f1 - published) > 1e-9:
                log.warning(
                    "%s: results.json says %s F1 %.4f, its predictions give %.4f: one of them was replaced",
                    *(path, split, published, f1),
                )
