"""The operating point that a user asks for: thresholds, biases, or a wanted precision or recall."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.errors import UserError
from ner_dist.evaluation.operating_curve import (
    BiasPoint,
    OperatingCurve,
    ThresholdPoint,
    bias_for,
    read_curve,
    threshold_for,
)
from ner_dist.evaluation.operating_point import ByType, PerType

if TYPE_CHECKING:
    from ner_dist.recipe import Decode

log = logging.getLogger(__name__)

_TARGETS = {"target_precision": "--target-precision", "target_recall": "--target-recall"}


@dataclass(frozen=True)
class PointOptions:
    """What `--threshold`, `--bias`, `--target-precision` and `--target-recall` say."""

    threshold: PerType = field(default_factory=PerType)
    bias: PerType = field(default_factory=PerType)
    target_precision: float | None = None
    target_recall: float | None = None

    @classmethod
    def of(
        cls,
        threshold: ByType = 0.0,
        bias: ByType = 0.0,
        target_precision: float | None = None,
        target_recall: float | None = None,
    ) -> PointOptions:
        """From the arguments of a function, or what `PerType.parse` reads."""
        return cls(PerType.of(threshold), PerType.of(bias), target_precision, target_recall)

    def arguments(self) -> list[str]:
        """The options, as words of a command line."""
        words = [f"--threshold={word}" for word in self.threshold.words()]
        words += [f"--bias={word}" for word in self.bias.words()]
        targets = ((option, getattr(self, name)) for name, option in _TARGETS.items())
        return words + [f"{option}={value}" for option, value in targets if value is not None]

    def resolve(self, model: str, decode: Decode) -> tuple[PerType, PerType]:
        """Thresholds and biases: those that were given, or those that reach the target on validation.

        Args:
            model: a folder with a model, or a hub name.
            decode: how tags will be chosen.

        Raises:
            UserError: a target is not reached, several are given, or the model has no curve for it.
        """
        given = [option for name, option in _TARGETS.items() if getattr(self, name) is not None]
        if not given:
            return self.threshold, self.bias
        if len(given) > 1 or self.threshold != PerType() or self.bias != PerType():
            what = "a target chooses threshold and bias for itself"
            raise UserError(what, where=given[0], fix="pass it without another target, --threshold or --bias")
        curve = _curve(model, decode, option=given[0])
        if self.target_precision is not None:
            above = threshold_for(curve, _share(self.target_precision, given[0]))
            _say(f"threshold {above.threshold:g}", above)
            return PerType(above.threshold), PerType()
        assert self.target_recall is not None
        biased = bias_for(curve, _share(self.target_recall, given[0]))
        _say(f"bias {biased.bias:g}", biased)
        return PerType(), PerType(biased.bias)


def _say(chosen: str, point: ThresholdPoint | BiasPoint) -> None:
    scores = (formatting.score(value) for value in (point.precision, point.recall, point.f1))
    log.info("%s: on validation, precision %s, recall %s, F1 %s", chosen, *scores)


def _curve(model: str, decode: Decode, *, option: str) -> OperatingCurve:
    curve = read_curve(model)
    if curve is None:
        what = (
            "the model has no operating curve: it had no validation split, or an earlier version trained it"
        )
        raise UserError(what, where=option, fix="pass --threshold or --bias")
    if curve.decode != decode:
        what = f"the operating curve was measured with --decode {curve.decode}"
        raise UserError(what, where=option, fix=f"pass --decode {curve.decode}")
    return curve


def _share(value: float, option: str) -> float:
    if not 0 < value <= 1:
        raise UserError(f"{value:g} is not between 0 and 1", where=option, fix=f"write {option} 0.95")
    return value
