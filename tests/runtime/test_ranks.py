"""Ranks share a result or an error. Several ranks are launched in tests/distributed."""

from __future__ import annotations

import errno
import select
import socket
import subprocess
import sys
import time

import pytest

from ner_dist.errors import UserError
from ner_dist.runtime.ranks import is_main_process, local_main_first, on_main_rank
from ner_dist.runtime.signals import EXIT_RESUME
from tests import small
from tests.distributed.launching import environment


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.mark.parametrize(("rank", "main"), [(None, True), ("0", True), ("3", False)])
def test_the_main_process_is_known_before_the_group(monkeypatch, rank, main):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert is_main_process() is main


@pytest.mark.parametrize("way", [on_main_rank, local_main_first])
def test_the_work_is_done_once_and_its_answer_returned(accelerator, way):
    done = []
    assert way(accelerator, lambda: done.append(1)) is None
    assert done == [1]


@pytest.mark.parametrize("way", [on_main_rank, local_main_first])
def test_a_mistake_of_the_user_is_raised_as_it_is(accelerator, way):
    def fail():
        raise UserError("is wrong", where="data.path", fix="mend it")

    with pytest.raises(UserError) as caught:
        way(accelerator, fail)
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("is wrong", "data.path", "mend it")


def test_a_full_disk_is_the_users_to_mend_and_other_trouble_is_not(accelerator):
    def fail(number):
        raise OSError(number, "text", "some/file")

    with pytest.raises(UserError, match="some/file: text; free disk space"):
        on_main_rank(accelerator, lambda: fail(errno.ENOSPC))
    with pytest.raises(UserError, match="some/file: text; get permission there"):
        on_main_rank(accelerator, lambda: fail(errno.EACCES))
    with pytest.raises(OSError, match="text"):
        on_main_rank(accelerator, lambda: fail(errno.EBADF))


_WAITING = """
import sys, time
from accelerate import PartialState
from ner_dist.runtime.ranks import sharing_problems
from ner_dist.runtime.signals import exit_on_signals

state = PartialState(cpu=True)
exit_on_signals()
with sharing_problems(state) as share:
    print("there", flush=True)
    if state.process_index == 0:
        time.sleep(600)
    try:
        share(None)
    finally:
        print("ends", flush=True)
"""


@pytest.mark.distributed
def test_a_rank_that_waits_for_another_notices_a_signal():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = environment() | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", _WAITING],
            env=group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for rank in ranks:
            assert _line(rank) == "there\n"
        time.sleep(1)
        ranks[1].terminate()
        assert _line(ranks[1]) == "ends\n"
        ranks[0].terminate()
        assert [rank.wait(timeout=60) for rank in ranks] == [EXIT_RESUME] * 2
    finally:
        for rank in ranks:
            rank.kill()


def _line(rank: subprocess.Popen[str]) -> str:
    assert rank.stdout is not None
    ready, _, _ = select.select([rank.stdout], [], [], 60)
    return rank.stdout.readline() if ready else "nothing"
