"""metrics.jsonl: whole lines only, and each step once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.errors import UserError
from ner_dist.run.events import as_event, read_events, starts


def lines(*events: dict) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def train(step: int, **values) -> dict:
    return {"event": "train", "step": step, **values}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0\0\0",
        b'{"event": "train", "step": 1',
        b"[]",
        b"7",
        b'{"step": 1}',
        b'{"event": 3, "step": 1}',
        b'{"event": "evaluation", "step": 1, "split": ["test"]}',
        b'{"event": "evaluation", "step": 1, "split": null}',
        b'{"event": "train", "step": true}',
        pytest.param(b'{"event": "train", "step": 1' + b"0" * 400 + b"}", id="a step of 401 digits"),
        pytest.param(b"[" * 100_000, id="nested too deeply"),
    ],
)
def test_what_is_no_event_is_left_out(tmp_path, content):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines(train(1)) + content)
    assert read_events(path) == [train(1)]


def test_no_file_is_no_event(tmp_path):
    assert read_events(tmp_path / "metrics.jsonl") == []


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path):
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_events(tmp_path)


def test_steps_after_the_checkpoint_of_a_resumed_run_count_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    resume = {"event": "resume", "step": 10}
    path.write_bytes(
        lines(train(5), train(10), {"event": "evaluation", "step": 10}, train(15, loss=1), train(20), resume)
        + lines(train(15, loss=2))
    )
    found = read_events(path)
    assert [event["step"] for event in found] == [5, 10, 10, 10, 15]
    assert found[-1]["loss"] == 2


def test_a_run_that_began_anew_forgets_what_was_before(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines(train(10, loss=1), train(20, loss=1), train(10, loss=2)))
    assert read_events(path) == [train(10, loss=2)]


def test_a_checkpoint_that_is_written_late_is_no_new_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines(train(10), train(20), {"event": "checkpoint", "step": 10}, train(30)))
    assert [event["step"] for event in read_events(path)] == [10, 20, 30]


@given(st.lists(st.integers(0, 30)), st.integers(0, 40))
def test_no_step_twice_and_in_order_whatever_the_starts(steps, torn):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        path.write_bytes(lines(*map(train, steps)) + lines(train(99))[:torn])
        found = [event["step"] for event in read_events(path) if event["step"] != 99]
    assert found == sorted(set(found))
    assert found[-1:] == steps[-1:], "the newest event is of the training as it is"


@given(st.lists(st.integers(0, 30)))
def test_starts_lose_nothing(steps):
    events = [train(step) for step in steps]
    assert [event for start in starts(events) for event in start] == events


@given(st.binary())
def test_any_bytes_are_an_event_or_none(line):
    found = as_event(line)
    assert found is None or isinstance(found["step"], int)
