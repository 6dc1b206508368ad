"""Trainings on the cluster, submitted as users submit them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

from tests.conftest import REPOSITORY
from tests.distributed.launching import RECIPE, environment
from tests.slurm.cluster import FINAL

STEPS = 160
SCRIPT = "launch/slurm/train.sbatch"
# Saved after every step: a job that is disturbed goes on close to where it was.
OPTIONS = (f"train.max_steps={STEPS}", "checkpoint.every=1", "evaluation.every=1000")


class Jobs:
    """Trainings of one recipe on the cluster, each with a folder of its own."""

    def __init__(self, cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.recipe = folder / "tiny.yaml"
        self.recipe.write_text(RECIPE)
        # The hook gives the jobs this Python; nothing else of the submitter's environment is needed.
        hook = folder / "environment.sh"
        given = environment()
        lines = [f"export PATH={Path(sys.executable).parent}:$PATH"]
        lines += [
            f"export {name}='{given[name]}'"
            for name in ("OMP_WAIT_POLICY", "PYTHONPATH", "TOKENIZERS_PARALLELISM", "NER_DIST_CACHE")
        ]
        hook.write_text("\n".join([*lines, "export HF_HUB_OFFLINE=1"]) + "\n")
        self.hook = hook

    def submit(self, *arguments: str, options: tuple[str, ...] = (), **env: str) -> str:
        log = f"--output={self.folder}/%x-%j.log"
        env = {"NER_DIST_ENVIRONMENT": str(self.hook), **env}
        return self.cluster.submit(*options, log, SCRIPT, *arguments, cwd=REPOSITORY, env=env)

    def train(self, name: str, *arguments: str, options: tuple[str, ...] = (), **env: str) -> str:
        words = [str(self.recipe), f"output_dir={self.folder / name}", *OPTIONS, *arguments]
        return self.submit(*words, options=options, **env)

    def step(self, name: str) -> int:
        """How far a training is."""
        path = self.folder / name / "metrics.jsonl"
        return path.read_text().count('"event": "train"') if path.exists() else 0

    def until_step(self, name: str, step: int, job: str) -> None:
        end = time.monotonic() + 240
        while self.step(name) < step:
            state = self.cluster.state(job)["JobState"]
            assert state not in FINAL and time.monotonic() < end, f"{state}\n{self.cluster.log(job)[-4000:]}"
            time.sleep(0.1)

    def disturb(self, name: str, job: str, *words: str) -> None:
        """Let a training get ten steps further, and have Slurm send it back into the queue."""
        self.cluster.wait(job, "RUNNING", timeout=120)
        self.until_step(name, self.step(name) + 10, job)
        self.cluster.run(list(words))
        self.cluster.wait(job, "PENDING", timeout=120)

    def signal(self, name: str, signal: str) -> None:
        """Signal a training's processes on n1, behind Slurm's back."""
        words = ["pkill", f"-{signal}", "--full", "--", f"-m ner_dist.train .*{self.folder / name} "]
        self.cluster.on("n1", words)

    def starts(self, name: str) -> list[dict]:
        return json.loads((self.folder / name / "slurm.json").read_text())["starts"]


def same_weights(one: Path, other: Path) -> bool:
    a, b = (load_file(folder / "model/model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)
