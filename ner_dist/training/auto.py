"""Values for `auto`: step size, epochs and learning rate for a data set and an encoder.

A pure function of two numbers, the subwords in the training split and the width of the encoder. So a data set
trains the same way on any hardware and with any label set. The rule was chosen on validation splits
(benchmarks/RESULTS.md, "Sizes of data"):

- A step grows with the square root of the data, from 1,024 to 8,192 subwords. Small data needs many steps;
  large data can afford steps that keep a GPU busy.
- Small data is seen more often: epochs make up for few steps, up to a number of steps that suffices.
- The learning rate falls with the encoder's width, through the rates in use for 768 and 1,024 units. It does
  not grow with the step: larger steps at a higher rate did no better, and wide encoders diverge at high ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ner_dist.data.packed_plan import FAMILIES
from ner_dist.errors import UserError
from ner_dist.recipe import AUTO_KEYS as KEYS
from ner_dist.recipe import SCRATCH, SMALLEST_STEP, FixedRecipe, FixedTrain, Train

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe

FEW_STEPS = 300
"""A training with fewer steps hardly learns, whatever the data."""

MOST_EVALUATIONS = 20
"""Largest number of evaluations under `evaluation.every: auto`."""

_LARGEST_STEP = 8192
# Subwords of a training split for which the smallest step is right: about 12,000 sentences.
_BASE_SUBWORDS = 400_000
_STEPS = 1_000
_LEAST_EPOCHS = 3
# Few sentences are not seen more often than this, unless that made fewer than FEW_STEPS steps.
_MOST_EPOCHS = 60
# Of an encoder of 768 units.
_BASE_RATE, _BASE_WIDTH = 5e-5, 768
_WIDTH_POWER = 2.5
_HIGHEST_RATE = 1e-3


def choose(*, subwords: int, width: int) -> dict[str, Any]:
    """Choose a value for each of `KEYS`.

    Args:
        subwords: of the training split, special tokens included.
        width: hidden size of the encoder.
    """
    growth = math.sqrt(max(1.0, subwords / _BASE_SUBWORDS))
    step = min(_LARGEST_STEP, SMALLEST_STEP * 2 ** round(math.log2(growth)))
    steps_an_epoch = max(1, math.ceil(subwords / step))
    most = max(_MOST_EPOCHS, math.ceil(FEW_STEPS / steps_an_epoch))
    rate = _BASE_RATE * (_BASE_WIDTH / width) ** _WIDTH_POWER
    return {
        "epochs": max(_LEAST_EPOCHS, min(most, round(_STEPS / steps_an_epoch))),
        "batch_tokens": step,
        "learning_rate": float(f"{min(_HIGHEST_RATE, rate):.1e}"),
    }


def settle(
    recipe: Recipe, *, subwords: int, width: int, family: str, earlier: dict[str, Any] | None = None
) -> FixedRecipe:
    """The recipe with a value for every `auto`.

    Args:
        recipe: as it was read.
        subwords: of the training split, special tokens included.
        width: hidden size of the encoder.
        family: `config.model_type` of the encoder.
        earlier: values chosen when the run started; a run keeps them if the rule changes.

    Raises:
        UserError: `train.packing` asks for what the encoder cannot do.
    """
    if recipe.train.packing is True and family not in FAMILIES:
        raise UserError(
            f"encoders of the family {family} cannot take packed rows",
            where="train.packing",
            fix=f"pass train.packing=auto; those that can are {', '.join(sorted(FAMILIES))}",
        )
    chosen = choose(subwords=subwords, width=width) | {"packing": packs(recipe, family)}
    if earlier is not None:
        # Runs from before there were packed rows name no packing.
        chosen |= {"packing": False} | earlier
    asked = {name: getattr(recipe.train, name) for name in Train.model_fields}
    values = asked | {key: chosen[key] for key in automatic(recipe.train)}
    if recipe.train.batch_tokens == "auto":
        # Two micro-batches at least: padded ones hold sentences of one length, and two ranks both need work.
        values["micro_batch_tokens"] = min(values["micro_batch_tokens"], values["batch_tokens"] // 2)
    parts = {name: getattr(recipe, name) for name in type(recipe).model_fields}
    return FixedRecipe(**parts | {"train": FixedTrain(**values)})


def packs(recipe: Recipe, family: str) -> bool:
    """Whether `train.packing: auto` packs. A compiled encoder is left padded rectangles, as tensors alone."""
    return family in FAMILIES and not recipe.model.compile


def automatic(settings: Train) -> list[str]:
    """The keys that are set to `auto`: of `KEYS`, and `packing`."""
    return [key for key in (*KEYS, "packing") if getattr(settings, key) == "auto"]


def shown(value: float | bool) -> str:
    """A chosen value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def borrowed(recipe: Recipe) -> str | None:
    """A warning if the recipe's settings were chosen for other data; else None."""
    data_by_key = recipe.numbers_of_other_data
    if not data_by_key:
        return None
    numbers = ", ".join(f"{key}={getattr(recipe.train, key.removeprefix('train.')):g}" for key in data_by_key)
    return (
        f"{numbers}: chosen for {next(iter(data_by_key.values()))}, not for {recipe.data.path}; for your own "
        f"data pass {' '.join(f'{key}=auto' for key in data_by_key)}"
    )


def too_few_steps(recipe: Recipe, steps: int, *, subwords: int, width: int) -> str | None:
    """A warning if a training is much shorter than `auto` would make it; else None.

    Args:
        recipe: as it was read.
        steps: optimiser steps that it will take.
        subwords: as in `choose`.
        width: likewise.
    """
    chosen = choose(subwords=subwords, width=width)
    usual = chosen["epochs"] * math.ceil(subwords / chosen["batch_tokens"])
    pretrained = recipe.model.name != SCRATCH
    if steps >= FEW_STEPS and (not pretrained or steps >= usual / 2):
        return None
    named = [key for key in KEYS if key not in automatic(recipe.train)]
    change = [f"train.{key}=auto" for key in named]
    if recipe.train.max_steps is not None:
        change.insert(0, "train.max_steps=null")
    become = ", ".join(f"train.{key}={chosen[key]:g}" for key in named)
    # A run keeps its numbers, where an earlier version's `auto` chose them.
    remedy = f"pass {' '.join(change)}" if change else "resume=never starts over"
    return (
        f"{steps} optimiser steps are few for this data (auto would take {usual:,}): the model may learn "
        f"little; {remedy}" + (f" for {become}" if become else "")
    )
