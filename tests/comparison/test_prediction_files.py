"""Files of predictions as found in practice, and the errors of broken ones."""

from __future__ import annotations

import gzip
import json
import os

import numpy as np
import pytest

from ner_dist.comparison.prediction_files import read_file
from ner_dist.errors import UserError

LINES = [
    {"gold": ["O", "B-LOC", "I-LOC"], "pred": ["B-PER", "B-LOC", "O"]},
    {"gold": ["B-PER"], "pred": ["B-EVE"]},
]
WORDS = [["in", "New", "York"], ["Anna"]]
SEEN = [{"New York": ["LOC", "ORG"]}, {"Anna": []}]
CONLL = "in O B-PER\nNew B-LOC B-LOC\nYork I-LOC O\n\nAnna B-PER B-EVE\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="model.jsonl"):
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in content)
        content = content.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def tags(predictions, flat):
    names = [predictions.labels.tags[tag] for tag in flat]
    return [
        names[start:end] for start, end in zip(predictions.offsets, predictions.offsets[1:], strict=False)
    ]


def check(predictions):
    assert tags(predictions, predictions.gold) == [line["gold"] for line in LINES]
    assert tags(predictions, predictions.predicted) == [line["pred"] for line in LINES]
    # In the order of first appearance, gold or predicted.
    assert predictions.labels.types == ("PER", "LOC", "EVE")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.ndjson"])
def test_json_lines_of_tags_alone(write, name):
    path = write(LINES, name)
    predictions = read_file(path)
    check(predictions)
    assert predictions.source == str(path)
    assert (predictions.tokens, predictions.ids, predictions.confidence) == (None, None, None)
    assert (predictions.in_train, predictions.seen) == (None, None)


def test_json_lines_with_all_that_may_be_there(write):
    lines = [
        {"id": f"s{i}", "tokens": words, "gold": line["gold"], "predicted": line["pred"], "more": 1}
        | {"confidence": [0.5] * len(words), "in_train": i == 1, "seen": SEEN[i], "document": i}
        for i, (words, line) in enumerate(zip(WORDS, LINES, strict=True))
    ]
    predictions = read_file(write(lines))
    check(predictions)
    assert (predictions.tokens, predictions.ids) == (WORDS, ["s0", "s1"])
    assert predictions.confidence.dtype == np.float32
    assert predictions.confidence.tolist() == [0.5] * 4
    assert predictions.documents == ["0", "1"]
    assert predictions.in_train.dtype == bool and predictions.in_train.tolist() == [False, True]
    assert predictions.seen == {"New York": {"LOC", "ORG"}, "Anna": frozenset()}


@pytest.mark.parametrize("name", ["a.conll", "a.conll.gz", "a.txt", "a.tsv"])
def test_conll_columns(write, name):
    content = CONLL.replace(" ", "\t") if "tsv" in name else CONLL
    predictions = read_file(write(content, name))
    check(predictions)
    assert predictions.tokens == WORDS


