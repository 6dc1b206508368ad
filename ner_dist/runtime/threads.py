"""Choose the number of CPU threads of torch, and how they wait for each other.

The number decides the order of summation, so a run resumes bit for bit only with the same number: it depends
on the machine and on OMP_NUM_THREADS, never on how busy the machine is. The way threads wait affects no
result. By default OpenMP's threads spin for a long time, and if other work shares the cores, they block the
thread that they wait for. Subwords/s of a 22 M parameter encoder on two cores:

    wait                      two cores at a load of 5 to 6    the same with real-time priority
    long spin, the default    170 and 600                      3,900 and 3,660
    short spin (10,000)       960 and 1,130                    4,020 and 3,760
    none (passive)            1,750 and 1,480                  3,180
"""

from __future__ import annotations

import os
from pathlib import Path

TOLD = "NER_DIST_THREADS_TOLD"
"""Set by a launcher that replaces its process, if the user set OMP_NUM_THREADS."""

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_considerately() -> None:
    """Let OpenMP's idle threads sleep soon, and on a busy machine at once.

    GNU's OpenMP, which torch's wheels bring along, reads its environment when it is loaded: this must come
    before the first import of torch. Settings in the environment have priority.
    """
    if any(name in os.environ for name in _WAITING):
        return
    if load():
        os.environ["OMP_WAIT_POLICY"] = "passive"
    else:
        os.environ["GOMP_SPINCOUNT"] = "10000"


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """OMP_NUM_THREADS if the user set that, else this process's share of the cores.

    More threads than cores slow each other down.
    """
    return _asked() or max(1, cores() // _processes())


def choose_threads() -> str:
    """Set the number of torch's threads to `thread_count`; return it with the reason.

    Such as `2 threads (all 2 cores)`.
    """
    import torch

    number, processes = thread_count(), _processes()
    torch.set_num_threads(number)
    if _asked() is not None:
        why = "OMP_NUM_THREADS"
    elif processes > 1:
        why = f"{cores()} cores shared by {processes} processes"
    else:
        why = f"all {cores()} cores" if cores() > 1 else "the one core"
    return f"{number} thread{'s' * (number > 1)} ({why})"


def _processes() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def _asked() -> int | None:
    """OMP_NUM_THREADS, unless a launcher set it: torchrun and Accelerate set 1 if it is not set."""
    try:
        # A list is for nested regions, the outermost first.
        number = int(os.environ["OMP_NUM_THREADS"].split(",")[0])
    except (KeyError, ValueError):
        return None
    launched = "TORCHELASTIC_RUN_ID" in os.environ or "ACCELERATE_MIXED_PRECISION" in os.environ
    if number < 1 or (number == 1 and launched and not _launcher_was_told()):
        return None
    return number


def _launcher_was_told() -> bool:
    """Whether OMP_NUM_THREADS was set for the launcher itself; False if its environment cannot be read."""
    if TOLD in os.environ:
        return True
    try:
        variables = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(b"OMP_NUM_THREADS=") for variable in variables)


def load() -> str:
    """A note on the load of the machine if other work uses its cores; else empty."""
    try:
        busy = os.getloadavg()[0]
    except (OSError, AttributeError):
        return ""
    number = os.cpu_count() or 1
    return f"; the machine is busy (load {busy:.1f} on {number} cores)" if busy > number else ""
