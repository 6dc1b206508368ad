"""GPUs: refuse those that this build of torch cannot use, and set up those that it can.

Torch falls back to the CPU without an error if the driver is older than the CUDA that it was built with, and
fails at the first kernel if it was built without code for the GPU's architecture. The wheel on PyPI is built
with CUDA 13, which needs a driver of version 580 or newer and has nothing for Volta (V100).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALLOCATOR_VARIABLES = {"PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"}
_OUT_OF_MEMORY = re.compile(
    r"CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
    r"|NCCL error[\s\S]*out of memory",
    re.IGNORECASE,
)


def prepare_allocator() -> None:
    """Let torch's allocator grow its segments; call it before torch is imported.

    Micro-batches have about a hundred shapes, which would leave fixed segments in pieces. A setting in the
    environment has priority.
    """
    if not _ALLOCATOR_VARIABLES & os.environ.keys():
        os.environ["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"


def set_up(*, deterministic: bool = False) -> None:
    """Choose the kernels of attention and of everything else, before the GPU is used.

    cuDNN's attention, which torch prefers on H100 and newer, makes a plan for every batch size and length: up
    to a second for each of the many shapes of a scoring. Flash attention is as fast at sentences' lengths.

    Args:
        deterministic: use kernels that repeat bit for bit, at any length; they are slower.
    """
    import torch
    from torch.utils import deterministic as deterministic_mode

    torch.backends.cuda.enable_cudnn_sdp(False)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # It fills what nobody reads.
        deterministic_mode.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextlib.contextmanager
def settings_restored() -> Iterator[None]:
    """Undo, when the block ends, what `set_up` did in it."""
    import torch
    from torch.utils import deterministic as deterministic_mode

    cudnn = torch.backends.cuda.cudnn_sdp_enabled()
    repeats = torch.are_deterministic_algorithms_enabled()
    fill = deterministic_mode.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        torch.use_deterministic_algorithms(repeats)
        deterministic_mode.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU had no memory left: for torch's allocator, CUDA, cuBLAS, cuDNN or NCCL."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def check_usable() -> None:
    """Refuse GPUs that are there, and that the installed torch cannot use.

    Raises:
        UserError: the driver is too old, or torch was built without CUDA or without code for the GPU.
    """
    import torch

    if torch.version.hip is not None:
        return
    if not torch.cuda.is_available():
        if not _hidden() and (there := gpus_there()):
            _refuse(there, torch.version.cuda)
        return
    architectures = torch.cuda.get_arch_list()
    for index in range(torch.cuda.device_count()):
        capability = torch.cuda.get_device_capability(index)
        if architectures and not has_code_for(capability, architectures):
            raise UserError(
                f"{torch.cuda.get_device_name(index)} (compute capability {capability[0]}.{capability[1]}) "
                f"cannot run torch {torch.__version__}, which is built for {', '.join(architectures)}",
                fix=_install("cu126") if capability < (7, 5) else _install("another build's index"),
            )


def has_code_for(capability: tuple[int, int], architectures: list[str]) -> bool:
    """Whether a build of torch for these architectures runs on a GPU.

    Machine code (`sm_80`) runs on the same major version with the same or a higher minor one, code to be
    compiled by the driver (`compute_80`) on any newer GPU. Variants such as `sm_90a` run on theirs alone.
    """
    for name in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name)
        if match is None:
            continue
        built_for = int(match[2]), int(match[3])
        if match[4]:
            fits = capability == built_for
        elif match[1] == "sm":
            fits = capability[0] == built_for[0] and capability[1] >= built_for[1]
        else:
            fits = capability >= built_for
        if fits:
            return True
    return False


def gpus_there() -> int:
    """Number of NVIDIA GPUs that this process may open, whether torch can use them or not."""
    nodes = [path for path in Path("/dev").glob("nvidia[0-9]*") if _opens(path)]
    if nodes:
        return len(nodes)
    lines = _nvidia_smi("-L").splitlines()
    return sum(line.startswith("GPU ") for line in lines)


def driver_version() -> str | None:
    """Version of NVIDIA's driver, such as `550.54.15`; None if it cannot be found."""
    with contextlib.suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
        if match := re.search(r"\s(\d{3,}\.\d+(?:\.\d+)?)\s", text):
            return match[1]
    answer = _nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader").strip().splitlines()
    return answer[0] if answer and re.fullmatch(r"\d+[\d.]*", answer[0]) else None


def _refuse(there: int, cuda: str | None) -> None:
    number = f"{there} GPU{'s' * (there > 1)}"
    on_cpu = "set CUDA_VISIBLE_DEVICES= (empty) to use the CPU all the same"
    if cuda is None:
        raise UserError(
            f"this machine has {number}, but the installed torch is built without CUDA",
            fix=f"{_install('cu126')} (or cu130 with a driver of 580 or newer), or {on_cpu}",
        )
    driver = driver_version()
    needed = 580 if int(cuda.split(".")[0]) >= 13 else 525
    if driver is not None and int(driver.split(".")[0]) >= needed:
        raise UserError(
            f"this machine has {number}, but torch cannot start CUDA {cuda} on driver {driver}",
            fix=f"run `python -c 'import torch; torch.zeros(1).cuda()'` for CUDA's reason, or {on_cpu}",
        )
    raise UserError(
        f"this machine has {number}, but its driver {driver or '(version unknown)'} is too old for CUDA "
        f"{cuda}, which the installed torch is built with and which needs driver {needed} or newer",
        fix=f"{_install('cu126')}, update the driver, or {on_cpu}",
    )


def _install(build: str) -> str:
    import torch

    version = torch.__version__.partition("+")[0]
    if build.startswith("cu"):
        return (
            f"pip install torch=={version}+{build} --extra-index-url https://download.pytorch.org/whl/{build}"
        )
    return f"install a build of torch {version} for this GPU (https://pytorch.org/get-started/locally)"


def _hidden() -> bool:
    """Whether the user asked for the CPU."""
    forbidden = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return forbidden or (visible is not None and visible.strip() in ("", "-1", "NoDevFiles"))


def _opens(path: Path) -> bool:
    """Whether the device may be opened: a scheduler forbids those of other jobs."""
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True


def _nvidia_smi(*arguments: str) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
