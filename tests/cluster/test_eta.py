"""Progress and expected end of a training, from events as the metrics logger writes them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from ner_dist.cluster.eta import Pace, read_pace, recent_events
from ner_dist.training.eta import TimeLeft

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Written:
    """Write events as a training does after `seconds` of training time."""

    def __init__(self, path, *, total=200):
        self.path, self.total, self.seconds, self.step = path, total, 0.0, 0
        self.time_left, self.best = TimeLeft(), None

    def _write(self, event):
        moment = (BEGAN + timedelta(seconds=self.seconds)).isoformat(timespec="seconds")
        with self.path.open("a") as file:
            file.write(
                json.dumps({**event, "step": self.step, "seconds": self.seconds, "time": moment}) + "\n"
            )

    def train(self, steps, *, each=1.0, every=1):
        for _ in range(0, steps, every):
            self.step += every
            self.seconds += each * every
            self.time_left.trained(self.step, self.seconds, total=self.total)
            event = {"event": "train", "total_steps": self.total, "epoch": 1, "loss": 1 / self.step}
            event |= {"words_per_second": 100.0, "best_f1": self.best}
            event |= {"seconds_per_step": self.time_left.seconds_per_step}
            self._write(event | {"seconds_left": self.time_left.seconds_left(self.total)})
        return self

    def evaluation(self, f1, *, takes=10.0):
        self.seconds += takes
        self.best = max(f1, self.best or 0.0)
        self.time_left.evaluated(self.step, self.seconds)
        left = self.time_left.seconds_left(self.total)
        self._write({"event": "evaluation", "f1": f1, "epoch": 1, "seconds_left": left})
        return self

    def resume(self, step, seconds):
        self.step, self.seconds = step, seconds
        self.time_left = TimeLeft(resumed=(step, seconds))
        self._write({"event": "resume"})
        return self


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_the_newest_events_tell_how_far_it_is(path):
    Written(path).train(20).evaluation(0.5).train(20).evaluation(0.4).train(3)
    pace = read_pace(path)
    assert (pace.step, pace.total, pace.epoch, pace.loss) == (43, 200, 1, 1 / 43)
    assert (pace.f1, pace.best_f1, pace.words_per_second) == (0.4, 0.5, 100.0)
    assert pace.trained == 63 and pace.last == BEGAN + timedelta(seconds=63)


def test_the_time_left_counts_evaluations_and_the_scoring_at_the_end(path):
    written = Written(path)
    for _ in range(5):
        written.train(20).evaluation(0.5)
    pace = read_pace(path)
    # 20 steps of a second and an evaluation of ten; the event of a step alone would promise 100 seconds.
    assert pace.per_step == pytest.approx(20.0 / 20 + 0.5, rel=0.05)
    assert pace.left() == pytest.approx(100 * pace.per_step + 2 * 10)


def test_what_was_long_ago_does_not_count(path):
    Written(path, total=400).train(100, each=9.0).train(60, each=1.0)
    assert read_pace(path).per_step == pytest.approx(1.0)


def test_the_first_step_s_start_up_does_not_count(path):
    Written(path).train(1, each=60.0).train(5)
    assert read_pace(path).per_step == pytest.approx(1.0)


def test_a_single_event_is_better_than_none(path):
    Written(path).train(10, each=2.0, every=10)
    assert read_pace(path).per_step == pytest.approx(2.0)
    assert read_pace(path).left() == pytest.approx(2.0 * 190)


def test_a_resumed_training_has_the_pace_of_its_own_start(path):
    written = Written(path).train(50, each=1.0)
    written.resume(40, 40.0)
    resumed = read_pace(path)
    assert resumed.step == 40 and resumed.per_step == pytest.approx(1.0)
    assert resumed.left() == pytest.approx(160.0)
    written.train(10, each=3.0)
    again = read_pace(path)
    assert again.step == 50 and again.per_step == pytest.approx(3.0)


def test_a_training_that_began_anew_says_so_by_its_step(path):
    Written(path).train(50, each=1.0)
    Written(path).train(10, each=4.0)
    pace = read_pace(path)
    assert pace.step == 10 and pace.per_step == pytest.approx(4.0) and pace.trained == 40


def test_lines_that_are_not_whole_are_left_out(path):
    Written(path).train(5)
    whole = path.read_bytes()
    # A killed training's last line, what another start wrote behind it, and a line that is being written.
    path.write_bytes(
        whole + b'{"event": "train", "ste' + whole.splitlines(keepends=True)[0] + b'{"event": "tr'
    )
    assert read_pace(path).step == 5
    path.write_bytes(whole + b'{"event": "train", "step": 6, "seconds": 6.0}')
    assert read_pace(path).step == 5
    path.write_bytes(b"\0" * 100 + b"\n" + whole + b"17\n")
    assert read_pace(path).step == 5


@pytest.mark.parametrize("content", [b"", b"\n", b'{"event": "tr'])
def test_no_events_are_no_pace(path, content):
    path.write_bytes(content)
    assert read_pace(path) == Pace()
    assert read_pace(path).left() is None
    assert read_pace(path.with_name("missing.jsonl")) == Pace()


def test_of_a_large_file_only_the_end_is_read(path):
    Written(path, total=90_000).train(20).evaluation(0.25).train(20_000).evaluation(0.75).train(1000)
    assert path.stat().st_size > 2 << 20
    assert 1000 < len(recent_events(path)) < 10_000
    pace = read_pace(path)
    assert (pace.step, pace.f1, pace.best_f1) == (21_020, 0.75, 0.75)


def test_the_best_score_is_known_however_long_ago_it_was(path):
    written = Written(path, total=90_000).train(20).evaluation(0.9)
    assert read_pace(written.train(20_000).evaluation(0.75).train(1000).path).best_f1 == 0.9


def test_what_is_left_from_a_checkpoint_counts_the_lost_steps(path):
    pace = read_pace(Written(path).train(100).path)
    assert (pace.left(), pace.left_from(90), pace.left_from(100)) == (100, 110, 100)
    assert pace.left_from(120) == 100


def test_an_older_version_s_events_have_no_estimate(path):
    path.write_text(
        '{"event": "train", "step": 5, "total_steps": 9, "seconds": 5.0}\n'
        '{"event": "evaluation", "step": 5, "f1": 0.5, "seconds": 6.0}\n'
    )
    pace = read_pace(path)
    assert (pace.step, pace.total, pace.best_f1) == (5, 9, 0.5)
    assert pace.left() is None and pace.left_from(0) is None


def test_an_evaluation_long_ago_is_found_all_the_same(path):
    Written(path, total=90_000).train(20).evaluation(0.25).train(9_000)
    assert read_pace(path).f1 == 0.25


def test_events_without_a_time_of_day_are_dated_by_the_file(path):
    path.write_text('{"event": "train", "step": 3, "seconds": 6.0}\n')
    pace = read_pace(path)
    assert abs(datetime.now(timezone.utc) - pace.last) < timedelta(minutes=1)
    assert (pace.step, pace.total, pace.left()) == (3, None, None)


def test_a_training_that_hangs_comes_no_nearer_to_its_end(path):
    Written(path).train(100, every=10)
    pace = read_pace(path)
    seen = [pace.left(pace.last + timedelta(seconds=later)) for later in (0, 4, 10, 11, 5000)]
    assert seen == [100, 96, 90, 90, 90]
    # A clock that goes ahead of this one's.
    assert pace.left(pace.last - timedelta(seconds=99)) == 100


def test_after_the_last_step_scoring_is_what_is_left(path):
    pace = read_pace(Written(path, total=20).train(20).evaluation(0.5).path)
    assert [pace.left(pace.last + timedelta(seconds=later)) for later in (0, 5, 99)] == [20, 15, 0]


def test_patience_follows_the_longest_pause_of_late(path):
    written = Written(path)
    assert read_pace(written.train(30).path).patience() == 60
    assert read_pace(written.evaluation(0.5, takes=100.0).train(1).path).patience() == 500
