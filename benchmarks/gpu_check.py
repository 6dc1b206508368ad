"""Check on one GPU, in ten minutes, what only a GPU can show, and measure where its time goes.

    python benchmarks/gpu_check.py [--out runs/gpu_check] [--budget 560] [--only NAME]
    python benchmarks/gpu_check.py --smoke          the parts that a CPU can run, on a tiny model

Every check prints a line, `PASS`, `FAIL` or `INFO`, and none stops the others: figures are saved in
OUT/gpu_check.json after each, so that a run that is cut off leaves what it has. Checks of correctness come
first; those for which the budget is too short are skipped. docs/gpu.md says what each decides.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from gpu_speed import SPEED

from ner_dist.model.encoder import load_config
from ner_dist.recipe import Recipe
from ner_dist.run.directory import Run
from ner_dist.runtime import gpu
from ner_dist.runtime.accelerator import running
from ner_dist.training.host_buffer import HostBuffer
from ner_dist.training.trainer import Trainer

BASE = {"hidden_size": 768, "layers": 12, "heads": 12, "vocab_size": 50265, "max_length": 512}
TINY = {"hidden_size": 32, "layers": 2, "heads": 2, "vocab_size": 400, "max_length": 64}
_TRAIN = {"epochs": 50, "batch_tokens": 1024, "micro_batch_tokens": 256, "learning_rate": 5e-5}
REPOSITORY = Path(__file__).parents[1]


@dataclass
class Bench:
    """What the checks share."""

    out: Path
    device: torch.device
    smoke: bool
    budget: float
    began: float = field(default_factory=time.monotonic)
    results: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.budget - (time.monotonic() - self.began)

    def trainer(self, *, precision: str | None = None, **train: Any) -> Any:
        """A context of a training that is ready for its next step, by the project's own functions."""
        number = len(list(self.out.glob("run-*")))
        values = {
            "name": "check",
            "output_dir": str(self.out / f"run-{number}"),
            "model": {"name": "scratch", "scratch": TINY if self.smoke else BASE},
            "data": {
                "path": "synthetic",
                "synthetic": {"train": 200 if self.smoke else 20_000, "validation": 10, "test": 10},
                "cache_dir": str(self.out / "cache"),
            },
            "precision": precision or ("fp32" if self.smoke else "bf16"),
            "train": _TRAIN | train,
            "checkpoint": {"every": None},
        }
        return _Training(Recipe.model_validate(values))

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, action: Callable[[], Any], *, repeats: int = 10) -> float:
        """Median time of an action, after three runs to warm up."""
        taken = []
        for _ in range(repeats + 3):
            self.synchronise()
            began = time.perf_counter()
            action()
            self.synchronise()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken[3:])


class _Training:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.process = running(recipe, model_type="roberta")

    def __enter__(self) -> Trainer:
        accelerator = self.process.__enter__()
        run = Run(Path(self.recipe.output_dir))
        run.folder.mkdir(parents=True)
        return Trainer.from_recipe(
            self.recipe, load_config(self.recipe.model), run=run, accelerator=accelerator
        )

    def __exit__(self, *error: Any) -> None:
        self.process.__exit__(*error)


def machine(bench: Bench) -> tuple[str, Any]:
    """Versions, and whether torch can use the GPU at all."""
    gpu.check_usable()
    said = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": sys.version.split()[0]}
    if bench.device.type == "cuda":
        said |= {
            "gpu": torch.cuda.get_device_name(),
            "capability": torch.cuda.get_device_capability(),
            "driver": gpu.driver_version(),
            "built_for": torch.cuda.get_arch_list(),
            "cudnn": torch.backends.cudnn.version(),
        }
    return "INFO", said


def plans_of_cudnn(bench: Bench) -> tuple[str, Any]:
    """Seconds that attention takes on shapes it has not seen, with cuDNN's kernel and without."""

    def first(cudnn: bool, rows: int) -> float:
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        taken = []
        for more in range(6):
            shape = (rows + more, 12, 20 + more, 64)
            q = torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True)
            bench.synchronise()
            began = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(q, q, q).sum().backward()
            bench.synchronise()
            taken.append(time.perf_counter() - began)
        return statistics.median(taken[1:])

    found = {"with": first(True, 50), "without": first(False, 80)}
    gpu.set_up()
    return ("PASS" if not torch.backends.cuda.cudnn_sdp_enabled() else "FAIL"), found


