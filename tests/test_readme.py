"""Every command in the README and in docs/ works: CI runs those for the demo, the others are checked here."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from typer.main import get_command

from ner_dist.cli import app
from ner_dist.launch import LaunchConfig
from ner_dist.recipe_file import load_recipe

REPOSITORY = Path(__file__).parents[1]
PAGES = {path.name: path for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))}
README = PAGES["README.md"].read_text()

# What `ner-dist convert` is shown with, by ending.
SOURCES = {
    ".json": (REPOSITORY / "tests/data/formats/files/label_studio.json").read_bytes(),
    ".conll": b"Ada\tB-PER\nslept\tO\n",
    ".jsonl": b'{"tokens": ["Ada", "slept"], "gold": ["B-PER", "O"], "predicted": ["O", "B-PER"]}\n',
}


def commands_of(page: Path) -> list[str]:
    """The lines of its shell blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.S)
    return [line for block in blocks for line in block.splitlines()]


COMMANDS = list(dict.fromkeys(command for page in PAGES.values() for command in commands_of(page)))


def beginning(*words: str) -> list[str]:
    return [command for command in COMMANDS if command.startswith(words)]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def test_the_readme_has_commands_of_every_kind():
    assert {command.split()[0] for command in COMMANDS} == {
        "make",
        "accelerate",
        "ner-dist",
        "sbatch",
        "curl",
        ".",
    }


@pytest.mark.parametrize("command", beginning("make"))
def test_make_target_is_there_and_run_by_ci(command):
    assert re.search(rf"^{command.split()[1]}:", (REPOSITORY / "Makefile").read_text(), flags=re.M)
    assert f"\n{command}\n" in (REPOSITORY / ".ci/run").read_text()


@pytest.mark.parametrize("command", beginning("accelerate launch"))
def test_launch_command_parses(command):
    words = launch_command_parser().parse_args(shlex.split(command)[2:])
    config = load_config_from_file(words.config_file)
    assert words.module and words.training_script == "ner_dist.train"
    recipe = load_recipe(words.training_script_args[0], words.training_script_args[1:])
    processes = words.num_processes or config.num_processes
    assert recipe.train.micro_batches >= processes, "some GPUs would idle"


@pytest.mark.parametrize("command", beginning("sbatch"))
def test_submission_suits_its_launch_config(command):
    words = shlex.split(command)[1:]
    script = next(word for word in words if word.endswith(".sbatch"))
    assert (REPOSITORY / script).exists()
    options = dict(word.removeprefix("--").split("=") for word in words[: words.index(script)])
    nodes, gpus = int(options.get("nodes", 1)), int(options["gpus-per-node"])
    recipe, *arguments = words[words.index(script) + 1 :]
    if arguments[:1] == ["--launch-config"]:
        LaunchConfig.read(arguments[1]).check(machines=nodes, per_machine=gpus, gpus=gpus)
        arguments = arguments[2:]
    assert load_recipe(recipe, arguments).train.micro_batches >= nodes * gpus, "some GPUs would idle"


@pytest.mark.parametrize("command", beginning("ner-dist new"))
def test_a_recipe_for_own_data_is_written_and_is_the_one_that_is_trained_next(command, capsys, tmp_path):
    command, _, target = command.partition(" > ")
    _, _, data, *options = shlex.split(command)
    shutil.copytree(REPOSITORY / "tests/cases/unseen_label", tmp_path / data)
    get_command(app)(["new", str(tmp_path / data), *options], standalone_mode=False)
    (tmp_path / target).write_text(capsys.readouterr().out)
    assert load_recipe(tmp_path / target).data.path == str(tmp_path / data)
    assert f"ner-dist train {target}" in COMMANDS


@pytest.mark.parametrize("command", [each for each in beginning("ner-dist") if " > " not in each])
def test_command_of_the_package_works(command, capsys, tmp_path):
    _, name, *arguments = shlex.split(command)
    ner_dist = get_command(app)
    assert name in {registered.name for registered in app.registered_commands}
    if name in ("train", "prepare"):
        context = ner_dist.commands[name].make_context(name, list(arguments))
        given = context.params
        if any(each.endswith(f"> {given['recipe']}") for each in COMMANDS):
            return  # it is written by another command of the page
        recipe = load_recipe(given["recipe"], given["overrides"])
        if processes := given.get("processes"):
            assert recipe.train.micro_batches >= processes, "some GPUs would idle"
        if config := given.get("launch_config"):
            assert load_config_from_file(config)
    elif name in ("plan", "launch-help"):
        ner_dist([name, *arguments], standalone_mode=False)
        assert {"plan": "take ", "launch-help": "accelerate launch "}[name] in capsys.readouterr().out
    elif name == "slurm":
        ner_dist([name, *arguments, "--dry-run"], standalone_mode=False)
        assert "launch/slurm/train.sbatch" in capsys.readouterr().out
    elif name == "convert":
        source, target, *options = arguments
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_bytes(SOURCES[Path(source).suffix])
        ner_dist([name, str(tmp_path / source), str(tmp_path / target), *options], standalone_mode=False)
        assert (tmp_path / target).stat().st_size > 100
    elif name == "status":
        (folder,) = arguments
        assert any(folder in other for other in beginning("ner-dist slurm"))
    else:
        # Nothing to work on without a run: CI runs every line about the demo.
        assert "demo" in command
        ner_dist.commands[name].make_context(name, list(arguments))


def test_ci_runs_the_commands_about_the_demo():
    pattern = re.search(r"grep -E '([^']+)' README\.md", (REPOSITORY / ".ci/run").read_text())[1]
    commands = commands_of(PAGES["README.md"])
    picked = [command for command in commands if re.search(pattern, command)]
    assert picked == [command for command in commands if "demo" in command and not command.startswith("make")]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", re.sub(r"\s+", " ", text)):
        name, _, anchor = target.partition("#")
        led_to = page.parent / name if name else page
        assert led_to.exists(), target
        assert not anchor or anchor in _anchors(led_to), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_launch_config_is_in_the_table():
    rows = "".join(re.findall(r"^\| `(.*)\|", README, flags=re.M))
    for path in (REPOSITORY / "launch").glob("*.yaml"):
        stem = path.stem
        assert stem in rows or f"{stem.rsplit('_', 1)[0]}_*" in rows, stem
