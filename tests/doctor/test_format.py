"""docs/formats.md describes doctor.json and suspects.jsonl with every key that they have."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np

from ner_dist.data.corpus import Split
from ner_dist.doctor import findings
from ner_dist.doctor.review import SUSPECTS, write_review
from ner_dist.doctor.suspects import suspects
from ner_dist.labels import LabelSet
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## doctor.json")[1].split("\n## ")[0]


def named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def test_every_key_of_the_diagnosis_is_described():
    table = SECTION.split("### suspects.jsonl")[0]
    known = named(table.replace("[]", ""))
    for kind in (
        findings.Diagnosis,
        findings.SplitSizes,
        findings.Subwords,
        findings.Steps,
        findings.Finding,
        findings.Example,
    ):
        own = {field.name for field in fields(kind)} - {"splits"}
        assert own <= known, (kind, own - known)
    assert f"`format` is {findings.FORMAT}" in SECTION and "`splits.SPLIT`" in SECTION
    assert set(findings.SEVERITIES) <= known


def test_every_key_of_a_suspect_is_described(tmp_path):
    labels = LabelSet.from_types(["PER"])
    split = Split([["Anna"]], np.array([1], dtype=np.int16), np.array([0, 1]))
    found = suspects(split, split.tags, np.array([[0.9, 0.05, 0.05]]), labels)
    write_review(tmp_path, split, found, name="train", types=labels.types, fingerprint="f")
    text = (tmp_path / SUSPECTS).read_text()
    keys = set(re.findall(r'"([a-z_]+)":', text))
    assert keys >= {"decision", "was", "now", "evidence"}
    assert keys <= named(SECTION.split("### suspects.jsonl")[1])
