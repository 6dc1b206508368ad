"""The kinds of values in a recipe, and the base of its sections."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def at_most(most: int) -> AfterValidator:
    """A check that nobody meets by accident: what is larger would fill the memory, or any other table."""

    def check(value: int) -> int:
        if value > most:
            raise ValueError(f"{value:.3g} is more than {most:,}")
        return value

    return AfterValidator(check)


Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


def _at_home(path: str) -> str:
    expanded = os.path.expanduser(path)  # noqa: PTH111 - pathlib raises
    if path.startswith("~") and expanded == path:
        raise ValueError(f"there is no home folder `{path.partition('/')[0]}`")
    return expanded


Place = Annotated[str, Field(min_length=1), AfterValidator(_at_home)]
"""A file or folder, in which no shell has replaced a `~`."""
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[int, Field(gt=0), at_most(10**12)]
Sentences = Annotated[int, Field(gt=0), at_most(10**7)]
Rate = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """One section of a recipe. Unknown keys are refused; values are immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
