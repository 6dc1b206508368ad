"""Start the ranks of a training or prediction on this machine: `ner-dist train RECIPE --processes N`.

Accelerate's own launcher does the work, in this process: it reads the launch config, sets the ranks'
environment, and has torchrun start and watch them. This module adds the end: it returns the exit code of the
ranks, and suppresses the launchers' messages after the line that a rank has printed.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ner_dist.errors import UserError
from ner_dist.formatting import counted
from ner_dist.launch import LaunchConfig
from ner_dist.runtime.accelerator import set_up_logging
from ner_dist.runtime.precision import uses_gpu
from ner_dist.runtime.signals import EXIT_RESUME, exit_on_signals
from ner_dist.runtime.threads import TOLD

log = logging.getLogger(__name__)

_STARTED_HERE = "NER_DIST_STARTED_HERE"
_GRACE = 300
"""Seconds that ranks have to save after a signal; by default torchrun kills them after 30."""
_OTHERS_WAIT = 20
"""Seconds that other ranks wait for the first rank to report an error that all ranks met."""

# A copy of launch/cpu.yaml, which users may have edited.
_SEVERAL_PROCESSES = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 1
num_processes: 2
machine_rank: 0
mixed_precision: 'no'
"""


def launch(
    module: str, arguments: list[str], *, processes: int | None = None, config: str | None = None
) -> int:
    """Run a module with several processes on this machine.

    Args:
        module: such as `ner_dist.train`.
        arguments: its command line.
        processes: number of processes; None takes that of the launch config.
        config: one of Accelerate's config files, such as those of launch/; None means DDP, in the
            precision that the recipe and the hardware decide.

    Returns:
        The exit code, as from `train.main`; 130 if a second Ctrl-C cut the saving short.

    Raises:
        UserError: the launch config cannot start that on this machine.
    """
    exit_on_signals()
    with _config_file(config) as path:
        settings = LaunchConfig.read(path)
        count = _number(settings) if processes is None else processes
        _check(settings, count)
        words = ["--config_file", settings.path, "--num_processes", str(count), "--main_process_port", "0"]
        words += ["-m", module, *arguments]
        set_up_logging()
        log.info("starting %s", counted(count, "process", "processes"))
        logging.disable(logging.ERROR)  # the launchers' own lines, in this process
        try:
            return _one(words) if settings.strategy == "one" else _several(words, settings)
        except (ValueError, TypeError, KeyError, ImportError) as error:
            # How Accelerate refuses a config file.
            raise UserError(
                f"cannot be used: {str(error).rstrip('.')}",
                where=f"launch config {path}",
                fix="compare it with the configs in launch/",
            ) from None
        finally:
            logging.disable(logging.NOTSET)


@contextmanager
def _config_file(config: str | None) -> Iterator[str]:
    """The path of the launch config; for None, a temporary file that exists in the block."""
    if config is not None:
        yield config
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "several_processes.yaml"
        path.write_text(_SEVERAL_PROCESSES, encoding="utf-8")
        yield str(path)


def _number(settings: LaunchConfig) -> int:
    """The number of processes in the launch config."""
    number = settings.processes
    if isinstance(number, int) and number > 0:
        return number
    raise UserError(
        "does not say how many processes to start" if number is None else f"num_processes is {number!r}",
        where=f"launch config {settings.path}",
        fix="pass --processes N",
    )


def _check(settings: LaunchConfig, processes: int) -> None:
    """Refuse settings with which the launchers would fail."""
    if settings.machines > 1:
        raise UserError(
            f"is for {settings.machines} machines, but --processes starts processes on one",
            where=f"launch config {settings.path}",
            fix="ner-dist launch-help prints the command for each machine, and ner-dist slurm submits it",
        )
    if settings.strategy == "zero" and importlib.util.find_spec("deepspeed") is None:
        raise UserError(
            "the launch config asks for DeepSpeed, which is not installed",
            fix="pip install 'ner_dist[deepspeed]'",
        )
    gpus = 0 if settings.use_cpu else _gpus()
    settings.check(machines=1, per_machine=processes, gpus=gpus)
    if gpus and processes > gpus:
        raise UserError(
            f"{processes} processes need {processes} GPUs, and this machine has {gpus}",
            where="--processes",
            fix=f"pass --processes {gpus}",
        )


def _gpus() -> int:
    """Number of GPUs that a training on this machine would use."""
    import torch

    return torch.cuda.device_count() if uses_gpu() else 0


def _one(words: list[str]) -> int:
    """Replace this process by a training in the launch config's environment; it needs no launcher."""
    from accelerate.commands.launch import (
        _validate_launch_command,
        launch_command_parser,
        prepare_simple_launcher_cmd_env,
    )

    arguments = _validate_launch_command(launch_command_parser().parse_args(words))[0]
    command, environment = prepare_simple_launcher_cmd_env(arguments)
    if "OMP_NUM_THREADS" in os.environ:
        environment[TOLD] = "1"
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)


def _several(words: list[str], settings: LaunchConfig) -> int:
    """Run `accelerate launch WORDS`, but return the exit code of the ranks."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    _set_up_environment(settings)
    arguments = launch_command_parser().parse_args(words)
    # torchrun would react to a hang-up even under `nohup`; versions without this option do.
    arguments.signals_to_handle = "SIGTERM,SIGINT,SIGQUIT"
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGUSR1))
    try:
        launch_command(arguments)
    except ChildFailedError as error:
        return _exit_code(error)
    except SignalException as error:
        again = isinstance(error.__context__, SignalException)
        return 128 + error.sigval if again else EXIT_RESUME
    return 0


def _set_up_environment(settings: LaunchConfig) -> None:
    """Set environment variables for the launchers and the ranks."""
    os.environ[_STARTED_HERE] = "1"
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(_GRACE))
    if settings.use_cpu:  # Accelerate drops this setting for several processes
        os.environ["ACCELERATE_USE_CPU"] = "true"


def _exit_code(error: Any) -> int:
    """The exit code of the rank that failed first; torchrun ended the others because of it."""
    rank, failure = error.get_first_failure()
    if failure.exitcode >= 0:
        result: int = failure.exitcode
        return result
    name = signal.Signals(-failure.exitcode).name
    why = ", as by the kernel when memory runs out" if name == "SIGKILL" else ""
    what = f"rank {rank} was killed by {name}{why}"
    print(f"error: {what}; repeat the command to resume from the last checkpoint", file=sys.stderr)
    return 1


def leave_the_word() -> None:
    """Wait on other ranks while the first reports an error that all met; torchrun then ends them.

    If another rank ended earlier, torchrun would end the first one, perhaps before its report.
    """
    if _STARTED_HERE in os.environ and int(os.environ.get("LOCAL_RANK", 0)):
        time.sleep(_OTHERS_WAIT)
