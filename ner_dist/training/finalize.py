"""The end of a training: the best weights become a model, which is scored as saved; figures are checked."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from ner_dist.data.prepare import window_limit
from ner_dist.data.report import count_in_entities
from ner_dist.errors import UserError, writing
from ner_dist.evaluation import predictions
from ner_dist.evaluation.repeats import in_words, with_repeats
from ner_dist.files import typed, write_atomically
from ner_dist.model.tagger import Tagger, load_tagger, save_model
from ner_dist.runtime.accelerator import describe, precision_of
from ner_dist.runtime.ranks import from_main
from ner_dist.training import auto, model_card
from ner_dist.training.checkpoint_files import Saved

if TYPE_CHECKING:
    from ner_dist.evaluation.evaluate import Evaluation
    from ner_dist.training.metrics_log import Recorder
    from ner_dist.training.trainer import Session

log = logging.getLogger(__name__)


def finish(session: Session, recorder: Recorder) -> None:
    """Save the best model, score it as saved, check the figures, and write the results."""
    recorder.flush()
    if session.recipe.checkpoint.every is not None:
        session.save_checkpoint(recorder)
    if session.best_step is None and session.checkpoints.save_best(
        session.training.position, model=session.training.model, f1=None
    ):
        session.best_step = session.training.position
    if session.best_step is None:
        raise UserError(
            "the trained weights could not be saved",
            where=str(session.run.checkpoints),
            fix="free disk space and give the same command again",
        )
    from_main(session.accelerator, partial(_save_model, session, session.best_step))
    written = _train_figures(session, recorder) | _final_scores(session, recorder)
    session.checkpoints.wait()
    for event in session.checkpoints.take_reports():
        recorder.write(event)
    from_main(session.accelerator, lambda: _write_results(session, written))


def _save_model(session: Session, best_step: int) -> None:
    with writing(session.run.model):
        save_model(
            session.run,
            weights=Saved(session.checkpoints.best(best_step)).weights(),
            config=session.config,
            tokenizer=session.data.tokenizer,
            card=model_card.model_card(session.recipe, session.labels),
        )


def _write_results(session: Session, written: dict[str, Any]) -> None:
    readme = model_card.model_card(session.recipe, session.labels, written)
    write_atomically(session.run.model / "README.md", readme)
    write_atomically(session.run.results, json.dumps(written, indent=1) + "\n")
    log.info("results in %s, model in %s", session.run.results, session.run.model)
    run = typed(session.run.folder)
    log.info("a page of its curves, scores and errors: ner-dist report %s", run)
    log.info("which of two runs is better: ner-dist compare %s OTHER_RUN --out FOLDER", run)


def _train_figures(session: Session, recorder: Recorder) -> dict[str, Any]:
    last = max(recorder.epoch_loss, default=-1)
    total, weight = recorder.epoch_loss.get(last, (0.0, 0.0))
    loss = total / weight if weight else None
    return {
        "name": session.recipe.name,
        "labels": list(session.labels.types),
        "train": {
            "loss": loss,
            "loss_is": "mean over the labelled words trained on in the last epoch, with dropout"
            + ("" if session.recipe.train.class_weights is None else ", weighted by class"),
            "steps": session.training.position,
            **{key: getattr(session.fixed.train, key) for key in auto.KEYS},
            "best_step": session.best_step,
            "seconds": recorder.seconds,
        },
        "data": {
            "fingerprint": session.data.fingerprint,
            **session.data.report,
            **{
                f"{name}_words_without_subwords_in_entities": count_in_entities(
                    split, session.tags(name), session.labels
                )[1]
                for name, split in session.data.splits.items()
            },
        },
        "environment": {
            "strategy": describe(session.accelerator),
            "processes": session.accelerator.num_processes,
            "precision": precision_of(session.accelerator),
        },
    }


def _final_scores(session: Session, recorder: Recorder) -> dict[str, Any]:
    """Score the saved model on validation and test; check the figures against the written predictions."""
    tagger, _ = load_tagger(
        session.run.model, precision=precision_of(session.accelerator), device=session.accelerator.device
    )
    figures: dict[str, Any] = {}
    for split in ("validation", "test"):
        if split not in session.data.splits:
            continue
        evaluation = session.score(tagger, split, recorder, with_predictions=True)
        figures[split] = evaluation.as_dict()
        from_main(session.accelerator, partial(_write_predictions, session, split, evaluation))
        whole = with_repeats(
            evaluation, session.data.splits[split], gold_of=lambda tags, _: session.projection[tags]
        )
        if whole is not None:
            figures[split]["with_repeats"] = whole
            log.info("%s as published: %s", split, in_words(whole))
        tried = partial(_try_examples, session, split, tagger, evaluation)
    if figures:
        # On the last of them: test, where there is one.
        figures["examples"] = from_main(session.accelerator, tried)
    return figures


def _try_examples(
    session: Session, split: str, tagger: Tagger, evaluation: Evaluation
) -> dict[str, Any] | None:
    assert evaluation.predicted is not None
    longest = min(window_limit(session.recipe), session.data.tokenizer.model_max_length)
    return model_card.try_examples(
        tagger.model,
        session.run.model,
        name=split,
        split=session.data.splits[split],
        predicted=evaluation.predicted,
        labels=session.labels,
        longest=longest,
        overlap=min(session.recipe.data.window_overlap, longest // 4),
        precision=precision_of(session.accelerator),
    )


def _write_predictions(session: Session, split: str, evaluation: Evaluation) -> None:
    assert evaluation.predicted is not None
    path, figures = session.run.predictions(split), evaluation.as_dict()
    with writing(path):
        predictions.write_predictions(
            path,
            session.data.splits[split],
            session.tags(split),
            evaluation.predicted,
            labels=session.labels,
            confidence=evaluation.confidence,
        )
    predictions.verify(path, figures)
    log.info(
        "%s: F1 %.4f  precision %.4f  recall %.4f  accuracy %.4f  loss %.4f (%s, equal to seqeval's)",
        split,
        *(figures[key] for key in ("f1", "precision", "recall", "accuracy", "loss")),
        figures["scheme"],
    )
