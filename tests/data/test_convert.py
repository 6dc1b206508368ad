"""What is converted is read back as it was: spans by spans, words and tags by words and tags."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.convert import convert
from ner_dist.data.formats.form import Documents
from ner_dist.data.readers import read_content, read_rows
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from tests.command_line import ner_dist
from tests.data.test_readers import sentences

FILES = Path(__file__).parent / "formats/files"
TEXTS = st.text(min_size=1, max_size=20)
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


@pytest.mark.parametrize("to", ["doccano", "label-studio"])
@pytest.mark.parametrize(
    ("words", "says", "read_with"),
    [
        (["Ann", "Berg"], None, "unicode"),
        (["Ann", "co-starred", "U.S."], "read it with data.words=whitespace", "whitespace"),
        (["New York", "co-starred"], "jsonl, conll and spacy keep the words", None),
    ],
    ids=["same words", "words without blanks", "words with blanks"],
)
def test_texts_that_will_be_cut_otherwise_are_counted(tmp_path, caplog, to, words, says, read_with):
    source, out = tmp_path / "a.jsonl", tmp_path / f"out.{ENDINGS[to]}"
    source.write_text(json.dumps({"tokens": words, "ner_tags": ["B-X"] + ["O"] * (len(words) - 1)}) + "\n")
    convert(source, out, Data(path="unused"), to)
    if says is None:
        assert "cut otherwise" not in caplog.text
    else:
        assert f"1 text would be cut otherwise; {says}" in caplog.text
    if read_with:
        data = Data(path="unused", words=read_with)
        assert sentences(read_rows(out, data)) == sentences(read_rows(source, data))


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


NEW_YORK = {"type": "LOC", "text": "New York", "probability": 0.25, "first_word": 1, "last_word": 2}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            [
                {"text": "Nothing here", "entities": [], "id": 7},
                {
                    "text": "In New\tYork",
                    "entities": [{"start": 3, "end": 11} | NEW_YORK | {"text": "New\tYork"}],
                },
            ],
            "In New\tYork",
        ),
        (
            [
                {"tokens": ["Nothing", "here"], "tags": ["O", "O"], "entities": []},
                {"tokens": ["In", "New", "York"], "tags": ["O", "B-LOC", "I-LOC"], "entities": [NEW_YORK]},
            ],
            "In New York",
        ),
    ],
    ids=["texts", "lists of words"],
)
def test_tagged_text_becomes_tasks_to_correct(tmp_path, lines, text):
    source, out = tmp_path / "tagged.jsonl", tmp_path / "tasks.json"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ner_dist("convert", str(source), str(out), "--to", "label-studio") == 0
    nothing, task = json.loads(out.read_text())
    assert nothing["predictions"][0]["result"] == [] and "annotations" not in nothing
    assert task["data"] == {"text": text} and "annotations" not in task
    (prediction,) = task["predictions"]
    (result,) = prediction["result"]
    assert result["value"] == {"start": 3, "end": 11, "text": text[3:], "labels": ["LOC"]}
    assert prediction["score"] == result["score"] == 0.25


def test_tags_of_tagged_text_count_where_someone_corrected_them(tmp_path):
    source, out = tmp_path / "tagged.jsonl", tmp_path / "out.conll"
    line = {"tokens": ["In", "New", "York"], "tags": ["O", "O", "B-LOC"], "entities": [NEW_YORK]}
    source.write_text(json.dumps(line) + "\n")
    assert ner_dist("convert", str(source), str(out)) == 0
    assert out.read_text() == "In\tO\nNew\tO\nYork\tB-LOC\n\n"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tokens": [1, "New", "York"]}, r"`tokens` is no list of words: \[1, 'New', 'York'\]"),
        ({"predicted": ["O", "B-LOC"]}, r"lists of different lengths: tokens 3, predicted 2"),
        ({"predicted": ["O", 1, "O"]}, r"`predicted` is no list of tags"),
        ({"predicted": ["O", "LOC", "O"]}, r"tag `LOC` is not IOB2"),
        ({"confidence": [0.5]}, r"lists of different lengths: tokens 3, confidence 1"),
        ({"confidence": [0.5, 2, 1]}, r"a `confidence` is no probability"),
        ({"confidence": [0.5, "1", 1]}, r"`confidence` is no list of probabilities"),
    ],
)
def test_broken_predictions(tmp_path, change, what):
    line = {"tokens": ["In", "New", "York"], "predicted": ["O", "B-LOC", "I-LOC"], "confidence": [0.9] * 3}
    source = tmp_path / "test.jsonl"
    source.write_text(json.dumps(line) + "\n" + json.dumps(line | change) + "\n")
    with pytest.raises(UserError, match=rf"test.jsonl:2: {what}"):
        convert(source, tmp_path / "out.json", Data(path="unused"), "label-studio")


def test_words_without_a_label_stay_so(tmp_path, caplog):
    source = tmp_path / "test.jsonl"
    line = {"tokens": ["In", "Bern", "Ann"], "predicted": ["O", "B-LOC", None]}
    source.write_text(json.dumps(line) + "\n")
    data = Data(path="unused")
    convert(source, tmp_path / "a.jsonl", data)
    convert(tmp_path / "a.jsonl", tmp_path / "b.conll", data)
    convert(tmp_path / "b.conll", tmp_path / "c.jsonl", data)
    assert (tmp_path / "b.conll").read_text() == "In\tO\nBern\tB-LOC\nAnn\t?\n\n"
    for name in ("a.jsonl", "c.jsonl"):
        assert json.loads((tmp_path / name).read_text())["ner_tags"] == ["O", "B-LOC", None]
    assert "cannot be told" not in caplog.text
    convert(tmp_path / "a.jsonl", tmp_path / "d.jsonl", data, "doccano")
    assert "1 word without a label cannot be told from O in this format" in caplog.text


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
    assert ner_dist("convert", str(source), str(tmp_path / "b.spacy.gz")) == 0
    assert gzip.decompress((tmp_path / "b.spacy.gz").read_bytes()) == out.read_bytes()
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


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=20), st.randoms(use_true_random=False)), min_size=1, max_size=4
    ),
    st.sampled_from(["doccano", "label-studio"]),
)
def test_any_text_and_spans_come_back(tmp_path_factory, drawn, to):
    folder = tmp_path_factory.mktemp("any")
    expected = []
    for text, random in drawn:
        ends = [sorted(random.sample(range(len(text) + 1), 2)) for _ in range(3)]
        expected.append((text, [(start, end, random.choice(["A", "B"])) for start, end in ends]))
    source, out = folder / "a.json", folder / "out.json"
    rows = [{"text": text, "spans": [list(span) for span in found]} for text, found in expected]
    source.write_text(json.dumps(rows))
    convert(source, out, Data(path="unused"), to)
    if to == "doccano":
        out = out.rename(folder / "out.jsonl")
    assert spans(out) == expected
