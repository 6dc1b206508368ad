"""ARCHITECTURE.md's table of modules is complete, and imports follow its arrows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "ner_dist"
ROWS = re.findall(r"^\| (`[^|]+\.py`) \|", (REPOSITORY / "ARCHITECTURE.md").read_text(), flags=re.M)
LEVEL = {name: level for level, row in enumerate(ROWS) for name in re.findall(r"`([^`]+)`", row)}


def imported(path: Path) -> set[str]:
    """The package's modules that a file imports, as in the table."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ner_dist":
            below = node.module.removeprefix("ner_dist").removeprefix(".")
            names |= {below} if below else {alias.name for alias in node.names}
    return {f"{name.replace('.', '/')}.py" for name in names} & LEVEL.keys()


def test_every_module_is_listed():
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.stem != "__init__"}
    assert modules == LEVEL.keys()


@pytest.mark.parametrize("name", LEVEL)
def test_imports_point_down(name):
    above = [other for other in imported(PACKAGE / name) if LEVEL[other] < LEVEL[name]]
    assert not above


@pytest.mark.parametrize(
    "name",
    [
        "labels",
        "metrics",
        "cli",
        "recipe_file",
        "comparison.compare",
        "comparison.uncertainty",
        "report.write",
    ],
)
def test_import_needs_neither_torch_nor_transformers(name):
    code = f"import sys, ner_dist.{name}; print(sorted({{'torch', 'transformers'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
