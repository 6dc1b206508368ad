"""Requirements that a comparison is to meet, such as `B >= A - 0.005`.

A requirement is about F1 on the same ground. It holds if the whole interval of the difference meets it: of
the recipes where other seeds are known, else of the trained models. Where the files' gold differs and decides
which of the two models leads, it is not judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.formatting import joined, level, signed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ner_dist.comparison.claims import Uncertainty

_NUMBER = r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?"
_FORM = re.compile(
    rf"(?P<of>[A-Z]) *(?P<sign>>=|>) *(?P<to>[A-Z])(?: *(?P<side>[-+−]) *(?P<number>{_NUMBER}))?"
)


@dataclass(frozen=True)
class Requirement:
    """F1 of model `of` is to be at least that of `to` plus `margin`; with `strict`, more than that."""

    text: str
    of: str
    to: str
    margin: float
    strict: bool

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read `B >= A`, `B > A + 0.01` or `B >= A - 0.005`.

        Raises:
            UserError: the text has another form, or names one model twice.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or match["of"] == match["to"]:
            what = "is no requirement" if match is None else "requires a model to be better than itself"
            fix = "write two models and what the first may lack, such as 'B >= A - 0.005'"
            raise UserError(f"'{text}' {what}", where="--require", fix=fix)
        margin = float(match["number"] or 0)
        margin = margin if match["side"] == "+" else 0.0 - margin
        return cls(text.strip(), match["of"], match["to"], margin, strict=match["sign"] == ">")

    def holds(self, low: float) -> bool:
        """Whether it holds for a difference of at least `low`."""
        return low > self.margin if self.strict else low >= self.margin


@dataclass(frozen=True)
class RequirementOutcome:
    """Whether a comparison meets a requirement."""

    required: str
    holds: bool | None
    """None where it is not judged: whose gold is right decides which model leads."""
    low: float
    """Lower bound of the interval of the difference that is required."""
    sentence: str


def check_models(requirements: Sequence[Requirement], models: Collection[str]) -> None:
    """Check that requirements name models that are compared.

    Raises:
        UserError: a letter stands for no model.
    """
    for each in requirements:
        for letter in (each.of, each.to):
            if letter not in models:
                raise UserError(
                    f"there is no model {letter} in '{each.text}'",
                    where="--require",
                    fix=f"the models are {joined(list(models))}",
                )


def outcomes(
    requirements: Sequence[Requirement], uncertainty: Uncertainty, f1_by_gold: Sequence[Mapping[str, float]]
) -> list[RequirementOutcome]:
    """Compare each requirement with the interval of its difference.

    Args:
        requirements: what is required.
        uncertainty: the differences of each two models.
        f1_by_gold: F1 by model, by each gold that there is.
    """
    return [_outcome(each, uncertainty, f1_by_gold) for each in requirements]


def _outcome(
    required: Requirement, uncertainty: Uncertainty, f1_by_gold: Sequence[Mapping[str, float]]
) -> RequirementOutcome:
    pair = next(each for each in uncertainty.differences if {each.of, each.to} == {required.of, required.to})
    cell = pair.figures.micro.f1
    bounds = cell.decisive
    low = bounds.low if pair.of == required.of else -bounds.high
    leads = {f1[required.of] > f1[required.to] for f1 in f1_by_gold if f1[required.of] != f1[required.to]}
    if len(leads) > 1:
        sentence = (
            f"The requirement {required.text} is not judged: whose gold is right decides whether "
            f"{required.of} or {required.to} leads."
        )
        return RequirementOutcome(required.text, None, low, sentence)
    holds = required.holds(low)
    models = "recipes" if cell.recipes else "trained models"
    by = f"by the {level(uncertainty.level)} interval of the {models}, F1 of {required.of} − {required.to}"
    found = (
        f"holds: {by} is {signed(low)} or more" if holds else f"fails: {by} may be as low as {signed(low)}"
    )
    sentence = f"The requirement {required.text} {found}."
    return RequirementOutcome(required.text, holds, low, sentence)