def test_conll_columns_between_the_word_and_its_tags_do_not_matter(write):
    lines = "-DOCSTART- X X X\n\nin IN O B-PER\n\n\nYork NNP B-LOC O"
    predictions = read_file(write(lines, "a.conll"))
    assert (predictions.tokens, len(predictions)) == ([["in"], ["York"]], 2)
    assert tags(predictions, predictions.gold) == [["O"], ["B-LOC"]]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ("[1]", r"\[1\] is not a JSON object; write one JSON object per line"),
        ("[" * 100_000, "not readable as JSON .nested too deeply.; write one JSON object per line"),
        ('{"id": ' + "1" * 5_000 + "}", "not readable as JSON .a number has thousands of digits."),
        ({"pred": ["O"]}, "there is no `gold`, only pred"),
        ({"gold": ["O"]}, "there is no `predicted`, only gold"),
        ({"gold": "O", "pred": ["O"]}, "`gold` is no list of tags: 'O'"),
        ({"gold": [0], "pred": [1]}, r"`gold` is no list of tags: \[0\]"),
        ({"gold": ["O"], "pred": ["O", "O"]}, "lists of different lengths: gold 1, predicted 2"),
        ({"gold": ["O"], "pred": ["PER"]}, "tag `PER` is not BIO"),
        ({"gold": ["O"], "pred": ["7"]}, "tag `7` is not BIO"),
        (
            {"gold": ["O"], "pred": ["PER-S"]},
            "tag `PER-S` is not BIO .*, as others are; write each tag as O, B-TYPE or I-TYPE",
        ),
        ({"gold": ["O"], "pred": ["O"], "tokens": ["a"]}, "line 3 has `tokens` and line 1 has none"),
    ],
)
def test_a_broken_line_is_named(write, line, complaint):
    path = write([*LINES, line])
    with pytest.raises(UserError, match=complaint) as refused:
        read_file(path)
    assert refused.value.where == f"{path}:3"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tokens": [1]}, r"`tokens` is no list of words: \[1\]"),
        ({"tokens": ["\ud800"]}, "half of a surrogate pair"),
        ({"tokens": ["a", "b"]}, "different lengths: gold 1, predicted 1, tokens 2"),
        ({"confidence": [1.5]}, "a `confidence` is no probability"),
        ({"confidence": [float("nan")]}, "a `confidence` is no probability"),
        ({"confidence": [10**400]}, "a `confidence` is no probability"),
        ({"confidence": [True]}, "`confidence` is no list of probabilities"),
        ({"id": True}, "`id` is neither a number nor text: True"),
        ({"confidence": ["high"]}, "`confidence` is no list of probabilities"),
        ({"id": 1}, "id 1 is on line 1 already"),
        ({"id": "\ud800"}, "half of a surrogate pair"),
        ({"gold": ["B-\ud800"]}, "half of a surrogate pair"),
        ({"id": [2]}, r"`id` is neither a number nor text: \[2\]"),
        ({"id": None}, "line 1 has `id` and line 2 has none"),
        ({"in_train": 1}, "`in_train` is neither true nor false: 1; write whether the training split has"),
        ({"document": [1]}, r"`document` is neither a number nor text: \[1\]; write the name"),
        ({"in_train": None}, "line 1 has `in_train` and line 2 has none"),
        ({"seen": ["PER"]}, r"`seen` is no JSON object: \['PER'\]; write the types that training showed"),
        ({"seen": {"Anna": "PER"}}, "`seen` has no list of types for 'Anna': 'PER'"),
        ({"seen": {"Anna": [1]}}, r"`seen` has no list of types for 'Anna': \[1\]"),
        ({"seen": None}, "line 1 has `seen` and line 2 has none"),
    ],
)
def test_a_broken_column_is_named(write, change, complaint):
    line = {"id": 1, "tokens": ["a"], "gold": ["O"], "predicted": ["O"], "confidence": [0.9]}
    line |= {"in_train": False, "seen": {}}
    path = write([line, line | {"id": 2} | change])
    with pytest.raises(UserError, match=complaint) as refused:
        read_file(path)
    assert refused.value.where == f"{path}:2"


@pytest.mark.parametrize(
    ("content", "complaint", "line"),
    [
        (CONLL + "\nAda B-PER\n", "2 columns in 'Ada B-PER', 3 in the lines before", ":7"),
        ("Ada B-PER\n", "2 columns in 'Ada B-PER', not 3 or more; write a word, its gold tag and", ":1"),
        (CONLL + "Ada B-PER PER\n", "tag `PER` is not BIO", ":6"),
        ("\n\n", "holds no sentence", ""),
    ],
)
def test_broken_columns_are_named(write, content, complaint, line):
    path = write(content, "a.conll")
    with pytest.raises(UserError, match=complaint) as refused:
        read_file(path)
    assert refused.value.where == f"{path}{line}"


def test_where_tabs_stand_between_columns_a_word_may_hold_a_space(write):
    found = read_file(write("New York\tB-LOC\tB-LOC\nwon\tO\tO\n", "a.tsv"))
    assert found.tokens == [["New York", "won"]]


