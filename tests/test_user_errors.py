"""Bad input to the commands: one line, exit code 2, no traceback, nothing lost.

One case a source of mistakes; what each message says is tested where it is made.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ner_dist.train import main as train_main
from tests.command_line import ner_dist
from tests.conftest import REPOSITORY

RECIPE = """\
name: tiny
output_dir: out
model: {name: scratch, scratch: {vocab_size: 300, hidden_size: 16, layers: 1, heads: 2, max_length: 32}}
data: {path: data}
precision: fp32
train: {max_steps: 1, batch_tokens: 256, micro_batch_tokens: 128}
"""
SENTENCES = [
    (["Ann", "met", "Ada", "Lovelace"], ["B-PER", "O", "B-PER", "I-PER"]),
    (["Bern", "hired", "IBM"], ["B-LOC", "O", "B-ORG"]),
    (["nothing", "here"], ["O", "O"]),
]
# Of a data set to score on: no type of it is one of the above.
OTHER_TYPES = [(["gold", "rain"], ["B-METAL", "O"])]


def jsonl(sentences: list[tuple[list, list]], **columns: str) -> str:
    rows = [{"tokens": words, "ner_tags": tags} | columns for words, tags in sentences]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_data(folder: Path) -> None:
    for number, split in enumerate(("train", "validation", "test")):
        own = [([*words, f"{split}."], [*tags, "O"]) for words, tags in SENTENCES[: 3 - number % 2]]
        write(folder / f"{split}.jsonl", jsonl(own))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch):
    """Reset the state that a process keeps between commands; hide the machine's GPU and network."""
    import datasets
    import huggingface_hub
    from accelerate.state import AcceleratorState

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    # Both read HF_HUB_OFFLINE when they are imported, which the collection of tests may have done before.
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    AcceleratorState._reset_state(reset_partial_state=True)
    log = logging.getLogger("ner_dist")
    kept = log.handlers, log.propagate, log.level
    # Pytest would put a handler of its own on a logger that does not propagate.
    log.handlers, log.propagate = [], True
    yield
    log.handlers, log.propagate = kept[:2]
    log.setLevel(kept[2])
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The user's folder, with a recipe and its data."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "recipe.yaml", RECIPE)
    write_data(tmp_path / "data")
    return tmp_path


def the_error(code: int, stderr: str) -> str:
    """The one-line error message."""
    assert code == 2
    assert "Traceback" not in stderr
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, stderr
    assert stderr.endswith(f"{errors[0]}\n"), "nothing may stand behind it"
    return errors[0].removeprefix("error: ")


@pytest.fixture
def train_refused(here, capsys):
    """The error of `python -m ner_dist.train recipe.yaml OVERRIDES`."""

    def refused(*overrides: str, recipe: str = "recipe.yaml") -> str:
        code = train_main([recipe, *overrides])
        return the_error(code, capsys.readouterr().err)

    return refused


@pytest.fixture
def cli_refused(capsys):
    """The error of `ner-dist ARGUMENTS`."""

    def refused(*arguments: str) -> str:
        code = ner_dist(*arguments)
        return the_error(code, capsys.readouterr().err)

    return refused


class TestRecipes:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name: [tiny\n" + RECIPE, "recipe.yaml:2: not valid YAML: "),
            (RECIPE + "trian: {}\n", "recipe.yaml:7: unknown key `trian`; did you mean `train`?"),
            (
                RECIPE.replace("max_steps: 1", "max_steps: ten"),
                'recipe.yaml:6: `train.max_steps` should be a whole number (it is "ten")',
            ),
            (RECIPE + "name: other\n", "recipe.yaml:7: key `name` appears twice; first at recipe.yaml:1"),
        ],
    )
    def test_in_the_file(self, train_refused, here, text, said):
        write(here / "recipe.yaml", text)
        assert said in train_refused()
        assert not (here / "out").exists()

    def test_no_such_file(self, train_refused):
        assert train_refused(recipe="recipes.yaml") == (
            "recipes.yaml: there is no such recipe; . holds recipe.yaml"
        )

    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ("--overwrite", "`--overwrite` is not an override; write dotted.key=value"),
            (
                "train.epoch=1",
                "override train.epoch=1: unknown key `train.epoch`; did you mean `train.epochs`?",
            ),
            (
                "precision=fp16",
                "precision: fp16 trains only on a GPU, and none is available; launch with ",
            ),
            (
                "logging.trackers=[comet]",
                "`logging.trackers[0]` should be 'tensorboard', 'wandb', 'mlflow' or 'trackio'",
            ),
        ],
    )
    def test_on_the_command_line(self, train_refused, here, override, said):
        assert said in train_refused(override)
        assert not (here / "out").exists()


