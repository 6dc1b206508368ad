"""Files that travel with ner_dist beside its code: the recipes, the launch configs and the batch scripts.

In the repository they are the folders recipes/ and launch/; a wheel has them as ner_dist/shipped/ (setup.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def shipped_folder(name: Literal["recipes", "launch"]) -> Path:
    """The folder of the installed package, else that of the checkout around it."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with ner_dist, by name."""
    return {path.stem: path for path in sorted(shipped_folder("recipes").glob("*.yaml"))}


def launch_folder() -> Path:
    """launch/ of the current folder if it holds the launch configs, else the shipped one."""
    here = Path("launch")
    return here if (here / "single_gpu.yaml").is_file() else shipped_folder("launch")


def launch_file(name: str | Path) -> str:
    """The file of a launch config.

    Args:
        name: a file, or the name of a shipped config as `zero2_bf16` or `launch/zero2_bf16.yaml`.

    Returns:
        The file itself if there is one, else the shipped file, else the name as it was given.
    """
    path = Path(name)
    if not path.is_file() and str(path.parent) in (".", "launch") and path.suffix in ("", ".yaml"):
        shipped = launch_folder() / f"{path.stem}.yaml"
        if shipped.is_file():
            return str(shipped)
    return str(name)