def test_a_word_with_a_space_is_one_word_in_two_columns_of_tags_too(write):
    found = read_file(write("27 000\tO\tO\nBern\tB-LOC\tO\n\n#\tO\tO\n", "a.tsv"))
    assert found.tokens == [["27 000", "Bern"], ["#"]]
    with pytest.raises(UserError, match=r"a.tsv:2: 1 column in 'New York O O', 3 in the lines before"):
        read_file(write("Bern\tB-LOC\tO\nNew York O O\nx\tO\tO\n", "a.tsv"))


def test_a_header_and_ids_are_no_words(write):
    found = read_file(write("id word gold predicted\n1 Bern B-LOC O\n2 . O O\n", "a.conll"))
    assert found.tokens == [["Bern", "."]]


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("word gold predicted", "Bern B-LOC O"),
        ("word predicted gold", "Bern O B-LOC"),
        ("word pred ner", "Bern O B-LOC"),
        ("word label true", "Bern O B-LOC"),
        ("gold pred word", "B-LOC O Bern"),
        ("word gold pred confidence", "Bern B-LOC O 0.5"),
        ("word pos ner pred", "Bern NNP B-LOC O"),
        ("word iob bio", "Bern B-LOC O"),
    ],
)
def test_a_header_says_which_column_is_which(write, header, lines):
    found = read_file(write(f"{header}\n{lines}\n", "a.conll"))
    assert found.tokens == [["Bern"]]
    assert (tags(found, found.gold), tags(found, found.predicted)) == ([["B-LOC"]], [["O"]])


def test_columns_by_another_order_are_said(write, log_lines):
    read_file(write("word pred gold\nBern O B-LOC\n", "a.conll"))
    assert any(
        "by its header, column gold holds the gold tags and column pred the predicted ones" in line
        for line in log_lines
    )


def test_ids_are_text(write):
    one, other = (
        read_file(write([line | {"id": kind(i)} for i, line in enumerate(LINES)])) for kind in (int, str)
    )
    assert one.ids == other.ids == ["0", "1"]
    with pytest.raises(UserError, match="id '1' is on line 1 already"):
        read_file(write([LINES[0] | {"id": 1}, LINES[1] | {"id": "1"}]))


GOLD = [["B-PER", "I-PER", "O", "B-LOC", "B-LOC"], ["B-LOC"], ["O", "B-PER", "O"]]
AS_WRITTEN = {
    "IOB1": [["I-PER", "I-PER", "O", "I-LOC", "B-LOC"], ["I-LOC"], ["O", "I-PER", "O"]],
    "IOBES": [["B-PER", "E-PER", "O", "S-LOC", "S-LOC"], ["S-LOC"], ["O", "S-PER", "O"]],
    "BILOU": [["B-PER", "L-PER", "O", "U-LOC", "U-LOC"], ["U-LOC"], ["O", "U-PER", "O"]],
    "IOB2": GOLD,
}


@pytest.mark.parametrize("scheme", AS_WRITTEN)
@pytest.mark.parametrize("column", ["gold", "pred"])
def test_each_column_is_read_in_its_own_scheme(write, log_lines, scheme, column):
    tagged = [AS_WRITTEN[scheme], GOLD] if column == "gold" else [GOLD, AS_WRITTEN[scheme]]
    found = read_file(write([{"gold": g, "pred": p} for g, p in zip(*tagged, strict=True)]))
    assert tags(found, found.gold) == tags(found, found.predicted) == GOLD
    assert found.scores.f1 == 1.0
    which = {"gold": "gold", "pred": "predicted"}[column]
    said = [line for line in log_lines if f"{which} tags are {scheme} (" in line]
    assert len(said) == (scheme != "IOB2") and len(log_lines) == len(said)


def test_types_alone_are_io(write):
    found = read_file(write([{"gold": ["B-PER", "I-PER", "O", "B-LOC"], "pred": ["PER", "PER", "O", "LOC"]}]))
    assert found.scores.f1 == 1.0


def test_predictions_that_say_too_little_follow_the_gold_tags(write):
    iob1 = [{"gold": ["I-PER", "O", "I-LOC"], "pred": ["I-PER", "O", "O"]}]
    found = read_file(write(iob1))
    assert tags(found, found.predicted) == [["B-PER", "O", "O"]]
    iob2 = [{"gold": ["B-PER", "O", "B-LOC"], "pred": ["I-PER", "O", "O"]}]
    found = read_file(write(iob2))
    assert tags(found, found.predicted) == [["I-PER", "O", "O"]]


