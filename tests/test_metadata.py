"""Files about the project agree with the package."""

from __future__ import annotations

import re

import pytest
import yaml

import ner_dist
from tests.conftest import REPOSITORY

CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == ner_dist.__version__


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:ner_dist|tests|docs)/[\w/.]+)`", CONTRIBUTING)))
)
def test_files_named_for_contributors_are_there(path):
    assert (REPOSITORY / path).exists()


def test_checks_before_a_commit_are_those_of_make_lint():
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    checks = {hook["entry"].split()[0] for repo in hooks for hook in repo["hooks"]}
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), flags=re.M)[1]
    assert checks == {line.split()[-1 if "xargs" in line else 0] for line in lint.splitlines()}
