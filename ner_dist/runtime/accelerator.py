"""Set up the process: its process group, strategy and log. Independent of data and models.

`accelerate launch` decides the number of processes and the strategy (one process, DDP, ZeRO) and hands both
over in the environment. `start` turns that into an `Accelerator` that works on GPUs and, with gloo, on CPU
processes; DeepSpeed included.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ner_dist.errors import UserError
from ner_dist.outside import shown
from ner_dist.runtime import gpu
from ner_dist.runtime.precision import (
    Device,
    launched_with_deepspeed,
    offloads_optimizer,
    resolve_precision,
    uses_gpu,
)
from ner_dist.runtime.ranks import COLLECTIVE_TIMEOUT
from ner_dist.runtime.threads import choose_threads, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator

    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)

REDUCE_BUCKET = 250_000_000
"""Elements, fp32, of the buffer in which DeepSpeed adds up gradients; its default is twice as many."""


@contextmanager
def running(recipe: Recipe, *, model_type: str) -> Iterator[Accelerator]:
    """Call `start` for the block, and leave torch as it was, so that another training can follow."""
    import torch
    from accelerate.state import AcceleratorState, PartialState

    from ner_dist.runtime.cpu_kernels import kernels_restored

    own = not PartialState._shared_state
    with kernels_restored(), gpu.settings_restored():
        try:
            yield start(recipe, model_type=model_type)
        finally:
            if own and not torch.distributed.is_initialized():
                # Accelerate allows one precision a process, until its state is forgotten.
                AcceleratorState._reset_state(reset_partial_state=True)


def start(recipe: Recipe, *, model_type: str) -> Accelerator:
    """Join the process group and choose device, precision and strategy.

    Args:
        recipe: the recipe of the run.
        model_type: `config.model_type` of its encoder.
    """
    gpu.check_usable()
    device = Device.here()
    launch = os.environ.get("ACCELERATE_MIXED_PRECISION")
    precision, why = resolve_precision(recipe.precision, launch, device, model_type=model_type)
    _check_trackers(recipe)
    _check_devices(device)
    gpu.set_up(deterministic=recipe.train.deterministic)
    if not device.is_gpu:
        from ner_dist.runtime.cpu_kernels import speed_up

        speed_up(fp32=precision == "fp32")
    if launched_with_deepspeed():
        if not device.is_gpu:
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        elif offloads_optimizer():
            _check_compiler()
        warn_of_unfinished_builds()

    import torch
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

    # Naming a backend makes Accelerate look for a process group, which a process on its own has not.
    launched = "WORLD_SIZE" in os.environ or launched_with_deepspeed()
    group = InitProcessGroupKwargs(backend="nccl" if device.is_gpu else "gloo", timeout=COLLECTIVE_TIMEOUT)
    # Gradients live in the buckets that are exchanged; buffers, such as numbers of positions, never change.
    ddp = DistributedDataParallelKwargs(gradient_as_bucket_view=True, broadcast_buffers=False)
    accelerator = Accelerator(
        # Accelerate's cpu=True silently disables DeepSpeed.
        cpu=not device.is_gpu and not launched_with_deepspeed(),
        mixed_precision="no" if precision == "fp32" else precision,
        deepspeed_plugin=_deepspeed_plugin(recipe, precision) if launched_with_deepspeed() else None,
        log_with=list(recipe.logging.trackers) or None,
        project_dir=recipe.output_dir,
        kwargs_handlers=[group, ddp] if launched else None,
    )
    set_up_logging(main=accelerator.is_main_process)
    _check_world(accelerator)
    world = accelerator.num_processes
    log.info("%s on %s%s", describe(accelerator), device.name, f", {world} processes" if world > 1 else "")
    log.info("precision %s: %s", precision, why)
    _tell_of_other_gpus(device, world)
    if device.is_gpu:
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(accelerator.device))
        log.info("GPU memory: %.1f of %.1f GiB are free", free, total)
        # Launchers give a rank one thread, with which Adam on the host would be several times as slow.
        threads = choose_threads()
        if offloads_optimizer():
            log.info("AdamW on the host: %s", threads)
    else:
        log.info(
            "no GPU: the processes run on the CPU and communicate over gloo"
            if world > 1
            else "no GPU: using the CPU"
        )
        # After the Accelerator, which may set the number by its own rule.
        log.info("%s%s", choose_threads(), load())
    return accelerator


def _check_devices(device: Device) -> None:
    """Refuse two ranks on one GPU, before NCCL fails with an obscure error."""
    import torch

    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if device.is_gpu and processes > (there := torch.cuda.device_count()):
        raise UserError(
            f"{processes} processes were launched where each sees {there} GPU{'s' * (there > 1)}",
            fix=f"pass --num_processes {there} to accelerate launch (times the number of machines), or let "
            "every process see all GPUs, if srun --gpus-per-task or the like gave each its own",
        )


def _check_compiler() -> None:
    """Refuse offload without what DeepSpeed compiles its Adam for the host with."""
    compiler = os.environ.get("CXX", "g++")
    missing = [
        name for name, there in ((compiler, shutil.which(compiler)), ("ninja", _has_ninja())) if not there
    ]
    if missing:
        raise UserError(
            f"offload needs {' and '.join(missing)}, with which DeepSpeed compiles AdamW for the host",
            fix="install g++ (CXX names another) and pip install ninja, or launch without offload",
        )


def _has_ninja() -> bool:
    return shutil.which("ninja") is not None or importlib.util.find_spec("ninja") is not None


def _tell_of_other_gpus(device: Device, world: int) -> None:
    """Log that one process uses only one of several GPUs."""
    import torch

    if device.is_gpu and world == 1 and (there := torch.cuda.device_count()) > 1:
        log.info(
            "one of %d GPUs is used: `ner-dist train RECIPE --processes %d` uses all of them", there, there
        )


def warn_of_unfinished_builds() -> None:
    """Warn about lock files of DeepSpeed's compiler: it would wait forever for one that was killed."""
    from torch.utils.cpp_extension import get_default_build_root

    if int(os.environ.get("LOCAL_RANK", 0)):
        return
    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    for lock in (*root.glob("*/lock"), *root.glob("*/*/lock")):
        minutes = (time.time() - lock.stat().st_mtime) / 60
        if minutes > 2:  # no compiler needs longer
            log.warning(
                "DeepSpeed's %s: waiting for another process, which started to compile it %.0f min ago; "
                "if that was killed, end this one and delete %s",
                *(lock.parent.name, minutes, lock),
            )


