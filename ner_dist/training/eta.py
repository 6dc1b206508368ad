"""Seconds until a training has its results, estimated from its recent steps and evaluations."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

_LEAST_STEPS = 20
"""The recent part of a training holds at least this many steps."""


class _Mark(NamedTuple):
    """A step, and the seconds on the training's clock when it was done."""

    step: int
    seconds: float


class TimeLeft:
    """Watches one start of a training. Seconds are those of the training's clock, over all its starts.

    The steps that are left take as long as recent ones, evaluations and checkpoints included. The scoring of
    two splits at the end takes as long as two evaluations.
    """

    def __init__(
        self, *, resumed: tuple[int, float] | None = None, evaluation_seconds: float | None = None
    ) -> None:
        """
        Args:
            resumed: step and seconds of the checkpoint that the training continues from.
            evaluation_seconds: length of the newest evaluation of an earlier start.
        """
        self.evaluation_seconds = evaluation_seconds
        self._before_first_step = self._newest = None if resumed is None else _Mark(*resumed)
        self._recent: deque[_Mark] = deque()
        self._evaluated = (0, 0)
        """Steps of the two newest evaluations of this start."""

    def trained(self, step: int, seconds: float, *, total: int) -> None:
        """Take note that `step` of `total` steps are done."""
        self._newest = _Mark(step, seconds)
        self._recent.append(self._newest)
        # A tenth of the training, rounded up to whole intervals between evaluations: this part then holds as
        # many evaluations a step as the rest of the training.
        interval = self._evaluated[1] - self._evaluated[0] or 1
        begin = step - interval * math.ceil(max(_LEAST_STEPS, total / 10) / interval)
        while len(self._recent) > 2 and self._recent[1].step <= begin:
            self._recent.popleft()

    def evaluated(self, step: int, seconds: float) -> None:
        """Take note that the evaluation after `step` is done."""
        if self._newest is not None and self._newest.step == step:
            self.evaluation_seconds = seconds - self._newest.seconds
        self._newest = _Mark(step, seconds)
        self._evaluated = (self._evaluated[1], step)
        if not self._recent:
            self._before_first_step = self._newest

    @property
    def seconds_per_step(self) -> float | None:
        """Wall time of a recent step, with the evaluations and checkpoints between the steps.

        Measuring begins with the first steps that were logged, so that compiling does not count, unless they
        are all there is. None before the first step.
        """
        if not self._recent:
            return None
        first, last = self._recent[0], self._recent[-1]
        if len(self._recent) == 1:
            first = self._before_first_step or _Mark(0, 0.0)
        steps = last.step - first.step
        return (last.seconds - first.seconds) / steps if steps > 0 else None

    def seconds_left(self, total: int) -> float | None:
        """Seconds from the newest step or evaluation to the results; None before the first step.

        Args:
            total: steps of the whole training.
        """
        per_step = self.seconds_per_step
        if per_step is None or self._newest is None:
            return None
        return max(0, total - self._newest.step) * per_step + 2 * (self.evaluation_seconds or 0.0)
