"""What is converted is read back as it was: spans by spans, words and tags by words and tags."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ner_dist.data.formats.form import Documents
from ner_dist.data.readers import read_content, read_rows
from ner_dist.recipe import Data
from tests.command_line import ner_dist
from tests.data.test_readers import sentences

FILES = Path(__file__).parent / "formats/files"
ENDINGS = {"doccano": "jsonl", "label-studio": "json", "jsonl": "jsonl", "conll": "conll"}


def spans(path: Path) -> list[tuple[str, list[tuple[int, int, str]]]]:
    content = read_content(path, Data(path="unused"))
    assert isinstance(content, Documents)
    return [
        (document.text, [(span.start, span.end, span.type) for span in document.spans])
        for document in content.documents
    ]


@pytest.mark.parametrize("to", ["doccano", "label-studio"])
@pytest.mark.parametrize("name", ["label_studio.json", "doccano_v2.jsonl", "gliner.json", "spacy_docs.jsonl"])
def test_texts_keep_every_span(tmp_path, name, to):
    out = tmp_path / f"out.{ENDINGS[to]}"
    assert ner_dist("convert", str(FILES / name), str(out), "--to", to) == 0
    expected = spans(FILES / name)
    if to == "label-studio" or name != "label_studio.json":
        assert spans(out) == expected
    else:  # doccano writes each of two labels as a span of its own
        assert [sorted(found) for _, found in spans(out)] == [sorted(found) for _, found in expected]


@pytest.mark.parametrize("to", ["jsonl", "conll"])
@pytest.mark.parametrize("name", ["label_studio.json", "prodigy.jsonl", "argilla.json", "dygie.jsonl"])
def test_words_and_tags_are_those_of_training(tmp_path, name, to):
    out = tmp_path / f"out.{ENDINGS[to]}"
    assert ner_dist("convert", str(FILES / name), str(out)) == 0
    assert sentences(read_rows(out, Data(path="unused"))) == sentences(
        read_rows(FILES / name, Data(path="unused"))
    )


def test_tags_of_any_scheme_become_spans(tmp_path):
    source = tmp_path / "a.conll"
    source.write_text("New\tB-LOC\nYork\tE-LOC\n's\tO\nAnn\tS-PER\n\n#\tO\nBern\tS-LOC\n")
    out = tmp_path / "out.jsonl"
    assert ner_dist("convert", str(source), str(out), "--to", "doccano") == 0
    assert spans(out) == [
        ("New York 's Ann", [(0, 8, "LOC"), (12, 15, "PER")]),
        ("# Bern", [(2, 6, "LOC")]),
    ]


def test_predictions_become_tasks_to_correct(tmp_path):
    source = tmp_path / "test.jsonl"
    line = {"id": 0, "tokens": ["In", "New", "York"], "gold": ["O"] * 3, "predicted": ["O", "B-LOC", "I-LOC"]}
    source.write_text(json.dumps({**line, "confidence": [0.9, 0.5, 0.5]}) + "\n")
    out = tmp_path / "tasks.json"
    assert ner_dist("convert", str(source), str(out), "--to", "label-studio") == 0
    (task,) = json.loads(out.read_text())
    (prediction,) = task["predictions"]
    assert task["data"] == {"text": "In New York"} and "annotations" not in task
    assert prediction["score"] == 0.25
    (result,) = prediction["result"]
    assert result["value"] == {"start": 3, "end": 11, "text": "New York", "labels": ["LOC"]}
    assert (result["type"], result["from_name"], result["to_name"]) == ("labels", "label", "text")
    assert result["score"] == 0.25


def test_spacy_reads_what_is_written_for_it(tmp_path):
    spacy = pytest.importorskip("spacy")
    source = tmp_path / "a.jsonl"
    texts = ["In  Bern,\n\tAnn Lee's 💩", " Ann ", "a"]
    rows = [
        {"text": text, "label": [[text.index("Ann"), text.index("Ann") + 3, "PER"]]} for text in texts[:2]
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in (*rows, {"text": "a", "label": []})))
    out = tmp_path / "a.spacy"
    assert ner_dist("convert", str(source), str(out)) == 0
    docs = list(spacy.tokens.DocBin().from_disk(out).get_docs(spacy.blank("xx").vocab))
    assert [doc.text for doc in docs] == texts
    assert [[(ent.text, ent.label_) for ent in doc.ents] for doc in docs] == [[("Ann", "PER")]] * 2 + [[]]


def test_every_change_to_a_span_is_listed_beside_the_result(tmp_path, capsys):
    source = tmp_path / "a.jsonl"
    rows = [{"text": "In Berlin", "label": [[3, 7, "LOC"]]}] * 9
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.jsonl.gz"
    assert ner_dist("convert", str(source), str(out)) == 0
    notes = tmp_path / "out.jsonl.gz.notes.txt"
    assert f"every change to a span is in {notes}" in capsys.readouterr().out
    lines = notes.read_text().splitlines()
    assert lines == [f"{source}:{n}: misaligned: `Berl` (LOC) becomes `Berlin`" for n in range(1, 10)]
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == 9
    assert ner_dist("convert", str(source), str(tmp_path / "b.jsonl"), "data.misaligned=shrink") == 0
    assert "B-" not in (tmp_path / "b.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["missing.jsonl", "out.jsonl"], r"missing.jsonl: no such file"),
        (["a.jsonl", "a.jsonl"], r"a.jsonl: exists already"),
        (["a.jsonl", "out.json"], r"--to: `out.json` does not say which format to write; give one of jsonl"),
        (["a.jsonl", "out", "--to", "brat"], r"--to: unknown format `brat`; give one of jsonl, conll"),
    ],
)
def test_errors(tmp_path, monkeypatch, capsys, words, what):
    import re

    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"text": "In Bern", "label": [[3, 7, "LOC"]]}\n')
    assert ner_dist("convert", *words) == 2
    assert re.match(rf"error: {what}", capsys.readouterr().err)
