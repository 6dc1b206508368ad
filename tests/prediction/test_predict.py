"""`ner-dist predict`: what comes out of every kind of input, in order, once, whatever interrupts it."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import pytest

import ner_dist
from ner_dist.data import readers
from ner_dist.errors import UserError
from ner_dist.evaluation.point_options import PointOptions
from ner_dist.prediction import command, inputs, parts
from ner_dist.prediction.command import Prediction, output_format, predict
from ner_dist.prediction.items import Item
from tests.distributed.launching import RECIPE, REPOSITORY

TEXTS = [
    "Anna Berg visits York.",
    "",
    "No names here.\r",
    "In Łódź 👩‍👩‍👧 Anna\u0301 met שלום York",
    "A" * 300 + " York",
]


def predicted(run, source, output, **settings) -> str:
    """What the command writes for an input."""
    form = output_format(output, settings.pop("output_format", None))
    predict(Prediction(str(run.folder), str(source), output, output_format=form, **settings))
    return output.read_text(encoding="utf-8")


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_the_words_of_a_run_get_the_tags_that_the_run_wrote(run, tmp_path):
    expected = rows(run.predictions("test").read_text(encoding="utf-8"))
    given = rows(predicted(run, run.predictions("test"), tmp_path / "out.jsonl"))
    assert [row["tags"] for row in given] == [row["predicted"] for row in expected]
    assert [(row["tokens"], row["gold"], row["id"]) for row in given] == [
        (row["tokens"], row["gold"], row["id"]) for row in expected
    ]


def test_each_line_is_a_text_whose_entities_are_slices_of_it(run, tmp_path):
    source = written(tmp_path, "in.txt", "\n".join(TEXTS) + "\n")
    given = rows(predicted(run, source, tmp_path / "out.jsonl"))
    assert [row["text"] for row in given] == [text.removesuffix("\r") for text in TEXTS]
    entities = [(row["text"], each) for row in given for each in row["entities"]]
    assert entities
    assert all(text[each["start"] : each["end"]] == each["text"] for text, each in entities)
    assert all(0 <= each["probability"] <= 1 for _, each in entities)


def test_the_command_and_the_tagger_find_the_same(run, tagger, tmp_path):
    source = written(tmp_path, "in.txt", "\n".join(TEXTS))
    given = rows(predicted(run, source, tmp_path / "out.jsonl"))
    spans = tagger.spans([text.removesuffix("\r") for text in TEXTS])
    assert [[(each["start"], each["end"], each["type"]) for each in row["entities"]] for row in given] == [
        [(each.start, each.end, each.type) for each in of_text] for of_text in spans
    ]


def test_every_input_format_gives_the_same_words_the_same_tags(run, tagger, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    sentences = [["Anna", "Berg", "visits", "York", "."], ["York"], ["a", "b", "c"]]
    table = pa.table({"tokens": sentences, "n": [0, 1, 2]})
    pq.write_table(table, tmp_path / "in.parquet")
    lines = "".join(json.dumps({"tokens": words, "n": n}) + "\n" for n, words in enumerate(sentences))
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    written(tmp_path, "in.jsonl", lines)
    written(
        tmp_path, "in.conll", "".join("".join(f"{word}\tO\n" for word in words) + "\n" for words in sentences)
    )
    expected = tagger.tags(sentences)
    for name in ("in.parquet", "in.jsonl", "in.jsonl.gz", "in.conll"):
        given = rows(predicted(run, tmp_path / name, tmp_path / f"{name}.out.jsonl"))
        assert [row["tags"] for row in given] == expected, name
        assert [row.get("n") for row in given] == ([None] * 3 if name == "in.conll" else [0, 1, 2])


def test_a_folder_is_its_files_in_order(run, tmp_path):
    folder = tmp_path / "texts"
    (folder / "b").mkdir(parents=True)
    written(folder, "z.txt", "York\nAnna\n")
    written(folder / "b", "a.jsonl", '{"text": "Berg", "file": "mine"}\n')
    written(folder, "picture.png", "no text")
    written(folder, ".hidden.txt", "not this")
    given = rows(predicted(run, folder, tmp_path / "out.jsonl"))
    assert [(row["text"], row["file"]) for row in given] == [
        ("Berg", "mine"),
        ("York", "z.txt"),
        ("Anna", "z.txt"),
    ]


def test_fields_of_the_input_stay_and_never_hide_the_prediction(run, tmp_path):
    row = {"text": "York", "entities": "mine", "id": {"a": [1]}}
    source = written(tmp_path, "in.jsonl", json.dumps(row) + "\n")
    (given,) = rows(predicted(run, source, tmp_path / "out.jsonl"))
    assert (given["given_entities"], given["id"]) == ("mine", {"a": [1]})
    assert isinstance(given["entities"], list)


def test_conll_holds_every_word_once(run, tagger, tmp_path):
    source = written(tmp_path, "in.txt", "\n".join(TEXTS))
    lines = predicted(run, source, tmp_path / "out.conll").split("\n")
    words = [line.split("\t")[0] for line in lines if line]
    expected = [word for text in TEXTS for word in "".join(text.split())]
    assert [letter for word in words for letter in word] == expected
    assert {line.split("\t")[1][:2] for line in lines if line} <= {"O", "B-", "I-"}


@pytest.mark.parametrize("size", [1, 40, 10**6])
def test_the_size_of_chunks_changes_nothing(run, tmp_path, monkeypatch, size):
    source = written(tmp_path, "in.txt", "\n".join(TEXTS * 5))
    expected = predicted(run, source, tmp_path / "whole.jsonl")
    monkeypatch.setattr(parts, "_CHUNK", size)
    assert predicted(run, source, tmp_path / "parts.jsonl") == expected


def test_an_interrupted_prediction_continues_where_it_was(run, tmp_path, monkeypatch, log_lines):
    monkeypatch.setattr(parts, "_CHUNK", 40)
    source = written(tmp_path, "in.txt", "\n".join(TEXTS * 5))
    expected = predicted(run, source, tmp_path / "whole.jsonl")

    output, work = tmp_path / "out.jsonl", parts.atomic_file
    tagged = []

    def killed_at_the_fifth(path):
        tagged.append(path)
        if len(tagged) == 5:
            raise KeyboardInterrupt
        return work(path)

    monkeypatch.setattr(parts, "atomic_file", killed_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        predicted(run, source, output)
    assert not output.exists()
    monkeypatch.setattr(parts, "atomic_file", work)
    there = sorted(path.name for path in parts.Parts(output).folder.iterdir())
    assert len(there) == 5  # four chunks and the description
    assert predicted(run, source, output) == expected
    assert any("missing" in line for line in log_lines)
    assert not parts.Parts(output).folder.exists()


def test_chunks_of_another_input_are_not_taken(run, tagger, tmp_path):
    output = tmp_path / "out.jsonl"
    source = written(tmp_path, "in.txt", "York\n")
    prediction = Prediction(str(run.folder), str(source), output, output_format="jsonl")
    mine = parts.Parts(output)
    mine.open(prediction.about(tagger))
    mine.part(0).write_text("not the chunk\n")
    written(tmp_path, "in.txt", "York and Anna\n")
    assert rows(predicted(run, source, output))[0]["text"] == "York and Anna"


def test_standard_input_and_output(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\ufeffYork\nŁódź\n".encode())))
    predict(Prediction(str(run.folder), "-", None, output_format="jsonl"))
    assert [row["text"] for row in rows(capsys.readouterr().out)] == ["York", "Łódź"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "York", "n": 1}\n')))
    predict(Prediction(str(run.folder), "-", None, output_format="jsonl"))
    assert [row["n"] for row in rows(capsys.readouterr().out)] == [1]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (
            "in.jsonl",
            '{"text": "a"}\n{"text": 3}\n',
            "in.jsonl:2: 'text' is neither a text nor a list of words",
        ),
        ("in.jsonl", '{"text": "a"\n', "in.jsonl:1: not JSON (Expecting"),
        ("in.jsonl", '{"texte": "a"}\n', "in.jsonl:1: none of the fields tokens, words,"),
        ("in.jsonl", '{"text": "\\ud800"}\n', "in.jsonl:1: half of a surrogate pair"),
        ("in.jsonl", '["text"]\n', "in.jsonl:1: ['text'] is not a JSON object"),
        ("in.csv", 'text,n\n"York,1\n', "in.csv:2: not CSV"),
        ("in.parquet", "PAR1", "in.parquet: not a readable Parquet file"),
    ],
)
def test_what_cannot_be_read_is_one_error_with_its_place(run, tmp_path, name, text, what):
    with pytest.raises(UserError) as error:
        predicted(run, written(tmp_path, name, text), tmp_path / "out.jsonl")
    assert what in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_bytes_that_are_not_utf8_are_named(run, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"York\nM\xfcnchen\n")
    with pytest.raises(UserError, match=r"in\.txt:2: byte 0xfc is not UTF-8"):
        predicted(run, tmp_path / "in.txt", tmp_path / "out.jsonl")


def test_mistakes_are_found_before_the_model_is_loaded(run, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_load", lambda *_: pytest.fail("the model was loaded"))
    source = written(tmp_path, "in.txt", "York")
    (tmp_path / "there.jsonl").write_text("mine")
    (tmp_path / "empty").mkdir()
    for wrong_source, output, what in (
        (tmp_path / "nothing.txt", tmp_path / "out.jsonl", "no such file or folder"),
        (tmp_path / "empty", tmp_path / "out.jsonl", "no file in the folder can be tagged"),
        (source, tmp_path / "there.jsonl", "exists already"),
        (source, tmp_path, "is a folder"),
        (source, tmp_path / "in.txt" / "out.jsonl", "is a file"),
    ):
        with pytest.raises(UserError, match=what):
            predict(Prediction(str(run.folder), str(wrong_source), output, output_format="jsonl"))
    with pytest.raises(UserError, match=r"the ending '\.odt' is that of no format"):
        output_format(tmp_path / "out.odt", None)
    assert (tmp_path / "there.jsonl").read_text() == "mine"


def test_several_texts_are_a_list(tagger):
    with pytest.raises(UserError, match="one text is given"):
        tagger.spans("Anna Berg")
    assert tagger.spans([]) == []
    assert tagger.spans([""]) == [[]]


def test_the_documented_keys_are_those_that_are_written(run, tmp_path):
    page = (REPOSITORY / "docs/formats.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.*?) \|", page.split("## Tagged text\n")[1].split("\n## ")[0], flags=re.M)
    documented = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    documented = {
        name.replace("entities[].", "") if "[]" in name else name.lstrip(".") for name in documented
    }
    lines = [{"text": "Anna Berg visits York."}, {"tokens": ["Anna", "Berg", "visits", "York", "."]}]
    source = written(tmp_path, "in.jsonl", "\n".join(map(json.dumps, lines)))
    given = rows(predicted(run, source, tmp_path / "out.jsonl"))
    assert all(row["entities"] for row in given), "nothing was found, so nothing is shown"
    keys = {key for row in given for key in row} | {
        key for row in given for each in row["entities"] for key in each
    }
    assert keys | {"file"} == documented


@pytest.mark.parametrize(("form", "key"), [("doccano", "label"), ("label-studio", "predictions")])
def test_annotation_tools_get_texts_with_spans_that_are_read_back(run, tagger, tmp_path, form, key):
    lines = [
        {"text": "Anna Berg visits York."},
        {"tokens": ["Anna", "Berg", "visits", "York"]},
        {"text": "."},
    ]
    source = written(tmp_path, "in.jsonl", "\n".join(map(json.dumps, lines)))
    target = tmp_path / ("out.jsonl" if form == "doccano" else "out.json")
    text = predicted(run, source, target, output_format=form)
    given = rows(text) if form == "doccano" else json.loads(text)
    texts = ["Anna Berg visits York.", "Anna Berg visits York", "."]
    assert [row.get("text") or row["data"]["text"] for row in given] == texts
    expected = [
        [(each.start, each.end, each.type) for each in spans] for spans in tagger.spans([texts[0], "."])
    ]
    if form == "doccano":
        spans = [[tuple(span) for span in row["label"]] for row in given]
    else:
        values = [[result["value"] for result in row["predictions"][0]["result"]] for row in given]
        spans = [[(each["start"], each["end"], *each["labels"]) for each in row] for row in values]
    assert [spans[0], spans[2]] == expected
    assert spans[1] and all(texts[1][start:end].strip() for start, end, _ in spans[1])
    assert all(key in row for row in given)


def test_texts_are_cut_as_those_of_the_training(tagger, tmp_path):
    lines = (json.dumps({"text": f"Anna's w{i:02}", "label": [[0, 6, "PER"]]}) + "\n" for i in range(20))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_text("".join(lines))
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    settings = [f"data.path={tmp_path / 'data'}", "data.splits.validation=null", "data.splits.test=null"]
    settings += ["data.words=whitespace", "train.max_steps=1", f"output_dir={tmp_path / 'run'}"]
    own = ner_dist.train_recipe(ner_dist.load_recipe(tmp_path / "tiny.yaml", settings))
    given = ner_dist.load_tagger(own.model).tag_items([Item(text="Anna's w01. York")])[0]
    assert given.words == ["Anna's", "w01.", "York"]
    assert given.sentences == [0, 3]
    # Nothing was cut for a training on lists of words: Unicode's rules for words and sentences.
    given = tagger.tag_items([Item(text="Anna's w01. York")])[0]
    assert given.words == ["Anna", "'", "s", "w01", ".", "York"]
    assert given.sentences == [0, 5, 6]


def test_every_ending_has_a_reader():
    assert set(readers._ENDINGS.values()) - {"json"} <= set(inputs._READERS)


def test_a_table_is_read_by_its_column_of_texts(run, tmp_path):
    source = written(tmp_path, "in.csv", 'n;text\n1;"York; and\nAnna"\n2;\n')
    given = rows(predicted(run, source, tmp_path / "out.jsonl"))
    assert [(row["text"], row["n"]) for row in given] == [("York; and\nAnna", "1"), ("", "2")]


def test_the_first_field_with_a_text_is_taken(run, tmp_path):
    lines = [{"tokens": None, "text": "York"}, {"tokens": [{"text": "York"}], "text": "York"}]
    source = written(tmp_path, "in.jsonl", "\n".join(map(json.dumps, lines)))
    assert [row["text"] for row in rows(predicted(run, source, tmp_path / "out.jsonl"))] == ["York"] * 2


def test_standard_input_that_is_not_utf8_is_one_error(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"York\nab\xff\n")))
    with pytest.raises(UserError, match="standard input:2: byte 0xff is not UTF-8"):
        predict(Prediction(str(run.folder), "-", None, output_format="jsonl"))


@pytest.mark.parametrize("decode", ["greedy", "viterbi"])
def test_tags_are_those_of_a_scoring_with_the_same_decoding(run, tmp_path, decode):
    ner_dist.evaluate(run.folder, decode=decode, precision="fp32", out=tmp_path / "scored")
    scored = rows((tmp_path / "scored/predictions/test.jsonl").read_text(encoding="utf-8"))
    given = rows(predicted(run, run.predictions("test"), tmp_path / "out.jsonl", decode=decode))
    assert [row["tags"] for row in given] == [row["predicted"] for row in scored]
    stray = sum(
        tag.startswith("I-") and before[1:] != tag[1:]
        for row in given
        for before, tag in pairwise(["O", *row["tags"]])
    )
    assert (stray == 0) == (decode == "viterbi"), "the greedy tags of this model have stray I-"
    decoding = json.loads((tmp_path / "scored/results.json").read_text())["decoding"]
    assert decoding[decode]["f1"] == json.loads((tmp_path / "scored/results.json").read_text())["f1"]
    assert decoding["greedy"] != decoding["viterbi"]


POINTS = [
    PointOptions.of(threshold={"PER": 0.3, "ANIM": 0.2}),
    PointOptions.of(threshold=0.15, bias={"LOC": 2.0, "PER": -1.0}),
]


@pytest.mark.parametrize("decode", ["greedy", "viterbi"])
@pytest.mark.parametrize("point", POINTS)
def test_a_scoring_chooses_the_same_tags_with_the_same_thresholds_and_biases(run, tmp_path, decode, point):
    settings = {"decode": decode, "threshold": point.threshold, "bias": point.bias}
    figures = ner_dist.evaluate(run.folder, precision="fp32", out=tmp_path / "scored", **settings)
    scored = rows((tmp_path / "scored/predictions/test.jsonl").read_text(encoding="utf-8"))
    given = rows(predicted(run, run.predictions("test"), tmp_path / "out.jsonl", decode=decode, point=point))
    assert [row["tags"] for row in given] == [row["predicted"] for row in scored]
    plain = rows(predicted(run, run.predictions("test"), tmp_path / "plain.jsonl", decode=decode))
    assert [row["tags"] for row in given] != [row["tags"] for row in plain]
    results = json.loads((tmp_path / "scored/results.json").read_text())
    assert results["threshold"] == point.threshold.by_type(figures.labels)
    assert results.get("bias") == point.bias.by_type(figures.labels)
    # The confidence is that of what is written: where an entity was left out, of O.
    before = rows(run.predictions("test").read_text(encoding="utf-8"))
    for row, was in zip(scored, before, strict=True):
        for tag, old, sure, sure_before in zip(
            row["predicted"], was["predicted"], row["confidence"], was["confidence"], strict=True
        ):
            assert (sure == sure_before) if tag == old else (sure <= 1 - sure_before + 1e-3)


def test_a_higher_threshold_leaves_some_of_the_same_entities(run, tmp_path):
    source = written(tmp_path, "in.txt", "\n".join(TEXTS * 2))
    found = []
    for threshold in (0.0, 0.2, 0.4, 1.0):
        point = PointOptions.of(threshold=threshold, bias=0.0)
        given = rows(predicted(run, source, tmp_path / f"{threshold}.jsonl", point=point))
        found.append({(i, *each.values()) for i, row in enumerate(given) for each in row["entities"]})
        assert all(entity[5] >= threshold - 5e-5 for entity in found[-1])
    assert len(found[0]) > len(found[1]) > len(found[3])
    assert found[0] > found[1] >= found[2] >= found[3]
    assert (tmp_path / "0.0.jsonl").read_text() == predicted(run, source, tmp_path / "plain.jsonl")


def test_a_temperature_changes_probabilities_and_no_tag(tagger):
    known = json.loads((Path(tagger.config.name_or_path) / "config.json").read_text())["ner_dist"]
    assert tagger.point.temperature == known["temperature"] != 1
    hot = replace(tagger, point=replace(tagger.point, temperature=3.0))
    ours, theirs = (each.spans([TEXTS[0], TEXTS[3]]) for each in (tagger, hot))
    assert ours[0]
    for one, other in zip(chain(*ours), chain(*theirs), strict=True):
        assert replace(one, probability=0) == replace(other, probability=0)
        assert one.probability > other.probability


@pytest.mark.parametrize("decode", ["greedy", "viterbi"])
def test_the_folder_of_a_model_is_decoded_as_its_run(run, decode):
    of_run, alone = (
        ner_dist.load_tagger(each, device="cpu", decode=decode) for each in (run.folder, run.model)
    )
    assert alone.decode == of_run.decode == decode
    assert alone.decoder.is_identity
    assert (alone.max_length, alone.overlap) == (of_run.max_length, of_run.overlap) == (24, 4)
    assert alone.precision == of_run.precision == ner_dist.load_recipe(run.recipe).precision


def test_a_run_of_an_older_version_is_read_in_the_precision_of_its_results(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "run")
    (tmp_path / "run" / "SHA256SUMS").unlink()
    path = tmp_path / "run" / "model" / "config.json"
    config = json.loads(path.read_text())
    del config["ner_dist"]["precision"]
    path.write_text(json.dumps(config))
    # A CPU that has bf16 would take it for a model of which nothing is known.
    assert ner_dist.load_tagger(tmp_path / "run", device="cpu").precision == "fp32"


def test_a_target_takes_a_point_of_the_curve_which_scoring_confirms(run, tmp_path, log_lines):
    curve = json.loads((run.model / "operating_curve.json").read_text())
    results = json.loads(run.results.read_text())
    for first in (curve["thresholds"][0], curve["biases"][0]):
        assert all(first[name] == results["validation"][name] for name in ("precision", "recall", "f1"))
    above = max(curve["thresholds"], key=lambda point: point["precision"])
    biased = max(curve["biases"], key=lambda point: point["recall"])
    assert above["threshold"] > 0
    for target, point in (
        ({"target_precision": above["precision"]}, above),
        ({"target_recall": biased["recall"]}, biased),
    ):
        figures = ner_dist.evaluate(run.folder, split="validation", precision="fp32", **target)
        for name in ("precision", "recall", "f1"):
            assert getattr(figures.scores, name) == point[name]
        value = point.get("threshold", point.get("bias"))
        assert any(
            f" {value:g}: on validation, precision {point['precision']:.4f}" in line for line in log_lines
        )
        # The curve lies in the model's folder, which knows nothing of the run.
        tagger = ner_dist.load_tagger(run.model, device="cpu", **target)
        assert (tagger.point.threshold is None) == ("target_recall" in target)
    last = curve["biases"][-1]
    assert last["bias"] > 0 and last["precision"] != curve["biases"][0]["precision"]
    scores = ner_dist.evaluate(run.folder, split="validation", precision="fp32", bias=last["bias"]).scores
    assert (scores.precision, scores.recall) == (last["precision"], last["recall"])
    with pytest.raises(UserError, match=r"no recall of 1 is reached .* the highest is"):
        ner_dist.load_tagger(run.folder, target_recall=1.0)
    with pytest.raises(UserError, match=r"write --target-precision 0\.95"):
        ner_dist.load_tagger(run.folder, target_precision=95)
    with pytest.raises(UserError, match="without another target"):
        ner_dist.load_tagger(run.folder, target_precision=0.01, bias={"PER": 1})
    with pytest.raises(UserError, match="measured with --decode greedy"):
        ner_dist.load_tagger(run.folder, target_precision=0.01, decode="viterbi")
    with pytest.raises(UserError, match=r"no type `PERSON`.* it has PER, ORG"):
        ner_dist.load_tagger(run.folder, threshold={"PERSON": 0.5})


def test_chunks_of_another_operating_point_are_not_taken(run, tagger, tmp_path):
    source, output = written(tmp_path, "in.txt", "York\n"), tmp_path / "out.jsonl"
    told = [
        Prediction(str(run.folder), str(source), output, "jsonl", point=PointOptions.of(threshold, bias))
        for threshold, bias in ((0, 0), ({"PER": 0.5}, 0), (0.5, 0), (0, 0.5))
    ]
    assert len({json.dumps(each.about(tagger)) for each in told}) == len(told)
    # Every process of several is told the same.
    assert {"--threshold=0.0", "--threshold=PER=0.5", "--bias=0.0"} <= set(told[1].arguments())
