"""The calibration of a trained model: its temperature, and its operating curve, from the validation split."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.evaluation.calibration import CalibrationFigures, CalibrationScores, fit_temperature, measure
from ner_dist.evaluation.operating_curve import measure_curve, write_curve
from ner_dist.model.own_settings import save_own_settings

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.evaluation.logit_sample import LogitSample
    from ner_dist.recipe import Decode

log = logging.getLogger(__name__)


def calibrate(folder: Path, sample: LogitSample, *, decode: Decode) -> CalibrationFigures | None:
    """Fit the temperature, measure the operating curve, and save both with the model.

    Args:
        folder: the saved model.
        sample: of the validation split.
        decode: how the model's tags are chosen.

    Returns:
        The figures; None if the split has no labelled words or the logits are not finite.
    """
    temperature = fit_temperature(sample)
    if temperature is None:
        log.warning(
            "the probabilities are not calibrated: validation has no labelled words with finite logits"
        )
        return None
    save_own_settings(folder, temperature=temperature)
    write_curve(folder, measure_curve(sample, decode=decode, temperature=temperature))
    scores = _measured("validation", sample, decode=decode, temperature=temperature)
    return CalibrationFigures(temperature, validation=scores)


def with_test(figures: CalibrationFigures, sample: LogitSample, *, decode: Decode) -> CalibrationFigures:
    """The figures with those of the test split, on which nothing was fitted."""
    scores = _measured("test", sample, decode=decode, temperature=figures.temperature)
    return replace(figures, test=scores)


def _measured(name: str, sample: LogitSample, *, decode: Decode, temperature: float) -> CalibrationScores:
    scores = measure(sample, decode=decode, temperature=temperature)
    log.info(
        "%s: with temperature %g, calibration error of entities %s (%s without)",
        *(name, temperature, formatting.score(scores.ece_after), formatting.score(scores.ece_before)),
    )
    return scores
