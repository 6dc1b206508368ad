"""`ner-dist new DATA`: its recipe loads and trains, and describes the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ner_dist.commands.new_recipe import _line, _printable, new_recipe
from ner_dist.commands.settings import describe
from ner_dist.data import hub, one_source
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from ner_dist.recipe_file import data_section, load_recipe
from ner_dist.yaml_text import flow
from tests import small
from tests.command_line import ner_dist

SENTENCES = [
    (["Ann", "met", "Ada", "Lovelace"], ["B-PER", "O", "B-PER", "I-PER"]),
    (["Bern", "hired", "IBM"], ["B-LOC", "O", "B-ORG"]),
    (["nothing", "here"], ["O", "O"]),
]
# What the size of the data would decide, for a training of seconds.
TINY = [
    "model.name=scratch",
    "model.scratch={vocab_size: 300, hidden_size: 16, layers: 1, heads: 2, max_length: 32}",
    "train={epochs: 1, max_steps: 2, batch_tokens: 256, micro_batch_tokens: 128, learning_rate: 1.0e-3}",
]


def jsonl(*, tokens: str = "tokens", tags: str = "ner_tags", split: str = ".", **more) -> str:
    rows = [{tokens: [*w, split], tags: [*t, "O"]} | more for w, t in SENTENCES]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def columns(line: str, *, split: str = ".") -> str:
    """The sentences with one word per line, formatted by `line` from number, word and tag."""
    blocks = []
    for words, tags in SENTENCES:
        pairs = enumerate(zip([*words, split], [*tags, "O"], strict=True), start=1)
        blocks.append("".join(line.format(i=i, word=word, tag=tag) for i, (word, tag) in pairs))
    return "\n".join(blocks)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data(here):
    """Write files into the folder `data`."""

    def write(**files: str) -> str:
        (here / "data").mkdir()
        for name, text in files.items():
            (here / "data" / name.replace("_", ".")).write_text(text, encoding="utf-8")
        return "data"

    return write


def section(text: str) -> dict:
    """The keys of `data` that a recipe holds."""
    return yaml.safe_load(text)["data"]


def as_is(text: str) -> Data:
    """The data of a recipe, with numbers in the place of `auto`."""
    Path("written.yaml").write_text(text, encoding="utf-8")
    return load_recipe("written.yaml", TINY).data


def test_from_a_folder_to_a_scored_model(here, data, capsys):
    files = {f"{name}_txt": columns("{word} NN {tag}\n", split=name) for name in ("train", "valid", "test")}
    assert ner_dist("new", data(**files), "--out", "mine.yaml") == 0
    assert capsys.readouterr().out == "written to mine.yaml; next: ner-dist train mine.yaml\n"
    recipe = load_recipe("mine.yaml", TINY)
    assert (recipe.name, recipe.output_dir, recipe.labels) == ("data", "runs/data", "all")
    assert recipe.data == Data(path="data")
    run = small.train(recipe)
    assert json.loads((run / "results.json").read_text())["labels"] == ["PER", "ORG", "LOC"]


def test_it_loads_as_it_is_written(here, data):
    if "auto" not in describe("train.epochs"):
        pytest.skip("recipes do not take `train.epochs: auto`")
    Path("mine.yaml").write_text(new_recipe(data(train_jsonl=jsonl()), []), encoding="utf-8")
    assert load_recipe("mine.yaml").train.epochs == "auto"


def test_the_recipe_says_what_was_found(data):
    files = {f"{name}_jsonl": jsonl(split=name) for name in ("train", "test")}
    text = new_recipe(data(**files, dev_jsonl=jsonl(split="train")), [], model="some/encoder")
    for line in (
        "#   train: data/train.jsonl",
        "#   validation: data/dev.jsonl",
        "#   sentences      3           3     3",
        "#   words         12          12    12",
        "#   entities       4           4     4",
        "#     PER          2           2     2",
        "#   as read: Ann/B-PER met Ada/B-PER Lovelace/I-PER train",
        "#   validation: 3 of 3 sentences also occur in train; "
        "data.drop_test_sentences_from_train=true drops them",
        "#   ner-dist train mine.yaml --processes 2    trains on two GPUs, or in two CPU processes",
        "  name: some/encoder  # the encoder: a name on the hub, or a local folder",
        "labels: all  # or some of the types, such as [PER, ORG]",
        "  trackers: []  # [tensorboard], [wandb], [mlflow] or [trackio] also log the metrics",
    ):
        assert line in text.splitlines() or f"{line} there" in text.splitlines(), f"{line}\n{text}"
    assert yaml.safe_load(text)["train"] == dict.fromkeys(
        ("epochs", "batch_tokens", "learning_rate"), "auto"
    ) | {"seed": 13}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"train_jsonl": jsonl(tokens="words", tags="tags")},
            {"tokens_column": "words", "tags_column": "tags"},
        ),
        ({"train_json": jsonl(tags="labels", pos=1)}, {"tags_column": "labels"}),
        (
            {"train_tsv": columns("{i}\t{word}\t{tag}\tO\n")},
            {"tokens_column": 1, "tags_column": 2},
        ),
        ({"train_txt": columns("{word} {tag} NN\n")}, {}),
        ({"train_conll": columns("{word},{tag}\n")}, {"separator": ","}),
        ({"train_dat": columns("{word} {tag}\n")}, {}),
        ({"train_lines": jsonl()}, {}),
        ({"train_lines": jsonl(tokens="words")}, {"tokens_column": "words"}),
    ],
)
def test_what_the_data_needs_to_be_read_stands_in_the_recipe(data, files, found):
    text = new_recipe(data(**files), [])
    expected = {"path": "data", **found, "splits": {"validation": None, "test": None}}
    assert section(text) == expected
    corpus = load_corpus(as_is(text))
    assert corpus.splits["train"].tokens[0][:2] == ["Ann", "met"]
    assert corpus.labels.types == ("PER", "ORG", "LOC")


def test_a_split_that_is_not_there_is_said_and_left_out(data):
    text = new_recipe(data(train_jsonl=jsonl(split="train"), test_jsonl=jsonl(split="test")), [])
    assert section(text) == {"path": "data", "splits": {"validation": None}}
    assert "#   validation: none" in text and "the last weights are kept" in text
    assert set(load_corpus(as_is(text)).splits) == {"train", "test"}


def test_the_advice_on_splits_that_are_not_there_works(data):
    words = [
        [word, "met", "Ada"]
        for word in ("Ann", "Bob", "Cid", "Eve", "Fay", "Gus", "Hal", "Ida", "Jan", "Kim")
    ]
    lines = (json.dumps({"tokens": sentence, "ner_tags": ["B-PER", "O", "B-PER"]}) for sentence in words)
    data(train_jsonl="\n".join(lines))
    text = new_recipe("data/train.jsonl", [])
    old = next(line for line in text.splitlines() if line.startswith("  splits:"))
    advised = "  " + old.partition("write instead: ")[2]
    corpus = load_corpus(as_is(text.replace(old, advised)))
    assert {name: len(split) for name, split in corpus.splits.items()} == {
        "train": 8,
        "validation": 1,
        "test": 1,
    }


def test_a_single_file_is_the_training_split(data):
    data(train_jsonl=jsonl())
    text = new_recipe("data/train.jsonl", [])
    assert section(text) == {"path": "data/train.jsonl", "splits": {"validation": None, "test": None}}
    assert yaml.safe_load(text)["name"] == "data"
    assert len(load_corpus(as_is(text)).splits["train"]) == 3


def test_languages_are_named_where_there_are_several(data):
    folder = data(train_jsonl=jsonl(lang="no", split="a") + jsonl(lang="de", split="b"))
    assert "  # language: no  # to keep one of: no (3), de (3)" in new_recipe(folder, [])
    one = new_recipe(folder, ["data.language=no"])
    assert section(one)["language"] == "no" and "# language" not in one
    assert as_is(one).language == "no"


@pytest.mark.parametrize(
    ("files", "split", "said"),
    [
        (
            {"train_jsonl": '{"tokens": ["a"], "ner_tags": [1]}\n'},
            "train",
            "data/train.jsonl:1: tags are numbers without names; set data.label_names",
        ),
        (
            {"train_jsonl": '{"tokens": ["a", "b"], "ner_tags": ["O"]}\n'},
            "train",
            "data/train.jsonl:1: 2 words but 1 tag",
        ),
        ({"train_txt": "one\ntwo\n"}, "train", "data/train.txt:1: 1 column in 'one'"),
        ({"a-train_jsonl": jsonl(), "b-train_jsonl": jsonl()}, "train", "could each be train"),
        (
            {"train_jsonl": jsonl(), "a-dev_jsonl": "", "b-dev_jsonl": ""},
            "validation",
            "could each be validation",
        ),
        ({"train_jsonl": jsonl(), "test_jsonl": "{}\n"}, "test", "data/test.jsonl:1: no column 'tokens'"),
    ],
)
def test_what_no_key_mends_is_the_error_of_training(data, files, split, said):
    folder = data(**files)
    with pytest.raises(UserError) as caught:
        new_recipe(folder, [])
    assert said in str(caught.value)
    with pytest.raises(UserError) as training:
        load_corpus(data_section([], path=folder), splits=[split])
    assert str(training.value) == str(caught.value)


def test_nothing_to_learn_is_no_recipe(data):
    with pytest.raises(UserError, match=r"train\.jsonl"):
        new_recipe(data(train_jsonl='{"tokens": ["a"], "ner_tags": ["O"]}\n'), [])


def test_keys_that_are_given_are_used_and_written(data):
    folder = data(
        train_jsonl='{"tokens": ["a", "b"], "ner_tags": [1, 0]}\n', **{"x-dev_jsonl": "", "y-dev_jsonl": ""}
    )
    given = ["data.label_names=[O, B-PER]", "data.splits.validation=null"]
    text = new_recipe(folder, given)
    assert section(text)["label_names"] == ["O", "B-PER"]
    assert "Written by `ner-dist new data 'data.label_names=[O, B-PER]' data.splits.validation=null`" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere/at/all"], "nowhere/at/all: no such file or folder; set data.path"),
        (["data", "train.epochs=3"], "`train.epochs=3` is not a data setting"),
        (["data", "data.frmat=conll"], "unknown key `data.frmat`; did you mean `data.format`?"),
        (["data", "--out", "data/train.jsonl"], "--out data/train.jsonl: exists already; name another file"),
        ([], "Missing argument 'DATA'; see ner-dist new --help"),
    ],
)
def test_what_is_typed_wrong(data, capsys, arguments, said):
    data(train_jsonl=jsonl())
    assert ner_dist("new", *arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == ""
    assert Path("data/train.jsonl").read_text() == jsonl()


@example(text="", value="\x85")
@example(text="", value=["a\u2028b"])
@given(text=st.text(), value=st.one_of(st.text(), st.lists(st.text()), st.integers(), st.none()))
def test_whatever_the_data_is_called_the_recipe_is_yaml(text, value):
    assert yaml.safe_load(f"# {_printable(text)}\nkey: 1\n") == {"key": 1}
    if all(character < "\ud800" or character > "\udfff" for character in str(value)):
        assert yaml.safe_load(_line("key", value, text)) == {"key": value}
    assert "\n" not in flow(value)


def test_a_hub_data_set_that_calls_its_splits_otherwise(data, monkeypatch):
    """Load the files of the folder as if they were a data set on the hub."""
    monkeypatch.setattr(one_source, "_is_local", lambda data: False)
    monkeypatch.setattr(hub, "_check_hub", lambda data: None)
    folder = data(train_jsonl=jsonl(tokens="words"), test_jsonl=jsonl(tokens="words"))
    text = new_recipe(folder, [])
    assert section(text) == {"path": folder, "tokens_column": "words", "splits": {"validation": None}}
    assert "#   train: data train" in text