class TestData:
    @pytest.mark.parametrize(
        ("file", "content", "overrides", "said"),
        [
            ("a", "", ["data.path=none.jsonl"], "none.jsonl: no such file or folder; set data.path"),
            (
                "test.jsonl",
                None,
                [],
                "data: no file is named 'test'; the files are train.jsonl, validation.jsonl; ",
            ),
            (
                "train.jsonl",
                jsonl([*SENTENCES, (["a", "b"], ["O"])]),
                [],
                "data/train.jsonl:4: 2 words but 1 tags; give every word exactly one tag",
            ),
            (
                "validation.jsonl",
                jsonl([(["a"], ["B-LAW"])]),
                ["data.label_names=[O,B-PER,I-PER,B-LOC,I-LOC,B-ORG,I-ORG]"],
                "data/validation.jsonl:1: tag `B-LAW` is not among the 7 tags of data.label_names",
            ),
            (
                "a.conll",
                "Ann B-PER\nsings\n",
                ["data.files.train=a.conll"],
                "data/a.conll:2: 1 column in 'sings', 2 in the lines before; fix the line",
            ),
            (
                "a.parquet",
                b"PAR1",
                ["data.files.train=a.parquet"],
                "data/a.parquet: not a readable Parquet file",
            ),
            (
                "a",
                "",
                ["data.path=Some/dataset"],
                "data.path: there is no file or folder 'Some/dataset' here, and no data set of that name",
            ),
        ],
    )
    def test_each_names_the_place_and_what_to_do(self, train_refused, here, file, content, overrides, said):
        if content is None:
            (here / "data" / file).unlink()
        else:
            write(here / "data" / file, content)
        assert said in train_refused(*overrides)
        assert not (here / "out").exists()

    def test_prepare_tells_the_same(self, cli_refused, here):
        write(here / "data" / "train.jsonl", "[]\n")
        assert cli_refused("prepare", "recipe.yaml") == "data/train.jsonl:1: [] is not a JSON object"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.path=none/"], "none/: no such file or folder; set data.path"),
        (["data.files.test=none.jsonl"], "data/none.jsonl: no such file; the files are "),
        (["data.splits.train=first"], "data: no file is named 'first'; the files are "),
        (
            ["data.path=data/train.jsonl"],
            "data.path: data/train.jsonl is one file, but the splits train, validation, test",
        ),
        (["model.name=./none"], "model.name: there is no folder `./none`; "),
        (
            ["resume=out/checkpoints/step-000007"],
            "resume out/checkpoints/step-000007: there is no such checkpoint; name a folder such as "
            "RUN/checkpoints/step-000500, or use auto",
        ),
    ],
)
def test_what_is_missing_is_found_before_the_hub_is_asked_and_torch_is_loaded(here, overrides, said):
    code = "import sys; from ner_dist.train import main; code = main(sys.argv[1:])\n"
    code += "print(code, sorted({'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    command = [sys.executable, "-c", code, "recipe.yaml", "model.name=some-encoder", *overrides]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == "2 []\n"
    assert said in the_error(2, done.stderr)


class TestLabels:
    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            ("[PER,LAW]", "labels: the data has no type `LAW`; it has PER, ORG, LOC"),
            ("[PRE]", "labels: the data has no type `PRE`; did you mean `PER`? it has PER, ORG, LOC"),
            ("[B-PER]", "labels: the data has no type `B-PER`; did you mean `PER`? it has PER, ORG, LOC"),
            ("[PER,LOC,PER]", "labels: names `PER` twice"),
            ("[]", "labels: names no type; the data has PER, ORG, LOC"),
        ],
    )
    def test_types(self, train_refused, here, labels, said):
        assert train_refused(f"labels={labels}") == said
        assert not (here / "out").exists()

    def test_class_weights_of_an_unknown_type(self, train_refused):
        said = train_refused("train.class_weights={PER: 2, LAW: 3}")
        assert said == (
            "train.class_weights: `LAW` is not an entity type of this training; the types are O, "
            "PER, ORG, LOC"
        )

    def test_class_weights_of_a_type_that_is_left_out(self, train_refused):
        said = train_refused("train.class_weights={LOC: 2}", "labels=[PER]")
        assert (
            said == "train.class_weights: `LOC` is not an entity type of this training; the types are O, PER"
        )


