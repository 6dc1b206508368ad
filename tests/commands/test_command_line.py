"""The command line as a whole: version, completion, help texts, and errors of wrong calls."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command

import ner_dist as package
from ner_dist.cli import app
from tests.command_line import ner_dist

COMMANDS = dict(sorted(get_command(app).commands.items()))
TEXTS = {
    f"{name} {parameter.name}": parameter.help
    for name, command in COMMANDS.items()
    for parameter in command.params
    if parameter.name != "help"
}


def test_version(capsys):
    assert ner_dist("--version") == 0
    assert capsys.readouterr().out == f"ner-dist {package.__version__}\n"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_help_of_an_option_is_a_sentence_of_its_own(text):
    assert re.match(r"[A-Z`]", text) and text.endswith("."), text
    assert len(text.split()) > 2 or text in ("Split to score.",), text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(capsys, name):
    assert ner_dist(name, "--help") == 0
    said = capsys.readouterr().out
    assert f"{name} [OPTIONS]" in said and re.search(r"^ [A-Z][a-z]+ ", said, flags=re.M)


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan"],
        ["plan", "recipe.yaml", "--gpus"],
        ["plan", "recipe.yaml", "--gpus", "many"],
        ["plan", "recipe.yaml", "--unknown"],
        ["plan", "recipe.yaml", "--measure"],
    ],
)
def test_a_wrong_call_is_sent_to_the_help_of_its_command(capsys, arguments):
    assert ner_dist(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.endswith("; see ner-dist plan --help\n")


@pytest.mark.parametrize("arguments", [["plam"], ["--unknown"], ["--version=3"]])
def test_a_wrong_command_is_sent_to_the_help_of_all(capsys, arguments):
    assert ner_dist(*arguments) == 2
    assert capsys.readouterr().err.endswith("; see ner-dist --help\n")


def test_words_are_completed():
    asked = {"_NER_DIST_COMPLETE": "complete_bash", "COMP_WORDS": "ner-dist laun", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['ner-dist']; from ner_dist.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["launch-help"]


def test_help_needs_no_library_but_typer():
    code = (
        "import sys; sys.argv = ['ner-dist', '--help']\n"
        "from ner_dist.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic', 'yaml', 'pyarrow', 'matplotlib'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
