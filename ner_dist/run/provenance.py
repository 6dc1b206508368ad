"""Record how a run was made: the command, the commit, package versions and hardware."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ner_dist.files import now, write_atomically
from ner_dist.recipe_file import to_yaml
from ner_dist.yaml_text import load, read_bounded

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run


_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "deepspeed", "datasets", "seqeval", "numpy")


def write_recipe(run: Run, recipe: Recipe, *, world: dict[str, Any], fingerprint: str) -> None:
    """Write the resolved recipe with its provenance."""
    earlier = provenance_of(run)
    starts = earlier.pop("earlier_starts", [])
    provenance = {
        "started": now(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": _git_commit(),
        "data_fingerprint": fingerprint,
        "python": platform.python_version(),
        "packages": package_versions(),
        **world,
        "earlier_starts": [*starts, earlier] if earlier else [],
    }
    write_atomically(run.recipe, to_yaml(recipe, provenance=provenance))


def provenance_of(run: Run) -> dict[str, Any]:
    """The provenance that the last start of the run recorded; empty if there is none, or it is damaged."""
    found = recorded_settings(run).get("provenance")
    return found if isinstance(found, dict) else {}


def recorded_settings(run: Run) -> dict[str, Any]:
    """The resolved recipe with its provenance, as in the file; empty if it cannot be read."""
    try:
        known = load(read_bounded(run.recipe))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return known if isinstance(known, dict) else {}


def package_versions() -> dict[str, str]:
    """Versions of the packages that affect a run's results."""
    return {name: version for name in ("ner_dist", *_PACKAGES) if (version := _version(name))}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Commit of the running source, with `-dirty` if it has changes; None outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(
            ["git", *words], cwd=here, check=True, capture_output=True, text=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
