"""The machines of a job getting in touch, one process on each, before anything is trained.

They meet at a store on the first machine, over TCP, and then connect to each other: as training will, so that
what would hang there fails here, within seconds and with what to look at.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError, disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable

# Machines import torch from file systems of very different speed before they meet.
PATIENCE = timedelta(seconds=int(os.environ.get("NER_DIST_PREFLIGHT_TIMEOUT", 120)))

_PROBE_MIB, _PROBES = 32, 3


class NodeGroup:
    """Those of RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment, counted as machines."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", 0))
        self.number = int(os.environ.get("WORLD_SIZE", 1))
        self.host, self.port = (
            os.environ.get("MASTER_ADDR", "localhost"),
            os.environ.get("MASTER_PORT", "29500"),
        )

    @property
    def address(self) -> str:
        """Where they meet."""
        return f"{self.host}:{self.port}"

    def join(self) -> None:
        """
        Raises:
            UserError: they do not find, or do not reach, each other; every machine says what it tried.
        """
        if self.number == 1:
            return
        from torch import distributed

        try:
            store = distributed.TCPStore(
                self.host, int(self.port), self.number, is_master=self.rank == 0, timeout=PATIENCE
            )
        except (RuntimeError, ValueError) as error:
            text = _one_line(error)
            taken = "EADDRINUSE" in text or "already in use" in text
            raise UserError(
                f"{self.address} is taken by another program"
                if taken
                else f"the nodes did not meet at {self.address} within {PATIENCE.seconds} s ({text})",
                where=self._here(),
                fix="set NER_DIST_PORT to a free port"
                if taken
                else "see docs/cluster.md, `When nodes do not meet`: NER_DIST_ADDRESS, NER_DIST_PORT",
            ) from None
        try:
            distributed.init_process_group(
                "gloo", store=store, rank=self.rank, world_size=self.number, timeout=PATIENCE
            )
            distributed.barrier()
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"met the other nodes at {self.address}, but cannot talk to them ({_one_line(error)})",
                where=self._here(),
                fix="name the interface they share (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME): docs/cluster.md",
            ) from None

    def all_gather_results(self, work: Callable[[], Any]) -> list[Any]:
        """What `work` returns on every machine.

        Raises:
            UserError: it failed somewhere; the first machine's error, with its host where there are several.
                Or a machine is gone.
        """
        problem = answer = None
        try:
            with disk_errors():
                answer = work()
        except UserError as error:
            problem = str(error)
        except OSError as error:
            problem = f"{error.filename or ''}: {error.strerror or error}"
        answers: list[Any] = [(platform.node(), answer, problem)]
        if self.number > 1:
            from torch import distributed

            answers *= self.number
            try:
                distributed.all_gather_object(answers, (platform.node(), answer, problem))
            except RuntimeError as error:
                raise UserError(
                    f"another node ended or hangs ({_one_line(error)})", where=self._here()
                ) from None
        for host, _, failed in answers:
            if failed is not None:
                raise UserError(failed if self.number == 1 else f"{host}: {failed}")
        return [each for _, each, _ in answers]

    def gigabytes_per_second(self, *, on_gpu: bool) -> float:
        """Speed of an all-reduce of 32 MiB between the machines: its bytes over its seconds.

        Raises:
            UserError: NCCL, which GPUs talk through, does not get through.
        """
        import torch
        from torch import distributed

        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # else nothing is raised at the timeout
        try:
            group = distributed.new_group(backend="nccl", timeout=PATIENCE) if on_gpu else None
            tensor = torch.zeros(_PROBE_MIB << 18, device="cuda:0" if on_gpu else "cpu")
            distributed.all_reduce(tensor[:1], group=group)
            began = time.perf_counter()
            for _ in range(_PROBES):
                distributed.all_reduce(tensor, group=group)
            float(tensor[0])
            return _PROBES * tensor.nbytes / (time.perf_counter() - began) / 1e9
        except RuntimeError as error:
            raise UserError(
                f"the nodes' {'GPUs' if on_gpu else 'processes'} cannot exchange 32 MiB ({_one_line(error)})",
                where=self._here(),
                fix="try NCCL_SOCKET_IFNAME, NCCL_IB_DISABLE=1, NCCL_DEBUG=INFO; see docs/cluster.md",
            ) from None

    def leave(self) -> None:
        """Leave together: the first machine keeps the meeting place open for the others."""
        from torch import distributed

        if self.number > 1 and distributed.is_initialized():
            with suppress(RuntimeError):  # one that is gone does not come
                distributed.barrier()
            distributed.destroy_process_group()

    def _here(self) -> str:
        return f"{platform.node()}, node {self.rank} of {self.number}"


def _one_line(error: Exception) -> str:
    """The beginning of torch's message, without the stack that follows it."""
    return " ".join(str(error).split("Exception raised from")[0].split())[:200]
