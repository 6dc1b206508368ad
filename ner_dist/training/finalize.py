"""The end of a training: the best weights become a model, which is scored as saved; figures are checked."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ner_dist.data.prepare import window_sizes
from ner_dist.data.report import count_in_entities
from ner_dist.data.words import TextRule
from ner_dist.errors import UserError, writing
from ner_dist.evaluation import predictions
from ner_dist.evaluation.figures import FORMAT, SplitFigures
from ner_dist.evaluation.json_form import as_json
from ner_dist.evaluation.logit_sample import LogitKeeper
from ner_dist.evaluation.repeats import with_repeats
from ner_dist.files import typed, write_atomically
from ner_dist.labels import look_up
from ner_dist.model.tagger import TaggingModel, load_tagging_model, save_model
from ner_dist.runtime.accelerator import describe, precision_of
from ner_dist.runtime.ranks import on_main_rank
from ner_dist.training import card_examples, model_card
from ner_dist.training.calibrate import calibrate, with_test
from ner_dist.training.checkpoint_files import CheckpointReader
from ner_dist.training.results import Environment, RunResults, TrainFigures, TriedExamples

if TYPE_CHECKING:
    from ner_dist.data.prepared import Prepared
    from ner_dist.evaluation.calibration import CalibrationFigures
    from ner_dist.evaluation.evaluate import EvaluationResult
    from ner_dist.training.metrics_log import MetricsLogger
    from ner_dist.training.trainer import Trainer

log = logging.getLogger(__name__)


def finalize(trainer: Trainer, metrics_log: MetricsLogger) -> None:
    """Save the best model, score it as saved, check the figures, and write the results."""
    metrics_log.flush()
    if trainer.recipe.checkpoint.every is not None:
        trainer.save_checkpoint(metrics_log)
    if trainer.best_step is None and trainer.checkpoints.save_best(
        trainer.loop.step, model=trainer.loop.model, f1=None
    ):
        trainer.best_step = trainer.loop.step
    if trainer.best_step is None:
        raise UserError(
            "the trained weights could not be saved",
            where=str(trainer.run.checkpoints),
            fix="free disk space and repeat the command",
        )
    on_main_rank(trainer.accelerator, partial(_save_model, trainer, trainer.best_step))
    results = _results(trainer, metrics_log)
    trainer.checkpoints.wait()
    for event in trainer.checkpoints.take_events():
        metrics_log.write(event)
    on_main_rank(trainer.accelerator, lambda: _write_results(trainer, results))


def _save_model(trainer: Trainer, best_step: int) -> None:
    with writing(trainer.run.model):
        save_model(
            trainer.run,
            weights=CheckpointReader(trainer.checkpoints.best(best_step)).weights(),
            config=trainer.config,
            tokenizer=trainer.task.data.tokenizer,
            card=model_card.model_card(trainer.recipe, trainer.task.labels.types),
            settings=_own_settings(trainer),
        )


def _own_settings(trainer: Trainer) -> dict[str, Any]:
    """What the model's config says to ner_dist, so that its folder alone tags as the run was scored.

    Sentences that were split into words already were cut by no rule, and several sources by no single one.
    """
    data, (longest, overlap) = trainer.recipe.data, _window_sizes(trainer)
    settings: dict[str, Any] = {
        "decode": trainer.recipe.evaluation.decode,
        "precision": precision_of(trainer.accelerator),
        "max_length": longest,
        "overlap": overlap,
    }
    if trainer.task.data.splits["train"].chars is not None and not data.sources:
        settings["text"] = TextRule(data.words, data.sentences).as_dict()
    return settings


def _write_results(trainer: Trainer, results: RunResults) -> None:
    model_card.write_card(trainer.run, trainer.recipe, trainer.task.labels.types, results)
    write_atomically(trainer.run.results, json.dumps(as_json(results), indent=1) + "\n")
    log.info("results in %s, model in %s", trainer.run.results, trainer.run.model)
    run = typed(trainer.run.folder)
    log.info("a page of its curves, scores and errors: ner-dist report %s", run)
    log.info("which of two runs is better: ner-dist compare %s OTHER_RUN --out FOLDER", run)


def _results(trainer: Trainer, metrics_log: MetricsLogger) -> RunResults:
    """The figures of the training, and the scores of the saved model."""
    task, accelerator = trainer.task, trainer.accelerator
    inside = {
        f"{name}_words_without_subwords_in_entities": count_in_entities(split)[1]
        for name, split in task.splits.items()
    }
    train = _train_figures(trainer, metrics_log)  # before the final scoring, whose time is not training's
    scores, calibration, examples = _final_scores(trainer, metrics_log)
    return RunResults(
        format=FORMAT,
        name=trainer.recipe.name,
        labels=list(task.labels.types),
        train=train,
        data={"fingerprint": task.data.fingerprint, **task.data.counts, **inside, **_sources(task.data)},
        environment=Environment(
            strategy=describe(accelerator),
            processes=accelerator.num_processes,
            precision=precision_of(accelerator),
        ),
        **scores,
        calibration=calibration,
        examples=examples,
    )


def _sources(data: Prepared) -> dict[str, list[dict[str, Any]]]:
    """What each source gave and annotates; nothing for data of one source."""
    return {"sources": [asdict(source) for source in data.sources]} if data.sources else {}


def _train_figures(trainer: Trainer, metrics_log: MetricsLogger) -> TrainFigures:
    last = max(metrics_log.epoch_loss, default=-1)
    total, weight = metrics_log.epoch_loss.get(last, (0.0, 0.0))
    settings = trainer.task.fixed.train
    return TrainFigures(
        loss=total / weight if weight else None,
        loss_is="mean over the labelled words trained on in the last epoch, with dropout"
        + ("" if settings.class_weights is None else ", weighted by class"),
        steps=trainer.loop.step,
        epochs=settings.epochs,
        batch_tokens=settings.batch_tokens,
        learning_rate=settings.learning_rate,
        best_step=trainer.best_step,
        seconds=metrics_log.seconds,
    )


def _final_scores(
    trainer: Trainer, metrics_log: MetricsLogger
) -> tuple[dict[str, SplitFigures], CalibrationFigures | None, TriedExamples | None]:
    """Score the saved model on validation and test; check the figures against the written predictions.

    From the logits of the same passes, calibrate the model.
    """
    tagger, _ = load_tagging_model(
        trainer.run.model, precision=precision_of(trainer.accelerator), device=trainer.accelerator.device
    )
    projection = trainer.task.data.labels.projection(trainer.task.labels)
    scores: dict[str, SplitFigures] = {}
    calibration, examples = None, None
    for split in ("validation", "test"):
        if split not in trainer.task.splits:
            continue
        keeper = LogitKeeper(trainer.task.splits[split])
        evaluation = trainer.evaluate_split(
            tagger, split, metrics_log, with_predictions=True, keep=keeper.keep
        )
        on_main_rank(trainer.accelerator, partial(_write_predictions, trainer, split, evaluation))
        published = with_repeats(
            evaluation, trainer.task.splits[split].prepared, gold_of=lambda tags, _: look_up(projection, tags)
        )
        if published is not None:
            log.info("%s as published: %s", split, published)
        scores[split] = replace(evaluation.figures, with_repeats=published)
        calibration = _calibrate(trainer, split, keeper, calibration)
        # On the last of them: test, where there is one.
        examples = partial(_try_examples, trainer, split, tagger, evaluation)
    tried = None if examples is None else on_main_rank(trainer.accelerator, examples)
    return scores, calibration, tried


def _calibrate(
    trainer: Trainer, split: str, keeper: LogitKeeper, known: CalibrationFigures | None
) -> CalibrationFigures | None:
    """Fit the model's temperature on validation; measure on test what it does."""
    sample, decode = keeper.gather(trainer.accelerator), trainer.recipe.evaluation.decode
    if split == "validation":
        work = partial(calibrate, trainer.run.model, sample, decode=decode)
        return on_main_rank(trainer.accelerator, work)
    if known is None:
        return None
    return on_main_rank(trainer.accelerator, partial(with_test, known, sample, decode=decode))


