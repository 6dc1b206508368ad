"""doctor.html and review.html in Chromium: layout, colours, decisions by keyboard, and the saved file."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.sources import load_corpus
from ner_dist.doctor.page import diagnosis_page, terminal, verdict
from ner_dist.doctor.review import PAGE, write_review
from ner_dist.doctor.suspects import suspects
from ner_dist.labels import LabelSet
from ner_dist.recipe_data import Data, SplitNames
from tests.doctor.made import clean, diagnosis

LABELS = LabelSet.from_types(["PER", "LOC"])
HOSTILE = '</script><img/src="x"/onerror="alert(1)">'
SENTENCES = [
    ("Anna sees York", "B-LOC O B-LOC", "B-PER O B-LOC"),
    (f"{HOSTILE} sees Bonn", "O O O", "O O B-LOC"),
    ("The old town", "O O B-LOC", "O O O"),
]


def tags(text: str) -> list[int]:
    return [LABELS.label2id[tag] for tag in text.split()]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory) -> Path:
    """The folder of a review of three disputed spans, and the data they are of."""
    folder = tmp_path_factory.mktemp("review")
    words = [text.split(" ") for text, _, _ in SENTENCES]
    rows = zip(words, (data.split() for _, data, _ in SENTENCES), strict=True)
    lines = [json.dumps({"tokens": tokens, "ner_tags": own}) + "\n" for tokens, own in rows]
    (folder / "train.jsonl").write_text("".join(lines))
    annotated = np.array([tag for _, data, _ in SENTENCES for tag in tags(data)], dtype=np.int16)
    split = Split(words, tags=annotated, offsets=offsets_of(np.array([3] * 3)), origin=["a:1", "a:2", "a:3"])
    known = np.full((9, 5), 0.01, dtype=np.float32)
    known[np.arange(9), [tag for _, _, model in SENTENCES for tag in tags(model)]] = 0.96
    found = suspects(split, annotated, known, LABELS)
    write_review(folder, split, found, name="train", types=LABELS.types, fingerprint="f")
    return folder


@pytest.fixture(scope="module")
def doctor_page(tmp_path_factory) -> Path:
    """The page of data with findings of all severities, and hostile words."""
    folder = tmp_path_factory.mktemp("doctor")
    hostile = [(f"In {HOSTILE} K\ufffdln", "O B-LOC O")]
    found = diagnosis(folder / "data", train=[*clean(120), *hostile, clean(1)[0]], test=clean(40, start=90))
    path = folder / "doctor.html"
    path.write_text(diagnosis_page(found))
    assert {finding.severity for finding in found.findings} >= {"error", "info"}
    return path


def sound(found) -> None:
    assert found.complaints == [] and found.requests == []


def test_terminal_and_verdict_name_the_remedy(tmp_path):
    found = diagnosis(tmp_path, train=clean(120), test=clean(40))
    text = "\n".join(terminal(found))
    assert "do: data.drop_test_sentences_from_train=true drops them from train" in text
    assert verdict(found) in text and "must be fixed" in verdict(found)
    healthy = diagnosis(tmp_path / "healthy", train=clean(120), test=clean(40, start=200))
    assert verdict(healthy).startswith("Nothing must be fixed")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["doctor", "review"])
def test_layout_and_colours(opened, doctor_page, reviewed, which, scheme):
    path = doctor_page if which == "doctor" else reviewed / PAGE
    for width in (1400, 380):
        found = opened(path, width=width, scheme=scheme)
        page = found.page
        assert page.evaluate("checks.contrast()") == []
        assert page.evaluate("checks.overflow()") <= 0
        assert page.evaluate("checks.doubleIds()") == [] and page.evaluate("checks.lostLinks()") == []
        levels = page.evaluate("checks.headings()")
        assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
        sound(found)


@pytest.mark.browser
def test_findings_are_on_the_page_as_text(opened, doctor_page):
    page = opened(doctor_page).page
    assert HOSTILE in page.inner_text("#error")
    assert page.locator("img").count() == 0
    assert "data.drop_test_sentences_from_train=true" in page.inner_text("#error")


@pytest.mark.browser
def test_decisions_by_keyboard_are_kept_and_saved(opened, reviewed, tmp_path):
    found = opened(reviewed / PAGE)
    page = found.page
    assert page.inner_text("#progress") == "0 of 3 decided, 0 accepted; 3 shown"
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.press("r")
    page.keyboard.press("a")
    assert page.inner_text("#progress") == "3 of 3 decided, 2 accepted; 3 shown"
    page.keyboard.press("u")
    assert page.inner_text("#progress") == "2 of 3 decided, 1 accepted; 3 shown"
    page.keyboard.press("a")
    page.reload()
    assert page.inner_text("#progress") == "3 of 3 decided, 2 accepted; 3 shown", "the browser keeps them"
    assert page.locator("img").count() == 0
    sound(found)
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename == "corrections.jsonl"
    file = tmp_path / "corrections.jsonl"
    download.value.save_as(file)
    saved = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["decision"] for row in saved] == ["accept", "reject", "accept"]
    data = Data(path=str(reviewed / "train.jsonl"), splits=SplitNames(validation=None, test=None))
    before, after = (
        load_corpus(data.model_copy(update={"corrections": named})) for named in (None, str(file))
    )
    assert after.counts["train_corrected"] == 2
    differ = before.splits["train"].tags != after.splits["train"].tags
    wanted = {row["where"] for row in saved if row["decision"] == "accept"}
    assert {f"a:{place // 3 + 1}" for place in np.flatnonzero(differ)} == wanted


@pytest.mark.browser
def test_filters_show_what_they_name(opened, reviewed):
    page = opened(reviewed / PAGE).page
    kinds = {"wrong type": "York", "missing": "Bonn", "extra": "town"}
    for kind, word in kinds.items():
        page.select_option("#kind", label=kind)
        (text,) = page.locator(".suspect:visible").all_inner_texts()
        assert word in text and kind in text
    page.select_option("#kind", value="")
    page.locator(".suspect .accept").first.click()
    page.select_option("#state", value="accept")
    assert page.locator(".suspect:visible").count() == 1
    page.select_option("#state", value="reject")
    assert page.locator(".suspect:visible").count() == 0 and page.is_visible("#none")