def test_gold_that_is_damaged_is_counted_and_can_be_repaired(write, log_lines):
    path = write([{"gold": ["B-PER", "O", "I-LOC", "B-LOC"], "pred": ["B-PER", "O", "B-LOC", "B-LOC"]}])
    found = read_file(path)
    assert tags(found, found.gold) == [["B-PER", "O", "I-LOC", "B-LOC"]]
    count = f"{path}: 1 of 3 gold entities (33.3 %, 1 word) begin with an I- that continues no entity, the"
    assert log_lines == [
        f"{count} first at {path}:1: strict scoring ignores them; --repair begin reads them as entities"
    ]
    found = read_file(path, repair="begin")
    assert tags(found, found.gold) == [["B-PER", "O", "B-LOC", "B-LOC"]]
    assert log_lines[1:] == [f"{count} first at {path}:1: read as entities (--repair begin)"]


def test_predictions_that_are_left_out_are_told_if_they_are_many(write, log_lines):
    few = ["B-PER", "O"] * 20 + ["I-PER"]
    read_file(write([{"gold": [*few[:-1], "B-PER"], "pred": few}]))
    assert log_lines == []
    path = write([{"gold": ["B-PER", "O", "B-PER"], "pred": ["B-PER", "O", "I-PER"]}])
    read_file(path)
    assert log_lines == [
        f"{path}: 1 of 2 predicted entities (50.0 %, 1 word) begin with an I- that continues no entity, the "
        f"first at {path}:1: strict scoring ignores them"
    ]


def test_what_a_run_said_is_iob2_whatever_it_looks_like(write):
    """A model that is hardly trained may predict more I- than B-."""
    path = write([{"gold": ["B-PER", "I-PER", "O"], "pred": ["I-PER", "O", "I-PER"]}])
    found = read_file(path, types=["PER"], iob2=True)
    assert tags(found, found.predicted) == [["I-PER", "O", "I-PER"]]
    other = read_file(path)
    assert tags(other, other.predicted) == [["B-PER", "O", "B-PER"]]


def test_types_are_renamed(write):
    path = write([{"gold": ["B-PERSON", "B-GPE", "B-LOC"], "pred": ["B-PERSON", "B-MISC", "B-LOC"]}])
    found = read_file(path).rename({"PERSON": "PER", "GPE": "LOC", "MISC": None})
    assert tags(found, found.gold) == [["B-PER", "B-LOC", "B-LOC"]]
    assert tags(found, found.predicted) == [["B-PER", "O", "B-LOC"]]
    # What it scored on its own is not changed by what it is called in a comparison.
    assert found.scores == read_file(path).scores


def test_other_files_are_refused(write):
    with pytest.raises(UserError, match=r"format of a '.csv' file is unknown"):
        read_file(write(LINES, "a.csv"))
    with pytest.raises(UserError, match="holds no sentence"):
        read_file(write([]))
    with pytest.raises(UserError, match="every tag is O; write entities as B-TYPE"):
        read_file(write([{"gold": ["O"], "pred": ["O"]}]))
    path = write(LINES, "a.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="damaged gzip file"):
        read_file(path)


@pytest.mark.parametrize("ending", [".jsonl", ".conll"])
def test_a_name_that_is_not_utf_8_can_be_logged(tmp_path, log_lines, ending):
    path = tmp_path / os.fsdecode(b"their\xff" + ending.encode())
    line = {"tokens": ["a", "b"], "gold": ["I-PER", "O"], "predicted": ["B-PER", "I-LOC"]}
    lines = {".jsonl": [json.dumps(line)], ".conll": ["a\tI-PER\tB-PER", "b\tO\tI-LOC"]}
    try:
        path.write_text("\n".join(lines[ending]) + "\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    read_file(path)
    assert any("tags are IOB1" in line for line in log_lines)
    assert all(line.isprintable() for line in "".join(log_lines))