def _try_examples(
    trainer: Trainer, split: str, tagger: TaggingModel, evaluation: EvaluationResult
) -> TriedExamples | None:
    assert evaluation.predicted is not None
    longest, overlap = _window_sizes(trainer)
    return card_examples.try_examples(
        tagger.model,
        trainer.run.model,
        name=split,
        split=trainer.task.splits[split].prepared,
        predicted=evaluation.predicted,
        labels=trainer.task.labels,
        longest=longest,
        overlap=overlap,
        precision=precision_of(trainer.accelerator),
    )


def _window_sizes(trainer: Trainer) -> tuple[int, int]:
    return window_sizes(trainer.recipe, trainer.task.config, trainer.task.data.tokenizer)


def _write_predictions(trainer: Trainer, split: str, evaluation: EvaluationResult) -> None:
    assert evaluation.predicted is not None
    path, figures = trainer.run.predictions(split), evaluation.figures
    with writing(path):
        predictions.write_predictions(
            path,
            trainer.task.splits[split],
            evaluation.predicted,
            confidence=evaluation.confidence,
            training=trainer.task.training_text,
        )
    predictions.verify(path, figures)
    log.info(
        "%s: F1 %.4f  precision %.4f  recall %.4f  accuracy %.4f  loss %.4f (%s, equal to seqeval's)",
        split,
        *(figures.f1, figures.precision, figures.recall, figures.accuracy, figures.loss),
        figures.scheme,
    )
    if figures.decoding is not None:
        legal, greedy = figures.decoding.viterbi.f1, figures.decoding.greedy.f1
        log.info(
            "%s: F1 %.4f of legal tags (viterbi), %.4f of each word's own (greedy)", split, legal, greedy
        )