def _check_trackers(recipe: Recipe) -> None:
    """Refuse a tracker that is not installed, which Accelerate would silently ignore."""
    for name in recipe.logging.trackers:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"the tracker `{name}` is not installed",
                where="logging.trackers",
                fix=f"pip install {name}, or leave it out",
            )


def precision_of(accelerator: Accelerator) -> str:
    """The precision in use: `fp32`, `bf16` or `fp16`."""
    return "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision


def zero_stage(accelerator: Accelerator) -> int:
    """DeepSpeed's stage: 0 without DeepSpeed, else 1 to 3."""
    return int(_zero_settings(accelerator)["stage"]) if launched_with_deepspeed() else 0


def _zero_settings(accelerator: Accelerator) -> dict[str, Any]:
    settings: dict[str, Any] = accelerator.state.deepspeed_plugin.deepspeed_config["zero_optimization"]
    return settings


def describe(accelerator: Accelerator) -> str:
    """The strategy in a few characters: `one process`, `DDP` or `ZeRO-2`, with `+ offload`."""
    if stage := zero_stage(accelerator):
        moved = _zero_settings(accelerator).get("offload_optimizer", {}).get("device", "none") != "none"
        return f"ZeRO-{stage}{' + offload' if moved else ''}"
    return "DDP" if accelerator.num_processes > 1 else "one process"


def _deepspeed_plugin(recipe: Recipe, precision: str) -> Any:
    """The launch config's DeepSpeed settings, completed from the recipe."""
    try:
        import deepspeed  # noqa: F401
    except ImportError:
        raise UserError(
            "the launch config asks for DeepSpeed, which is not installed",
            fix="pip install 'ner_dist[deepspeed]'",
        ) from None
    from accelerate.utils import DeepSpeedPlugin

    # DeepSpeed's own calls, at every step and on every rank.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
    # The plugin reads the precision from here before the Accelerator tells it.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no" if precision == "fp32" else precision
    plugin = DeepSpeedPlugin()
    plugin.deepspeed_config |= {
        # The loop defines the step: at each backward it tells DeepSpeed whether it is the last.
        "gradient_accumulation_steps": 1,
        "train_micro_batch_size_per_gpu": 1,
        "gradient_clipping": recipe.train.max_grad_norm or 0.0,
        "steps_per_print": 10**9,
        # It would wait for the device before every forward pass.
        "timers": {"throughput": {"enabled": False}},
    }
    if precision != "fp32":
        # Summing gradients with 8 or 11 significant bits would lose precision over micro-batches and ranks.
        plugin.deepspeed_config["data_types"] = {"grad_accum_dtype": "fp32"}
        plugin.deepspeed_config["communication_data_type"] = "fp32"
    plugin.deepspeed_config["zero_optimization"]["reduce_bucket_size"] = REDUCE_BUCKET
    if not uses_gpu():
        plugin.deepspeed_config["zero_force_ds_cpu_optimizer"] = False
    return plugin


def _check_world(accelerator: Accelerator) -> None:
    """Refuse a launch of several processes that do not form one group."""
    meant = int(os.environ.get("WORLD_SIZE", 1))
    if accelerator.num_processes != meant:
        raise UserError(
            f"{meant} processes were launched, but they did not find each other "
            f"({accelerator.num_processes} in the group)",
            fix="use one of the configs in launch/, which start several processes on CPU machines too",
        )


if TYPE_CHECKING:
    _TextHandler = logging.StreamHandler[TextIO]
else:
    _TextHandler = logging.StreamHandler  # not generic before Python 3.11


class _ToStandardError(_TextHandler):
    """Looks up `sys.stderr` for every line, since a progress bar replaces it to keep lines above the bar."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = shown(super().format(record))
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def set_up_logging(*, main: bool = True) -> None:
    """Send the package's log to standard error: all lines of rank 0, only errors of other ranks."""
    root = logging.getLogger("ner_dist")
    if not root.handlers:
        handler = _ToStandardError()
        handler.setFormatter(_PlainLines("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        root.addHandler(handler)
        root.propagate = False
    root.setLevel(logging.INFO if main else logging.ERROR)
