"""The examples of docs/pipelines.md, run as printed, give what the tagger gives."""

from __future__ import annotations

import re
import warnings

import pytest

from tests.conftest import REPOSITORY

BLOCKS = re.findall(
    r"## (\w+)\n(?:(?!\n## ).)*?```python\n(.*?)```",
    (REPOSITORY / "docs" / "pipelines.md").read_text(encoding="utf-8"),
    flags=re.S,
)
TEXTS = ["Anna Berg visits York.", "No names here."]


@pytest.fixture
def executed(run, tmp_path, monkeypatch):
    """The names that the example of a section defines, where runs/full is a run."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "full").symlink_to(run)
    monkeypatch.chdir(tmp_path)

    def execute(section: str) -> dict:
        names: dict = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pipeline guesses where words begin
            exec(dict(BLOCKS)[section], names)
        return names

    return execute


def test_the_page_has_an_example_of_each_library():
    assert [section for section, _ in BLOCKS] == ["transformers", "datasets", "spaCy"]


def test_transformers(executed, tagger):
    names = executed("transformers")
    assert names["entities"] == names["find"](TEXTS[0])
    assert {each["entity_group"] for each in names["entities"]} <= {*tagger.labels.types}
    assert all(each["word"].strip() in TEXTS[0] for each in names["entities"])


def test_datasets(executed, tagger):
    names = executed("datasets")
    assert names["found"]["entities"] == [[vars(each) for each in found] for found in tagger.spans(TEXTS)]
    words = ["Anna", "Berg", "visits", "York", "."]
    assert names["tagged"][0] == {"tokens": words, "predicted": tagger.tags([words])[0]}


def test_spacy(executed):
    pytest.importorskip("spacy")
    # What the entry point does once the package is installed.
    import ner_dist.integrations.spacy_component  # noqa: F401

    names = executed("spaCy")
    assert [doc.text for doc in names["docs"]] == TEXTS
    first = [(span.text, span.label_, span._.probability) for span in names["docs"][0].ents]
    assert first == names["entities"]
