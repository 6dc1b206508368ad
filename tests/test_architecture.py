"""ARCHITECTURE.md's table of modules is complete, and imports follow its arrows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "ner_dist"
ROWS = re.findall(r"^\| `([^`]+\.py)` \|", (REPOSITORY / "ARCHITECTURE.md").read_text(), flags=re.M)
LEVEL = {name: level for level, name in enumerate(ROWS)}
MODULES = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.stem != "__init__"}


def imported(name: str) -> set[str]:
    """The package's modules that one of them imports, at its top or inside a function, as in the table."""
    names = set()
    for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ner_dist":
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {f"{name.removeprefix('ner_dist.').replace('.', '/')}.py" for name in names} & MODULES


def room(name: str) -> str:
    return name.rpartition("/")[0].split("/")[0]


def test_every_module_is_listed_once():
    assert sorted(ROWS) == sorted(MODULES)


def test_rooms_are_listed_one_after_the_other():
    rooms = [name for name, _ in groupby(map(room, ROWS))]
    assert [name for name in rooms if name] == sorted(set(rooms) - {""}, key=rooms.index)


def test_paths_in_prose_exist():
    """Those of modules with their folder, from the repository, the package or the file's own folder."""
    texts = {path: path.read_text() for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("*/*.md")]}
    texts.pop(REPOSITORY / "CHANGELOG.md")  # tells what was
    for path in PACKAGE.rglob("*.py"):
        nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Expr))
        values = (node.value.value for node in nodes if isinstance(node.value, ast.Constant))
        texts[path] = "\n".join(value for value in values if isinstance(value, str))
    missing = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path, text in texts.items()
        for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py)`", text)
        if not any((root / name).exists() for root in (REPOSITORY, PACKAGE, path.parent))
    ]
    assert not missing


@pytest.mark.parametrize("name", ROWS)
def test_imports_point_down(name):
    above = [other for other in imported(name) if LEVEL[other] <= LEVEL[name]]
    assert not above


def test_the_tests_have_the_same_rooms():
    rooms = {room(name) for name in MODULES} - {""}
    assert not {name for name in rooms if not list((REPOSITORY / "tests" / name).glob("test_*.py"))}


@pytest.mark.parametrize(
    "name",
    [
        "labels",
        "evaluation.metrics",
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
