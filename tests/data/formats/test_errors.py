"""What cannot be read in files of other tools is an error with file and line; what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_dist.data.readers import read_content, read_rows
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data, SplitNames

FILES = Path(__file__).parent / "files"
GOOD = {"text": "In Bern", "label": [[3, 7, "LOC"]]}
EMOJI = "💩 In Bern"


@pytest.fixture
def read(tmp_path):
    def read(*rows, **settings):
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        content = read_content(path, Data(path="unused", **settings))
        return [
            [(document.text[span.start : span.end], span.type) for span in document.spans]
            for document in content.documents
        ]

    return read


@pytest.mark.parametrize(
    "span",
    [
        [3, 7, "LOC"],
        [3, 7, "LOC", 0.98],
        ["LOC", 3, 7],
        [3, 7, ["LOC"]],
        {"start": 3, "end": 7, "label": "LOC"},
        {"start": "3", "end": "7", "labels": ["LOC"]},
        {"start": 3.0, "end": 7.0, "type": "LOC"},
        {"start_offset": 3, "end_offset": 7, "label": "LOC", "id": 12},
        {"startOffset": 3, "endOffset": 7, "entityType": "LOC"},
        {"begin": 3, "end": 7, "entity": "LOC", "word": "Bern"},
        {"offset": 3, "length": 4, "category": "LOC", "text": "Bern"},
        {"start": 3, "end": 7, "entity_group": "LOC", "word": " bern", "score": 0.9},
        {"start_offset": 3, "end_offset": 7, "entity": "Bern", "label": "LOC"},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["entities", "spans", "label", "labels", "ents", "annotations"])
def test_spellings_of_a_span(read, key, span):
    assert read({"text": "In Bern", key: [span]}) == [[("Bern", "LOC")]]


def test_labels_that_are_numbers(read):
    assert read({"text": "In Bern", "annotations": [{"label": 4, "start_offset": 3, "end_offset": 7}]}) == [
        [("Bern", "4")]
    ]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"text": "In Bern", "label": [[3, 9, "LOC"]]}, r"is not within the text, which has 7 characters"),
        ({"text": "In Bern", "label": [[5, 3, "LOC"]]}, r"is not within the text"),
        ({"text": "In Bern", "label": [[3, 7, ""]]}, r"has no label; give it one"),
        ({"text": "In Bern", "label": [[3, 7, None]]}, r"has no label; give it one"),
        ({"text": "In Bern", "label": [{"start": 3}]}, r"is not a span; write \[start, end, label\]"),
        ({"text": "In Bern", "label": "LOC"}, r"'label' is 'LOC', not a list"),
        ({"text": "In Bern"}, r"no 'label', where other rows have their spans; write an empty list"),
        ({"text": 3, "label": []}, r"has no text in 'text'"),
        ([], r"\[\] has no text in 'text'"),
    ],
)
def test_broken_rows(read, row, what):
    with pytest.raises(UserError, match=rf"a.jsonl:2: .*{what}"):
        read(GOOD, row)


@pytest.mark.parametrize("unit", ["utf16", "bytes"])
def test_other_offsets_are_read_on_request_and_suggested(read, unit):
    before = {"utf16": len(EMOJI[:5].encode("utf-16-le")) // 2, "bytes": len(EMOJI[:5].encode())}[unit]
    row = {"text": EMOJI, "spans": [{"start": before, "end": before + 4, "label": "LOC", "text": "Bern"}]}
    assert read(row, offsets=unit) == [[("Bern", "LOC")]]
    with pytest.raises(UserError, match=rf"a.jsonl:1: span .*; set data.offsets={unit}, by which it fits"):
        read(row)


def test_quotes_that_differ(read):
    row = {"text": "In Bern", "spans": [{"start": 2, "end": 6, "label": "LOC", "text": "Bern"}]}
    with pytest.raises(UserError, match=r"quotes `Bern`, but the text has ` Ber`; correct the span"):
        read(row)
    row["spans"][0].update(start=3)
    with pytest.raises(UserError, match=r"but the text has `Ber`; write ends exclusive, one higher"):
        read(row)


def test_a_first_row_without_entities_says_nothing_about_the_format(read):
    assert read({"text": "In Rome", "label": []}, GOOD) == [[], [("Bern", "LOC")]]
    assert read({"text": "In Rome", "label": []}) == [[]]


def test_a_text_with_a_class_is_no_file_of_spans(read):
    with pytest.raises(UserError, match=r"a.jsonl:1: no column 'tokens'"):
        read({"text": "good", "label": "positive"})


def test_rows_of_another_language_are_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(GOOD | {"lang": lang}) + "\n" for lang in ("en", "de", "en")))
    rows = read_rows(path, Data(path="x", language="en"))
    assert (len(rows.tokens), rows.read, rows.languages) == (2, 3, {"en": 2, "de": 1})
    with pytest.raises(UserError, match="no column 'spoken'"):
        read_rows(path, Data(path="x", language="en", language_column="spoken"))


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"text": "In Bern", "label": []}], "no entity in train: its texts have no spans; see whether"),
        ([["In Bern", {"entities": []}]], "no entity in train: its texts have no spans; see whether"),
        ([{"data": {"text": "In"}, "annotations": []}], "it has no words for train"),
        ([{"text": "\ud800", "label": [[0, 1, "LOC"]]}], "half of a surrogate pair"),
    ],
)
def test_nothing_to_learn(tmp_path, rows, what):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    splits = SplitNames(validation=None, test=None)
    with pytest.raises(UserError, match=rf"^{path}(:(row )?1)?: {what}"):
        load_corpus(Data(path=str(path), splits=splits))


def test_no_row_in_the_language(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD | {"lang": "de"}) + "\n")
    splits = SplitNames(validation=None, test=None)
    with pytest.raises(UserError, match=r"no sentence of train has lang = en; the languages are de \(1\)"):
        load_corpus(Data(path=str(path), language="en", splits=splits))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "label_studio.json",
            [
                "left out: tasks without annotations 1, tasks that were skipped 1, tasks with predictions",
                "results that are no spans are ignored: relation 1, choices 1",
                "1 task with several annotations: the ground truth is read, else the first",
            ],
        ),
        (
            "doccano_v2.jsonl",
            ["texts in 'text' with spans in 'entities'", "1 relation between entities"],
        ),
        (
            "prodigy.jsonl",
            [
                "1 task left out whose answer is reject",
                "answer is ignore",
                "1 task of an input that was answered",
            ],
        ),
        ("argilla.json", ["1 record without an answer left out", "1 record by several people"]),
        ("argilla_v1.jsonl", ["1 record without an answer left out", "whose answer is discarded left out"]),
    ],
)
def test_what_is_left_out_is_said(log_lines, name, says):
    read_rows(FILES / name, Data(path="unused"))
    for text in says:
        assert any(text in line for line in log_lines), (text, log_lines)


def test_several_labels_on_one_span_are_counted(log_lines):
    read_rows(FILES / "label_studio.json", Data(path="unused"))
    assert any("GPE on the words of LOC 1" in line for line in log_lines)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"tokenized_text": ["In", "Bern"], "ner": [[1, 2, "LOC"]]}, "not within the 2 words"),
        ({"tokenized_text": ["In", 3], "ner": []}, "3 is not a word"),
        ({"tokens": ["In", "Bern"], "entities": [{"type": "LOC", "start": 1, "end": 1}]}, "not within"),
        (["In Bern", {"entities": [[3, 9, "LOC"]]}], "not within the text"),
        (
            {"paragraphs": [{"sentences": [{"tokens": [{"orth": "Bern", "ner": "LOC"}]}]}]},
            "tag `LOC` is not BILUO",
        ),
        (
            {"paragraphs": [{"raw": "In", "sentences": [{"tokens": [{"orth": "Bern"}]}]}]},
            "word `Bern` is not",
        ),
        (
            {
                "data": {"text": "<b>Bern</b>"},
                "annotations": [{"result": [{"type": "hypertextlabels", "value": {}}]}],
            },
            "mark spans of HTML",
        ),
        (
            {
                "text": "In Bern",
                "tokens": [{"text": "In", "start": 0, "end": 3}],
                "spans": [],
                "answer": "accept",
            },
            "token 'In' is 'In ' in the text",
        ),
    ],
)
def test_broken_rows_of_a_tool(read, row, what):
    with pytest.raises(UserError, match=rf"a.jsonl:1: .*{what}"):
        read(row)


WORDS = {"tokens": ["In", "New", "York", "Ann", "Lee"]}


@pytest.mark.parametrize(
    ("rows", "expected", "level", "says"),
    [
        ([[1, 2, "LOC"], [3, 3, "PER"]], [("New York", "LOC"), ("Ann", "PER")], "INFO", "numbers are equal"),
        ([[1, 3, "LOC"], [3, 5, "PER"]], [("New York", "LOC"), ("Ann Lee", "PER")], "INFO",
         "number of words"),
        ([[0, 1, "A"], [1, 3, "LOC"], [3, 4, "B"]], [("In", "A"), ("New York", "LOC"), ("Ann", "B")], "INFO",
         "2 of 2 spans would else overlap"),
        ([[1, 2, "LOC"]], [("New York", "LOC")], "WARNING", "since no span tells"),
    ],
)  # fmt: skip
def test_the_file_tells_what_the_last_number_of_a_span_over_words_is(
    read, caplog, rows, expected, level, says
):
    caplog.set_level("INFO")
    assert read({**WORDS, "ner": rows}) == [expected]
    (record,) = [record for record in caplog.records if "whose last number is" in record.getMessage()]
    assert record.levelname == level and says in record.getMessage()


def test_label_studio_reads_the_text_that_regions_name(read):
    def region(name):
        value = {"start": 3, "end": 7, "labels": ["LOC"]}
        return {"type": "labels", "to_name": name, "value": value}

    def task(*names):
        data = {"text": "A headline", "body": "In Bern"}
        return {"data": data, "annotations": [{"result": [region(name) for name in names]}]}

    assert read(task("body")) == [[("Bern", "LOC")]]
    with pytest.raises(UserError, match=r"a.jsonl:1: regions of one task are on several texts: body, text"):
        read(task("body", "text"))


def flat(status, *answers, **more):
    record = {"text": "In Bern", "spans.responses": list(answers), "spans.responses.status": status}
    return record | more


BERN, IN = [{"start": 3, "end": 7, "label": "LOC"}], [{"start": 0, "end": 2, "label": "P"}]


def test_argilla_answers_of_any_shape(read, caplog):
    nested = {"fields": {"text": "In Bern"}, "responses": [{"values": [1]}]}
    assert read(flat("discarded", BERN, IN), nested, flat("submitted", BERN)) == [[("Bern", "LOC")]]
    assert "1 record whose answer is discarded left out" in caplog.text
    assert "1 record without an answer left out" in caplog.text
    assert read(flat(["discarded"], IN, BERN)) == [[("Bern", "LOC")]]
    assert read(flat(3, BERN)) == [[("Bern", "LOC")]]


def test_argilla_questions_are_not_people(read, caplog):
    other = {"topics.responses": [[]], "words.responses": [IN]}
    assert read(other | flat(["submitted"], BERN)) == [[("In", "P")]]
    assert "several questions about spans: `words` is read, `spans` not" in caplog.text
    assert "people" not in caplog.text


@pytest.mark.parametrize(("text", "quote"), [("-", "!"), ("-", "a"), ("a", "-")])
def test_quotes_of_punctuation_are_compared(read, text, quote):
    with pytest.raises(UserError, match="quotes"):
        read({"text": text, "spans": [{"start": 0, "end": 1, "label": "X", "text": quote}]})
    assert read({"text": text, "spans": [{"start": 0, "end": 1, "label": "X", "text": f" {text}"}]})


def test_missing_annotations_of_spacy_are_words_without_a_label(tmp_path):
    path = tmp_path / "a.json"
    tokens = [{"orth": orth, "ner": tag} for orth, tag in (("In", "-"), ("Bern", "U-LOC"), (".", "O"))]
    path.write_text(json.dumps([{"id": 0, "paragraphs": [{"sentences": [{"tokens": tokens}]}]}]))
    rows = read_rows(path, Data(path="unused"))
    assert [rows.values[code] if code >= 0 else None for code in rows.tags] == [None, "B-LOC", "O"]


def test_train_that_leaked_sentences_leave_without_entities(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.conll").write_text("In\tO\nBern\tB-LOC\n\n")
    splits = SplitNames(validation=None)
    with pytest.raises(UserError, match=r"was dropped; .*set data.drop_test_sentences_from_train=false"):
        load_corpus(Data(path=str(tmp_path), splits=splits, drop_test_sentences_from_train=True))


def test_a_column_of_documents_of_any_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sentence_id,source,word,tag\n1,x,In,O\n1,x,Bern,B-LOC\n2,y,Ann,B-PER\n")
    assert read_rows(path, Data(path="unused")).documents is None
    assert read_rows(path, Data(path="unused", document_column="source")).documents == ["x", "y"]
    with pytest.raises(UserError, match="no column 'book'"):
        read_rows(path, Data(path="unused", document_column="book"))