class TestModels:
    @pytest.mark.parametrize("name", ["./none", "models/of/mine", "/nowhere/model"])
    def test_no_such_folder(self, train_refused, name):
        assert train_refused(f"model.name={name}") == (
            f"model.name: there is no folder `{name}`; name a model's folder or a hub model"
        )

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            (
                {},
                "the folder `model` contains no model (config.json is missing); name a folder that contains",
            ),
            ({"config.json": "{"}, "cannot load the model `model`: "),
            ({"config.json": '{"model_type": "quux"}'}, "cannot load the model `model`: "),
            ({"config.json": '{"model_type": "bert", "vocab_size": "x"}'}, "cannot load the model `model`: "),
            (
                {"config.json": '{"model_type": "bert", "vocab_size": 30}'},
                "the tokenizer of `model` has no vocabulary; put the model's tokenizer files",
            ),
        ],
    )
    def test_a_folder_without_a_model(self, train_refused, here, files, said):
        (here / "model").mkdir()
        for name, text in files.items():
            write(here / "model" / name, text)
        assert train_refused("model.name=model").startswith(f"model.name: {said}")
        assert not (here / "out").exists()

    def test_a_file(self, train_refused):
        assert train_refused("model.name=recipe.yaml") == (
            "model.name: `recipe.yaml` is a file; name the folder that contains the model"
        )

    @pytest.mark.parametrize("name", ["some-encoder-base", "Someone/some-encoder"])
    def test_a_hub_name_without_a_network(self, train_refused, name):
        said = train_refused(f"model.name={name}")
        assert said.startswith(f"model.name: cannot load the model `{name}`: ")
        assert said.endswith("(with a network, or after `ner-dist prepare`) or a model's folder")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Complete runs: of all types, of one alone, on other sentences, without a test; and one cut short."""
    folder = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("ACCELERATE_USE_CPU", "true")
    write(folder / "recipe.yaml", RECIPE)
    write_data(folder / "data")
    write(folder / "unseen" / "test.jsonl", jsonl([(["Unseen", "town"], ["B-LOC", "O"])]))
    write(folder / "metals" / "test.jsonl", jsonl(OTHER_TYPES))
    settings = {
        "all": ["labels=all"],
        "per": ["labels=[PER]"],
        "loc": ["labels=[LOC]"],
        "other": ["data.files.test=../unseen/test.jsonl"],
        "untested": ["data.splits.test=null"],
    }
    for name, overrides in settings.items():
        assert train_main(["recipe.yaml", f"output_dir={name}", *overrides]) == 0
    (folder / "cut").mkdir()
    (folder / "cut" / "recipe.yaml").write_bytes((folder / "all" / "recipe.yaml").read_bytes())
    write(folder / "file", "")
    patch.undo()
    return folder


@pytest.fixture
def among_runs(runs, monkeypatch):
    """The user stands in the folder of the runs, and leaves it as it was."""
    monkeypatch.chdir(runs)
    before = contents(runs)
    yield runs
    assert contents(runs) == before


class TestOutputDirectories:
    def test_a_file(self, train_refused, here):
        write(here / "out", "precious")
        assert train_refused() == "output_dir out: is a file; name another folder"
        assert train_refused("overwrite=true") == "output_dir out: is a file; name another folder"
        assert (here / "out").read_text() == "precious"

    def test_below_a_file(self, train_refused, here):
        write(here / "file", "precious")
        said = train_refused("output_dir=file/out")
        assert said == "output_dir file/out: lies below file, which is a file; name another folder"

    def test_other_files(self, train_refused, here):
        write(here / "out" / "thesis.tex", "precious")
        assert train_refused() == (
            "output_dir out: holds files that are not a run of ner_dist; "
            "name another output_dir, or pass overwrite=true to move it aside"
        )
        assert contents(here / "out") == {"thesis.tex": b"precious"}

    def test_another_recipe_s_run(self, among_runs, capsys):
        code = train_main(["recipe.yaml", "output_dir=per", "train.seed=4", "labels=[ORG]"])
        assert the_error(code, capsys.readouterr().err) == (
            "output_dir per: holds the run of another recipe (they differ in labels, train.seed); "
            "name another output_dir, or pass overwrite=true to move the old run aside"
        )

    def test_the_current_directory(self, among_runs, capsys):
        code = train_main(["recipe.yaml", "output_dir=.", "overwrite=true"])
        said = the_error(code, capsys.readouterr().err)
        assert said.startswith("output_dir .: holds the current directory, so it cannot be moved aside")

    def test_a_complete_run_is_left_as_it_is(self, among_runs, capsys):
        assert train_main(["recipe.yaml", "output_dir=all"]) == 0
        assert "all holds this run, complete, test F1 0." in capsys.readouterr().err

    def test_overwriting_keeps_the_old_run(self, here, capsys):
        assert train_main(["recipe.yaml", "data.splits.test=null"]) == 0
        old = contents(here / "out")
        assert train_main(["recipe.yaml", "data.splits.test=null", "train.seed=4", "overwrite=true"]) == 0
        assert "moved the old run to out.old-1" in capsys.readouterr().err
        assert contents(here / "out.old-1") == old
        assert contents(here / "out")["recipe.yaml"] != old["recipe.yaml"]


class TestCompare:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["all", "none", "--out", "out"], "none: there is no such run; name the output directory of a"),
            (
                ["all", "cut", "--out", "out"],
                "cut: holds no complete run (results.json is missing); train it",
            ),
            (["all", "per", "--out", "file"], "--out file: is a file"),
            (["all", "per"], "Missing option '--out'; see ner-dist compare --help"),
            (["all", "--out", "out"], "a comparison is of two runs or more; name the output"),
            (["all", "per", "--out", "out", "--names", "full"], "--names: 'full' is not LETTER=NAME; write"),
            (["all", "per", "--output", "out"], "No such option: --output"),
        ],
    )
    def test_arguments(self, among_runs, cli_refused, arguments, said):
        assert said in cli_refused("compare", *arguments)


class TestEvaluate:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["none"], "none: is no run that has data of its own; pass --data PATH to score it on"),
            (["./none", "--data", "data"], "model.name: there is no folder `./none`"),
            (["Someone/tagger", "--data", "data"], "model.name: cannot load the model `Someone/tagger`: "),
            (["all", "--data", "none.jsonl"], "none.jsonl: no such file or folder"),
            (
                ["all", "--data", "metals"],
                "all: no type is shared: the model knows PER, ORG, LOC, the data has",
            ),
            (["all", "--split", "dev"], "'dev' is not one of 'train', 'validation', 'test'; see ner-dist"),
            (
                ["all", "--precision", "fp8"],
                "'fp8' is not one of 'auto', 'fp32', 'bf16', 'fp16'; see ner-dist",
            ),
            (["all", "--precision", "fp16"], "precision: fp16 trains only on a GPU, and none is available"),
            (["all", "data.langage=en"], "unknown key `data.langage`; did you mean `data.language`?"),
            (
                ["all", "train.seed=1"],
                "`train.seed=1` is not a data setting; write data.key=value",
            ),
            (
                ["all", "data.path=data"],
                "`data.path=data` is not a data setting; write data.key=value",
            ),
            (["all", "--out", "file"], "--out file: is a file; name another folder"),
            (
                ["all", "--out", "per"],
                "--out per: holds a run, whose results would be lost; name another folder",
            ),
            (["untested"], "data.splits.test: the recipe sets this split to null; set the name of the split"),
            ([], "Missing argument 'RUN_OR_MODEL'; see ner-dist evaluate --help"),
        ],
    )
    def test_arguments(self, among_runs, cli_refused, arguments, said):
        assert said in cli_refused("evaluate", *arguments)


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["compair"], "No such command 'compair'"),
            (["--verbose"], "No such option: --verbose"),
            (["train"], "Missing argument 'RECIPE'; see ner-dist train --help"),
            (["train", "none.yaml"], "none.yaml: there is no such recipe"),
            (["train", "recipe.yaml", "--epochs", "3"], "No such option: --epochs"),
            (
                ["prepare", "recipe.yaml", "model.nam=x"],
                "unknown key `model.nam`; did you mean `model.name`?",
            ),
        ],
    )
    def test_wrong_commands(self, here, cli_refused, arguments, said):
        assert said in cli_refused(*arguments)

    def test_the_entrypoint_of_accelerate_without_a_recipe(self, capsys):
        said = the_error(train_main([]), capsys.readouterr().err)
        assert said.startswith("no recipe given; usage: accelerate launch --config_file launch/")

    @pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], []])
    def test_help_is_no_mistake(self, capsys, arguments):
        assert ner_dist(*arguments) == 0
        said = capsys.readouterr()
        assert "Usage" in said.out
        assert said.err == ""

    def test_only_one_rank_of_a_machine_tells_it(self, here, capsys, monkeypatch):
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert train_main(["none.yaml"]) == 2
        assert capsys.readouterr().err == ""


class TestRealProcesses:
    @pytest.mark.parametrize(
        ("module", "arguments", "said"),
        [
            ("ner_dist.cli", ["train", "recipe.yaml", "train.epoch=1"], "did you mean `train.epochs`?"),
            (
                "ner_dist.train",
                ["recipe.yaml", "labels=[LAW]"],
                "labels: the data has no type `LAW`; it has PER",
            ),
        ],
    )
    def test_exit_code_and_streams(self, here, module, arguments, said):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
        )
        assert said in the_error(done.returncode, done.stderr)
        assert done.stdout == ""