def waits(bench: Bench) -> tuple[str, Any]:
    """Every place of a step at which the host waits for the device."""
    with bench.trainer() as trainer:
        steps = trainer.loop.steps()
        for _ in range(3):
            next(steps)
        where: Counter[str] = Counter()
        if bench.device.type == "cuda":
            bench.synchronise()
            torch.cuda.set_sync_debug_mode("warn")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                for _ in range(20):
                    next(steps)
            torch.cuda.set_sync_debug_mode("default")
            for one in caught:
                if "synchroniz" in str(one.message):
                    where["/".join(Path(one.filename).parts[-2:]) + f":{one.lineno}"] += 1
        else:
            with _reads() as reads:
                for _ in range(5):
                    next(steps)
            where = reads.where
    return ("FAIL" if where else "PASS"), dict(where)


def _reads() -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reads(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.where: Counter[str] = Counter()

        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if operator.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero"):
                frame = traceback.extract_stack()[-3]
                self.where[f"{Path(frame.filename).name}:{frame.lineno}"] += 1
            return operator(*args, **(kwargs or {}))

    return Reads()


def same_gradient_on_any_world(bench: Bench) -> tuple[str, Any]:
    """The gradient of a step, dropout included, as the sum over W ranks that this process plays in turn."""

    def gradient(trainer: Trainer, world: int, rank: int) -> list[torch.Tensor]:
        loop = copy.copy(trainer.loop)
        real = loop.accelerator
        loop.accelerator = SimpleNamespace(
            num_processes=world, process_index=rank, device=real.device, backward=real.backward
        )
        loop._update = lambda: None
        next(loop.steps())
        found = [one.grad.float().clone() for one in loop.model.parameters()]
        loop.model.zero_grad()
        return found

    far = {}
    with bench.trainer(batch_tokens=2048) as trainer:
        trainer.loop.model.train()
        one, again = gradient(trainer, 1, 0), gradient(trainer, 1, 0)
        repeats = all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
        norm = sum(float(part.double().square().sum()) for part in one)
        for world in (2, 8):
            ranks = [gradient(trainer, world, rank) for rank in range(world)]
            summed = [sum(parts) / world for parts in zip(*ranks, strict=True)]
            apart = sum(float((a - b).double().square().sum()) for a, b in zip(summed, one, strict=True))
            far[world] = (apart / norm) ** 0.5
    return ("PASS" if repeats and max(far.values()) < 1e-5 else "FAIL"), {"repeats": repeats, "apart": far}


def repeats_by_length(bench: Bench) -> tuple[str, Any]:
    """Up to which length attention's gradient repeats bit for bit, as it is and with train.deterministic."""
    found: dict[str, list[int]] = {}
    for deterministic in (False, True):
        with gpu.settings_restored():
            gpu.set_up(deterministic=deterministic)
            good = []
            for length in (30, 64, 128, 129, 256, 512):
                shape = (max(1, 8192 // length), 12, length, 64)
                q = torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True)
                weight, gradients = torch.randn_like(q), []
                for _ in range(6):
                    torch.manual_seed(1)
                    q.grad = None
                    out = torch.nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.1)
                    (out * weight).sum().backward()
                    gradients.append(q.grad.clone())
                if all(torch.equal(gradients[0], other) for other in gradients):
                    good.append(length)
            found["deterministic" if deterministic else "as it is"] = good
    promised = {30, 64, 128} <= set(found["as it is"]) and len(found["deterministic"]) == 6
    return ("PASS" if promised else "FAIL"), found


def overflow_leaves_weights(bench: Bench) -> tuple[str, Any]:
    """A gradient that is not finite changes nothing, in every precision."""
    found = {}
    for precision in ("fp32",) if bench.smoke else ("bf16", "fp16", "fp32"):
        with bench.trainer(precision=precision) as trainer:
            steps = trainer.loop.steps()
            next(steps)
            before = [one.detach().clone() for one in trainer.loop.model.parameters()]
            hook = trainer.loop.model.classifier.register_forward_hook(lambda *all: all[-1] * float("nan"))
            next(steps)
            hook.remove()
            found[precision] = all(map(torch.equal, before, trainer.loop.model.parameters()))
    return ("PASS" if all(found.values()) else "FAIL"), found


def copies_arrive(bench: Bench) -> tuple[str, Any]:
    """What is saved is what was there when it was queued, although training goes on; GB/s of the copies."""
    buffer = HostBuffer(pinned=bench.device.type == "cuda")
    number = (1 << 12) if bench.smoke else (1 << 27)
    buffer.reserve(number)
    right, taken = True, []
    for turn in range(3):
        tensor = torch.full((number,), float(turn), device=bench.device)
        bench.synchronise()
        began = time.perf_counter()
        place = buffer.copy(tensor)
        buffer.queued()
        tensor.fill_(-1.0)
        buffer.wait()
        taken.append(time.perf_counter() - began)
        right &= bool((place == turn).all())
        buffer.clear()
    return ("PASS" if right else "FAIL"), {"GB/s": 4e-9 * number / min(taken)}


def training_is_freed(bench: Bench) -> tuple[str, Any]:
    """What is left on the GPU once the training is released, before its model is scored."""
    with bench.trainer() as trainer:
        next(trainer.loop.steps())
        held = torch.cuda.memory_allocated()
        trainer.loop.release()
        left = torch.cuda.memory_allocated()
    return ("PASS" if left < 0.05 * held else "FAIL"), {"held": held, "left": left}


def tests_of_the_repository(bench: Bench) -> tuple[str, Any]:
    """`pytest -m gpu`: every launch config in bf16 and fp16, and fp16's loss scale over a resume."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "6", "-m", "gpu", "tests/distributed/test_gpu.py"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=REPOSITORY, capture_output=True, text=True, timeout=200
    )
    (bench.out / "pytest.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return ("PASS" if done.returncode == 0 else "FAIL"), done.stdout.strip().splitlines()[-1:]


# Name, seconds that it needs, whether it needs a GPU.
CHECKS: list[tuple[Callable[[Bench], tuple[str, Any]], float, bool]] = [
    (machine, 0, False),
    (plans_of_cudnn, 20, True),
    (waits, 30, False),
    (same_gradient_on_any_world, 30, False),
    (repeats_by_length, 10, True),
    (overflow_leaves_weights, 30, False),
    (copies_arrive, 10, False),
    (training_is_freed, 15, True),
    *SPEED[:2],
    (tests_of_the_repository, 200, True),
    *SPEED[2:],
]


def main() -> int:
    """Run the checks; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", help="folder for the figures; a temporary one if not given")
    parser.add_argument("--budget", type=float, default=560, help="seconds in all")
    parser.add_argument("--only", default="", help="run the checks with this in their name")
    parser.add_argument("--smoke", action="store_true", help="tiny shapes on the CPU")
    options = parser.parse_args()
    on_gpu = torch.cuda.is_available() and not options.smoke
    if not on_gpu and not options.smoke:
        gpu.check_usable()
        parser.error("there is no GPU here; --smoke runs what a CPU can")
    out = Path(options.out or tempfile.mkdtemp(prefix="gpu_check-"))
    out.mkdir(parents=True, exist_ok=True)
    bench = Bench(out, torch.device("cuda" if on_gpu else "cpu"), not on_gpu, options.budget)
    for function, needed, needs_gpu in CHECKS:
        if options.only in function.__name__:
            run(bench, function, needed, skip=needs_gpu and not on_gpu)
    failed = [name for name, result in bench.results.items() if result["verdict"] == "FAIL"]
    print(
        f"{len(bench.results)} checks in {bench.budget - bench.left:.0f} s; "
        f"failed: {', '.join(failed) or 'none'}"
    )
    return bool(failed)


def run(bench: Bench, function: Callable[[Bench], tuple[str, Any]], needed: float, *, skip: bool) -> None:
    """Run one check, print its line and save all figures."""
    began = time.monotonic()
    if skip or bench.left < needed:
        too_late = f"{bench.left:.0f} s are left, it needs {needed:.0f}"
        verdict, found = "SKIP", "needs a GPU" if skip else too_late
    else:
        try:
            verdict, found = function(bench)
        except Exception as error:
            verdict, found = "FAIL", f"{type(error).__name__}: {error}"
            with (bench.out / "errors.txt").open("a", encoding="utf-8") as file:
                file.write(f"{function.__name__}\n{traceback.format_exc()}\n")
    seconds = time.monotonic() - began
    bench.results[function.__name__] = {"verdict": verdict, "found": found, "seconds": seconds}
    print(f"{verdict} {function.__name__} ({seconds:.1f} s): {str(found)[:600]}", flush=True)
    figures = json.dumps(bench.results, indent=1, default=str)
    (bench.out / "gpu_check.json").write_text(figures, encoding="utf-8")
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    sys.exit(main())
