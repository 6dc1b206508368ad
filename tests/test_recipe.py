"""Recipes: reading, precedence, writing, and errors."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.errors import UserError
from ner_dist.recipe import Recipe, Train
from ner_dist.recipe_file import data_section, differing_keys, load_recipe, to_yaml
from tests.conftest import REPOSITORY

MINIMAL = "name: tiny\noutput_dir: runs/tiny\ndata: {path: synthetic}\n"


@pytest.fixture
def write(tmp_path):
    """Write recipes into the current folder."""

    def write(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """The error message for a recipe."""
    monkeypatch.chdir(tmp_path)

    def refused(path: Path | str, *overrides: str) -> str:
        with pytest.raises(UserError) as caught:
            load_recipe(path, overrides)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refused


def recipe(**changes) -> Recipe:
    values = yaml.safe_load(MINIMAL)
    for key, value in changes.items():
        *sections, leaf = key.split("__")
        node = values
        for section in sections:
            node = node.setdefault(section, {})
        node[leaf] = value
    return Recipe.model_validate(values)


class TestReading:
    def test_what_is_not_named_has_its_default(self, write):
        assert load_recipe(write(MINIMAL)) == recipe()
        assert recipe().labels == "all"
        assert recipe().train == Train()

    def test_a_run_s_own_recipe_is_a_recipe(self, write):
        path = write(to_yaml(recipe(train__seed=3), provenance={"git_commit": "abc", "packages": {"a": "1"}}))
        assert load_recipe(path) == recipe(train__seed=3)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1e-5", 1e-5),
            ("1.0e-5", 1e-5),
            ("5E-5", 5e-5),
            ("3e+0", 3.0),
            (".5", 0.5),
            ("1", 1.0),
            ("1.", 1.0),
        ],
    )
    def test_numbers_are_those_of_yaml_1_2(self, write, text, value):
        assert load_recipe(write(MINIMAL), [f"train.learning_rate={text}"]).train.learning_rate == value

    @pytest.mark.parametrize("text", ["no", "on", "off", "y", "n", "yes", "en"])
    def test_language_codes_stay_text(self, write, text):
        assert load_recipe(write(MINIMAL), [f"data.language={text}"]).data.language == text

    @pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False)])
    def test_only_true_and_false_are_boolean(self, write, text, value):
        assert load_recipe(write(MINIMAL), [f"overwrite={text}"]).overwrite is value

    def test_null_and_lists(self, write):
        read = load_recipe(
            write(MINIMAL), ["checkpoint.every=null", "labels=[PER, LOC]", "train.max_steps=~"]
        )
        assert (read.checkpoint.every, read.labels, read.train.max_steps) == (None, ["PER", "LOC"], None)

    def test_a_tilde_that_no_shell_has_replaced_is_the_home(self, write, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        paths = ["output_dir=~/runs/a", "model.name=~/model", "resume=~/a/checkpoints/step-000001"]
        recipe = load_recipe(write(MINIMAL), [*paths, "data.corrections=[~/fixes.jsonl]"])
        assert recipe.output_dir == "/home/me/runs/a" and recipe.model.name == "/home/me/model"
        assert recipe.resume == "/home/me/a/checkpoints/step-000001"
        assert recipe.data.corrections == ["/home/me/fixes.jsonl"]
        assert load_recipe(write(MINIMAL), ["output_dir=a~b"]).output_dir == "a~b"


class TestExtends:
    def test_the_child_changes_only_what_it_names(self, write):
        write(MINIMAL + "train: {seed: 1, epochs: 7}\nlabels: [PER]\n", "base/parent.yaml")
        child = write("extends: base/parent.yaml\nname: child\ntrain: {seed: 2}\n")
        assert load_recipe(child) == recipe(name="child", labels=["PER"], train__seed=2, train__epochs=7)

    def test_precedence_over_three_generations_and_the_command_line(self, write):
        write(MINIMAL + "train: {seed: 1, epochs: 1, batch_tokens: 4096, micro_batch_tokens: 64}\n", "a.yaml")
        write("extends: a.yaml\ntrain: {epochs: 2, batch_tokens: 4097, micro_batch_tokens: 65}\n", "b.yaml")
        path = write("extends: b.yaml\ntrain: {batch_tokens: 4098, micro_batch_tokens: 66}\n", "c.yaml")
        train = load_recipe(path, ["train.micro_batch_tokens=67", "train.micro_batch_tokens=68"]).train
        assert (train.seed, train.epochs, train.batch_tokens, train.micro_batch_tokens) == (1, 2, 4098, 68)

    def test_a_list_is_replaced_whole(self, write):
        write(MINIMAL + "labels: [PER, ORG, LOC]\n", "a.yaml")
        assert load_recipe(write("extends: a.yaml\nlabels: [DIS]\n")).labels == ["DIS"]

    def test_an_error_names_the_file_it_stands_in(self, write, refused):
        write(MINIMAL + "train:\n  epochs: 0\n", "parent.yaml")
        child = write("extends: parent.yaml\nname: child\n", "child.yaml")
        assert refused(child) == "parent.yaml:5: `train.epochs` should be greater than 0 or 'auto' (it is 0)"
        write("extends: parent.yaml\ntrain:\n  epochs: -1\n", "child.yaml")
        assert refused(child) == "child.yaml:3: `train.epochs` should be greater than 0 or 'auto' (it is -1)"

    def test_a_missing_parent_and_a_loop(self, write, refused):
        lone = write("extends: none.yaml\n", "lone.yaml")
        assert refused(lone).startswith("none.yaml: there is no such recipe; ")
        assert "lone.yaml" in refused(lone)
        a = write("extends: b.yaml\n", "a.yaml")
        write("extends: a.yaml\n", "b.yaml")
        assert refused(a) == "a.yaml: the recipe extends itself; remove one `extends`"
        assert (
            refused(write("extends: [a.yaml]\n")) == "recipe.yaml:1: `extends` must be the name of one file"
        )


class TestOverrides:
    def test_a_section_given_as_a_mapping_changes_only_what_it_names(self, write):
        path = write(MINIMAL + "train: {seed: 1, epochs: 7}\n")
        assert load_recipe(path, ["train={seed: 2}"]) == recipe(train__seed=2, train__epochs=7)

    def test_a_section_that_the_file_does_not_mention(self, write):
        assert load_recipe(write(MINIMAL), ["model.scratch.layers=3"]).model.scratch.layers == 3

    def test_a_value_may_hold_an_equals_sign(self, write):
        assert load_recipe(write(MINIMAL), ["data.separator='='"]).data.separator == "="

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("train.epochs", "`train.epochs` is not an override; write dotted.key=value"),
            ("=1", "`=1` is not an override; write dotted.key=value"),
            (
                "train.epoch=1",
                "override train.epoch=1: unknown key `train.epoch`; did you mean `train.epochs`?",
            ),
            ("epochs=1", "override epochs=1: unknown key `epochs`; did you mean `train.epochs`?"),
            ("trian.seed=1", "unknown key `trian`; did you mean `train`?"),
            ("train.lr=1", "unknown key `train.lr`; the keys are epochs, max_steps, batch_tokens"),
            ("trian.learning_rat=1", "unknown key `trian`; did you mean `train`?"),
            ("learning_rat=1", "did you mean `train.learning_rate`?"),
            (
                "quux=1",
                "unknown key `quux`; the keys are name, output_dir, overwrite, resume, model, data",
            ),
            ("provenance.x=1", "unknown key `provenance`"),
            ("extends=full.yaml", "unknown key `extends`"),
            ("train.epochs=[1", "override train.epochs=[1: the value is not valid YAML"),
            ("name.first=a", "override name.first=a: `name` has no keys below it; write name=VALUE"),
            ("train.epochs.x=1", "override train.epochs.x=1: `train.epochs` should be a whole number"),
            ("train.epochs=two", "`train.epochs` should be a whole number or 'auto' (it is \"two\")"),
            ("train.epochs=1.5", "`train.epochs` should be a whole number or 'auto' (it is 1.5)"),
            ("train.epochs=true", "`train.epochs` should be a whole number or 'auto' (it is true)"),
            ("train.seed=-1", "`train.seed` should be greater than or equal to 0 (it is -1)"),
            ("train.seed=9223372036854775808", "`train.seed` should be less than 9223372036854775808"),
            ("train.learning_rate=.inf", "`train.learning_rate` should be a finite number"),
            ("train.learning_rate=.nan", "`train.learning_rate` should be a finite number"),
            ("train.warmup_ratio=1", "`train.warmup_ratio` should be less than 1 (it is 1)"),
            ("train.adam_betas=[0.9]", "`train.adam_betas` has too few values (it is [0.9])"),
            ("train.adam_betas=[0.9,0.9,0.9]", "`train.adam_betas` has too many values"),
            ("train.adam_betas=[0.9,1.5]", "`train.adam_betas[1]` should be less than 1 (it is 1.5)"),
            ("train.class_weights={PER: -1}", "`train.class_weights` should be greater than or equal to 0"),
            (
                "train.class_weights=even",
                "should be 'balanced' or a mapping of keys to values (it is \"even\")",
            ),
            ("labels=PER", "`labels` should be 'all' or a list (it is \"PER\"); write [PER]"),
            ("labels=[1]", "`labels[0]` should be text (it is 1); put it in quotes"),
            ("model.revision=1234567", "`model.revision` should be text (it is 1234567); put it in quotes"),
            ("evaluation.every=never", "should be a whole number or 'auto' or 'epoch' (it is \"never\")"),
            ("precision=fp8", "`precision` should be 'auto', 'fp32', 'bf16' or 'fp16' (it is \"fp8\")"),
            ("name=a/b", "`name` may hold letters, digits, `_`, `.` and `-` only, and not dots alone (it is"),
            ("name=..", "and not dots alone (it is"),
            ("name=/tmp", "and not dots alone (it is"),
            ("data.path=", "`data.path` should be text (it is null)"),
            ("data.path=''", '`data.path` should not be empty (it is "")'),
            ("overwrite=yes", '`overwrite` should be true or false (it is "yes")'),
            ("data.files.dev=a", "`data.files` should be 'train', 'validation' or 'test' (it is \"dev\")"),
            ("model=roberta-base", '`model` should hold keys of its own (it is "roberta-base"); write them'),
            ("logging.trackers=wandb", '`logging.trackers` should be a list (it is "wandb"); write [wandb]'),
            ("model.scratch.heads=3", "`model.scratch`: heads 3 must divide hidden_size 128"),
        ],
    )
    def test_mistakes(self, write, refused, override, message):
        said = refused(write(MINIMAL), override)
        assert message in said
        assert override in said

    def test_the_override_is_blamed_where_keys_do_not_go_together(self, write, refused):
        path = write(MINIMAL + "model: {scratch: {hidden_size: 128}}\n")
        said = refused(path, "model.scratch.heads=3", "train.seed=1")
        assert said.startswith("override model.scratch.heads=3: `model.scratch`: heads 3 must divide")

    @pytest.mark.parametrize("override", ["train.batch_tokens=1000", "train={batch_tokens: 1000}"])
    def test_a_pass_is_never_more_than_a_step(self, write, override):
        recipe = load_recipe(
            write(MINIMAL + "train: {batch_tokens: 8192, micro_batch_tokens: 4096}\n"), [override]
        )
        assert recipe.train.micro_batch_tokens == 1000
        assert recipe.train.micro_batches == 1


class TestMistakesInTheFile:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("trian:\n  seed: 1\n", "recipe.yaml:4: unknown key `trian`; did you mean `train`?"),
            ("train:\n  sed: 1\n", "recipe.yaml:5: unknown key `train.sed`; did you mean `train.seed`?"),
            ("train:\n  seed: one\n", 'recipe.yaml:5: `train.seed` should be a whole number (it is "one")'),
            ("train:\n", "recipe.yaml:4: `train` should hold keys of its own (it is null); write them below"),
            (
                "labels:\n- PER\n- 7\n",
                "recipe.yaml:4: `labels[1]` should be text (it is 7); put it in quotes",
            ),
            ("1: 2\n", "recipe.yaml:4: the recipe has a key that is not text (it is 1)"),
            ("name: again\n", "recipe.yaml:4: key `name` appears twice; first at recipe.yaml:1"),
            (
                "train:\n  seed: 1\n  seed: 2\n",
                "recipe.yaml:6: key `train.seed` appears twice; first at recipe.yaml:5",
            ),
            ("labels: [PER\nseed: 1\n", "recipe.yaml:5: not valid YAML: "),
            ("\tseed: 1\n", "recipe.yaml:4: not valid YAML: "),
        ],
    )
    def test_line_and_key_are_named(self, write, refused, text, message):
        assert message in refused(write(MINIMAL + text))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "recipe.yaml: a recipe is a mapping of keys to values"),
            ("- name\n", "recipe.yaml: a recipe is a mapping of keys to values"),
            ("name: a\noutput_dir: b\n", "recipe.yaml: key `data` is missing; add it or pass data=VALUE"),
            ("name: a\noutput_dir: b\ndata: {language: en}\n", "recipe.yaml: key `data.path` is missing"),
        ],
    )
    def test_what_is_missing(self, write, refused, text, message):
        assert message in refused(write(text))

    def test_files_that_cannot_be_read(self, write, refused, tmp_path):
        write(MINIMAL, "other.yaml")
        assert refused("none.yaml") == "none.yaml: there is no such recipe; . holds other.yaml"
        (tmp_path / "folder").mkdir()
        assert refused("folder") == "folder: the recipe cannot be read: Is a directory"
        (tmp_path / "latin.yaml").write_bytes("name: a\noutput_dir: é\n".encode("latin-1"))
        assert refused("latin.yaml") == "latin.yaml:2: the recipe is not UTF-8"


ALIASES = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


class TestHostileYaml:
    @pytest.mark.parametrize(
        ("value", "what"),
        [
            ("[" * 100_000, "nested too deeply"),
            ("9" * 5000, "a whole number of more than 100 digits"),
            ('"a\\0b"', "NUL in a text"),
            ("0x" + "f" * 200, "a whole number of more than 100 digits"),
            ("{epochs: 0b_}", "`(train.)?epochs`: `0b_` is read as a whole number, which it is not"),
            ("!!bool foo", "`foo` is read as true or false, which it is not"),
            ("2001-13-45", "is read as a date, which it is not"),
            ('"\\ud800"', "half of a surrogate pair"),
            ('{"\\ud800": 1}', "half of a surrogate pair"),
            ("&a [*a]", "an alias stands for itself"),
            ("{a: 1, b: 2, a: 3}", "key `train.a` appears twice"),
        ],
        ids=[
            "deep",
            "digits",
            "NUL",
            "hex",
            "binary",
            "tag",
            "date",
            "half",
            "half a key",
            "recursion",
            "twice",
        ],
    )
    def test_a_value(self, write, value, what):
        with pytest.raises(UserError, match=rf"recipe.yaml(:4)?: .*{what}"):
            load_recipe(write(f"{MINIMAL}train: {value}\n"))
        with pytest.raises(UserError, match=f"^override train=.*{what}"):
            load_recipe(write(MINIMAL), [f"train={value}"])

    def test_aliases_for_billions_of_values(self, write):
        with pytest.raises(UserError, match="aliases stand for more than 100,000 values"):
            load_recipe(write(MINIMAL + ALIASES))

    def test_aliases_that_are_meant(self, write):
        text = MINIMAL.replace("name:", "name: &n", 1)
        assert load_recipe(write(f"{text}labels: [*n]\n")).labels == [load_recipe(write(text)).name]

    @pytest.mark.parametrize(
        ("override", "what"),
        [
            (
                "train.batch_tokens=1000000000000000000",
                "`train.batch_tokens`: 1e+18 is more than 1,000,000,000,000",
            ),
            ("evaluation.batch_tokens=" + "9" * 40, "`evaluation.batch_tokens`: 1e+40 is more than"),
            (
                "train.batch_tokens=999999999999",
                "make 488,281,250 micro-batches, and 1,000,000 are planned at most",
            ),
            (
                "model.scratch.vocab_size=1000000000000",
                "`model.scratch.vocab_size`: 1e+12 is more than 10,000,000",
            ),
            ("model.scratch.layers=1000000000", "`model.scratch.layers`: 1e+09 is more than 1,000"),
            ("data.synthetic.train=1000000000000", "`data.synthetic.train`: 1e+12 is more than 10,000,000"),
        ],
    )
    def test_a_size_without_end(self, write, override, what):
        with pytest.raises(UserError) as found:
            load_recipe(write(MINIMAL), [override])
        assert what in str(found.value)
        assert f"override {override}" in str(found.value)

    @pytest.mark.parametrize("key", ["data.path", "data.cache_dir", "data.corrections"])
    def test_a_home_that_is_not_there(self, write, key):
        with pytest.raises(UserError, match="there is no home folder `~nobody_here`"):
            load_recipe(write(MINIMAL), [f"{key}=~nobody_here/x"])

    def test_a_key_that_is_given_twice(self, write, log_lines):
        assert load_recipe(write(MINIMAL), ["train.epochs=1", "train.epochs=2"]).train.epochs == 2
        assert log_lines == ["override train.epochs=1 is not used: train.epochs=2 comes after it"]

    def test_a_dotted_key_in_a_file(self, write):
        with pytest.raises(UserError, match=r"`train.epochs`; write it nested: train: {epochs: …}"):
            load_recipe(write(f"{MINIMAL}train.epochs: 1\n"))
        with pytest.raises(UserError, match=r"write it nested: data: {synthetic: {seed: …}}"):
            load_recipe(write(f"{MINIMAL}data.synthetic.seed: 1\n"))

    @pytest.mark.parametrize("parent", ["/dev/zero", "/dev/stdin", "pipe"])
    def test_a_parent_that_is_no_file(self, write, tmp_path, parent):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match=r"recipe.yaml:4: `extends`: .* is no file"):
            load_recipe(write(f"{MINIMAL}extends: {parent}\n"))

    def test_parents_without_end(self, write):
        for number in range(60):
            write(f"extends: p{number + 1}.yaml\n", f"p{number}.yaml")
        with pytest.raises(UserError, match="extends more than 50 others"):
            load_recipe(write("extends: p0.yaml\n"))

    def test_sections_without_end(self, write):
        with pytest.raises(UserError, match=r"unknown key `a\.a"):
            load_recipe(write(MINIMAL), ["a." * 5_000 + "a=1"])

    def test_an_error_is_never_endless(self, write):
        with pytest.raises(UserError) as found:
            load_recipe(write(MINIMAL), ["x" * 100_000 + "=1"])
        assert len(str(found.value)) < 4_000

    def test_a_file_without_end(self):
        with pytest.raises(UserError, match="holds more than 1,048,576 characters"):
            load_recipe("/dev/zero")


class TestDataOfEvaluate:
    def test_settings_of_a_bare_path(self):
        data = data_section(["data.language=no", "data.tags_column=tags"], path="a.jsonl")
        assert (data.path, data.language, data.tags_column) == ("a.jsonl", "no", "tags")

    def test_settings_on_top_of_a_recipe_s(self, write):
        path = write(MINIMAL + "train: {seed: 4}\n")
        data = data_section(["data.synthetic.test=5", "data.synthetic.seed=3"], of=path)
        assert data == recipe(data__synthetic={"test": 5, "seed": 3}).data

    @pytest.mark.parametrize("text", ["train.epochs=1", "data.path=other", "language=en", "nonsense"])
    def test_other_keys_are_refused(self, text):
        with pytest.raises(UserError, match=r"not a data setting; write data\.key=value"):
            data_section([text], path="a.jsonl")

    def test_unknown_keys_are_told_as_in_recipes(self):
        with pytest.raises(UserError, match=r"unknown key `data\.langage`; did you mean `data\.language`"):
            data_section(["data.langage=en"], path="a.jsonl")


class TestDifferingKeys:
    @pytest.mark.parametrize(
        ("change", "keys"),
        [
            ({"train__seed": 14}, ["train.seed"]),
            ({"labels": ["PER"]}, ["labels"]),
            ({"data__language": "en", "precision": "bf16"}, ["data.language", "precision"]),
            ({"train__class_weights": {"PER": 2.0}}, ["train.class_weights.PER"]),
            ({"data__files": {"train": "a"}}, ["data.files.train"]),
            ({"evaluation__every": 7}, ["evaluation.every"]),
            ({"model__scratch": {"layers": 3}}, ["model.scratch.layers"]),
        ],
    )
    def test_what_changes_the_training_is_named(self, change, keys):
        assert differing_keys(recipe(), recipe(**change)) == keys
        assert differing_keys(recipe(**change), recipe()) == keys

    @pytest.mark.parametrize(
        "change",
        [
            {"output_dir": "elsewhere"},
            {"overwrite": True},
            {"checkpoint__every": 7, "checkpoint__keep_last": 9},
            {"logging__every": 1, "logging__trackers": ["wandb"]},
            {"data__cache_dir": "cache"},
            {"evaluation__batch_tokens": 64},
        ],
    )
    def test_where_it_writes_and_what_it_reports_is_free(self, change):
        assert differing_keys(recipe(), recipe(**change)) == []


# Not the line ends of Unicode, which PyYAML folds into others.
printable = st.characters(categories=["L", "M", "N", "P", "S", "Zs"])
text = st.text(printable, min_size=1, max_size=12) | st.sampled_from(
    ["no", "1e5", "null", "~", "12", "1_0", "0x1f", "é"]
)
rate = st.floats(1e-12, 1e3, exclude_min=True)
positive = st.integers(1, 10**12)
recipes = st.builds(
    recipe,
    name=st.from_regex(
        r"[\w.-]+", fullmatch=True, alphabet=st.characters(categories=["L", "Nd"], include_characters="_.-")
    ),
    output_dir=text,
    labels=st.just("all") | st.lists(text, max_size=3),
    precision=st.sampled_from(["auto", "fp32", "bf16", "fp16"]),
    model__revision=st.none() | text,
    data__path=text,
    data__separator=st.none() | text,
    data__files=st.dictionaries(st.sampled_from(["train", "test"]), text),
    data__label_names=st.none() | st.lists(text, max_size=3),
    data__tags_column=st.integers() | text,
    train__learning_rate=rate,
    train__adam_epsilon=rate,
    train__adam_betas=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
    train__class_weights=st.none() | st.just("balanced") | st.dictionaries(text, rate, min_size=1),
    train__seed=st.integers(0, 2**63 - 1),
    evaluation__every=st.just("epoch") | positive,
    checkpoint__every=st.none() | positive,
    logging__trackers=st.lists(st.sampled_from(["tensorboard", "wandb", "mlflow", "trackio"])),
)


class TestRoundTrip:
    @given(value=recipes)
    def test_what_is_written_is_read_back(self, tmp_path_factory, value):
        path = tmp_path_factory.getbasetemp() / "round_trip.yaml"
        path.write_text(to_yaml(value, provenance={"command": ["a", "b"]}), encoding="utf-8")
        read = load_recipe(path)
        assert read == value
        assert differing_keys(read, value) == []

    @given(
        change=st.one_of(
            st.tuples(st.just("train.learning_rate"), rate.map(repr)),
            st.tuples(st.sampled_from(["train.epochs", "logging.every"]), positive.map(str)),
            st.tuples(
                st.sampled_from(["data.language", "model.name", "output_dir"]),
                st.sampled_from(["no", "'12'", '"a b"', "a-b", "./x", "ünï", "1.2.3"]),
            ),
            st.tuples(st.just("labels"), st.sampled_from(["all", "[PER]", "[PER, LOC]", '["1"]'])),
            st.tuples(st.just("checkpoint.every"), st.sampled_from(["null", "~", "7", "10min"])),
            st.tuples(st.just("overwrite"), st.sampled_from(["true", "false"])),
        )
    )
    def test_an_override_does_what_the_same_key_in_a_file_does(self, tmp_path_factory, change):
        key, value = change
        folder = tmp_path_factory.getbasetemp()
        (folder / "parent.yaml").write_text(MINIMAL + "train: {seed: 5}\n")
        *sections, leaf = key.split(".")
        lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(sections)]
        lines.append(f"{'  ' * len(sections)}{leaf}: {value}")
        (folder / "child.yaml").write_text("\n".join(["extends: parent.yaml", *lines]), encoding="utf-8")
        assert load_recipe(folder / "parent.yaml", [f"{key}={value}"]) == load_recipe(folder / "child.yaml")


RECIPES = sorted(path.name for path in (REPOSITORY / "recipes").glob("*.yaml"))
COMMAND = re.compile(r"accelerate launch --config_file (\S+) -m ner_dist\.train (\S+)((?: \S+=\S+)*)")


def opening(name: str) -> str:
    """The comment that a recipe begins with."""
    lines = (REPOSITORY / "recipes" / name).read_text().splitlines()
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])


class TestRecipesThatCome:
    def test_the_names_that_users_type_are_there(self):
        pairs = {
            f"{kind}{size}.yaml" for kind in ("full", "subset") for size in ("", "_large", "_multilingual")
        }
        assert pairs | {"demo_full.yaml", "demo_subset.yaml"} <= set(RECIPES)

    @pytest.mark.parametrize("name", RECIPES)
    def test_it_loads_under_its_own_name(self, name):
        read = load_recipe(REPOSITORY / "recipes" / name)
        assert read.name == Path(name).stem
        assert read.output_dir == f"runs/{read.name}"

    @pytest.mark.parametrize("name", RECIPES)
    def test_it_opens_with_the_hardware_and_the_command(self, name):
        comment = opening(name)
        assert re.search(r"\b(GPU|A100|V100|CPU)", comment)
        commands = COMMAND.findall(comment)
        assert commands
        for config, path, overrides in commands:
            assert (REPOSITORY / config).is_file()
            assert path == f"recipes/{name}"
            load_recipe(REPOSITORY / path, overrides.split())

    @pytest.mark.parametrize("name", [name for name in RECIPES if "subset" in name])
    def test_model_b_differs_from_model_a_in_its_labels_only(self, name):
        subset = load_recipe(REPOSITORY / "recipes" / name)
        full = load_recipe(REPOSITORY / "recipes" / name.replace("subset", "full"))
        assert (full.labels, subset.labels) == ("all", ["PER", "ORG", "LOC", "DIS", "ANIM"])
        own = {"name": subset.name, "output_dir": subset.output_dir, "labels": subset.labels}
        assert full.model_copy(update=own) == subset

    def test_both_models_share_what_was_prepared(self):
        full, subset = (load_recipe(REPOSITORY / "recipes" / f"{kind}.yaml") for kind in ("full", "subset"))
        assert (full.data, full.model) == (subset.data, subset.model)
        assert full.data.path == "Babelscape/multinerd"
