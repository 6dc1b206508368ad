"""The estimate that a training makes of the time until its results."""

from __future__ import annotations

import time

import pytest

from ner_dist.training.eta import TimeLeft

TOTAL = 1000


class Clock:
    """A training with steps and evaluations of given durations."""

    def __init__(self, *, resumed=None):
        self.step, self.seconds = resumed or (0, 0.0)
        self.estimate = TimeLeft(resumed=resumed)

    def train(self, steps, *, each=1.0, every=1):
        for _ in range(0, steps, every):
            self.step, self.seconds = self.step + every, self.seconds + each * every
            self.estimate.trained(self.step, self.seconds, total=TOTAL)
        return self

    def evaluate(self, takes=10.0):
        self.seconds += takes
        self.estimate.evaluated(self.step, self.seconds)
        return self

    @property
    def left(self):
        return self.estimate.seconds_left(TOTAL)


def test_before_the_first_step_nothing_is_known():
    assert Clock().left is None
    assert Clock(resumed=(40, 55.0)).left is None
    assert Clock(resumed=(40, 55.0)).evaluate().left is None


def test_evaluations_between_the_steps_and_the_scoring_at_the_end_count():
    clock = Clock()
    for _ in range(20):
        clock.train(25).evaluate(5.0)
    # 25 steps of a second and five seconds of an evaluation; then two splits are scored.
    assert clock.left == pytest.approx(500 * 1.2 + 2 * 5.0, rel=0.01)


def test_every_part_holds_as_many_evaluations_a_step():
    clock = Clock()
    for _ in range(10):
        clock.train(50).evaluate(30.0)
    for _ in range(49):
        clock.train(1)
        assert clock.estimate.seconds_per_step == pytest.approx(80 / 50, rel=0.05)


def test_the_speed_of_long_ago_does_not_count():
    assert Clock().train(400, each=9.0).train(150).left == pytest.approx(450.0)


def test_the_start_up_of_the_first_step_does_not_count():
    assert Clock().train(1, each=60.0).train(9).left == pytest.approx(990.0)
    assert Clock(resumed=(40, 55.0)).train(1, each=60.0).train(9).left == pytest.approx(950.0)


def test_the_first_event_is_better_than_none():
    assert Clock().train(10, each=2.0, every=10).left == pytest.approx(1980.0)
    assert Clock(resumed=(40, 55.0)).train(10, each=2.0, every=10).left == pytest.approx(1900.0)
    # What the checkpoint left unscored is scored first, and is no part of a step.
    scored = Clock(resumed=(40, 55.0)).evaluate(7.0).train(10, each=2.0, every=10)
    assert scored.left == pytest.approx(1900.0 + 2 * 7.0)


def test_a_resumed_training_knows_how_long_an_evaluation_took():
    estimate = TimeLeft(resumed=(990, 0.0), evaluation_seconds=30.0)
    estimate.trained(1000, 10.0, total=TOTAL)
    assert estimate.seconds_left(TOTAL) == 60.0


def test_a_long_training_is_watched_in_no_time():
    clock = Clock()
    began = time.perf_counter()
    clock.train(50_000)
    assert time.perf_counter() - began < 2
