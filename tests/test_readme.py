"""Every command in the README works: CI runs those for the demo, the others are parsed here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from typer.main import get_command

from ner_dist.cli import app
from ner_dist.recipe_file import load_recipe

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", README, flags=re.S) for line in block.splitlines()
]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def test_the_readme_has_commands_of_every_kind():
    assert {command.split()[0] for command in COMMANDS} == {"make", "accelerate", "ner-dist", "."}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make")])
def test_make_target_is_there_and_run_by_ci(command):
    assert re.search(rf"^{command.split()[1]}:", (REPOSITORY / "Makefile").read_text(), flags=re.M)
    assert f"\n{command}\n" in (REPOSITORY / ".ci/run").read_text()


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.startswith("accelerate launch")]
)
def test_launch_command_parses(command):
    words = launch_command_parser().parse_args(shlex.split(command)[2:])
    config = load_config_from_file(words.config_file)
    assert words.module and words.training_script == "ner_dist.train"
    recipe = load_recipe(words.training_script_args[0], words.training_script_args[1:])
    processes = words.num_processes or config.num_processes
    assert recipe.train.micro_batches >= processes, "some GPUs would idle"


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("ner-dist")])
def test_command_of_the_package_parses(command, capsys):
    _, name, *arguments = shlex.split(command)
    assert name in {registered.name for registered in app.registered_commands}
    if name in ("train", "prepare"):
        load_recipe(arguments[0], arguments[1:])
    elif name == "plan":
        get_command(app)([name, *arguments], standalone_mode=False)
        assert "take " in capsys.readouterr().out
    else:
        # Nothing to parse without a run: CI runs every line about the demo.
        assert "demo" in command


def test_ci_runs_the_commands_about_the_demo():
    pattern = re.search(r"grep -E '([^']+)' README\.md", (REPOSITORY / ".ci/run").read_text())[1]
    picked = [command for command in COMMANDS if re.search(pattern, command)]
    assert picked == [command for command in COMMANDS if "demo" in command and not command.startswith("make")]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (REPOSITORY / target).exists(), target


def test_every_launch_config_is_in_the_table():
    rows = "".join(re.findall(r"^\| `(.*)\|", README, flags=re.M))
    for path in (REPOSITORY / "launch").glob("*.yaml"):
        stem = path.stem
        assert stem in rows or f"{stem.rsplit('_', 1)[0]}_*" in rows, stem
