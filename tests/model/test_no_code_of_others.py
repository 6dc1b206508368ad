"""Python code that comes with a model or a data set is never run, whatever is typed."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config, load_model
from ner_dist.model.tokenizer import load_tokenizer
from ner_dist.recipe import Model
from tests.conftest import REPOSITORY
from tests.encoders import make_encoder

CALLS = {"from_pretrained", "from_config", "load_dataset", "pipeline"}
"""Functions of transformers and datasets that can run code of what they load."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every such call of the package, with its place."""
    for path in sorted((REPOSITORY / "ner_dist").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in CALLS:
                yield f"{path.relative_to(REPOSITORY)}:{node.lineno}", node


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_call_forbids_it():
    found = dict(calls())
    assert len(found) >= 12
    for place, call in found.items():
        said = [word.value for word in call.keywords if word.arg == "trust_remote_code"]
        assert [ast.unparse(value) for value in said] == ["False"], place


def test_nothing_is_unpickled():
    for path in (REPOSITORY / "ner_dist").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text and "torch.load(" not in text, path


@pytest.fixture(scope="module")
def with_code(tmp_path_factory) -> Path:
    """A model of a kind of its own, with the Python code for it."""
    folder = make_encoder("bert", tmp_path_factory.mktemp("models") / "own")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass C: pass\nclass M: pass\n")
    return folder


def test_a_model_that_needs_code_is_refused_whatever_is_typed(with_code, monkeypatch):
    typed = io.StringIO("y\n" * 20)
    monkeypatch.setattr("sys.stdin", typed)
    with pytest.raises(UserError) as found:
        load_config(Model(name=str(with_code)))
    assert str(found.value) == (
        f"model.name: `{with_code}` needs Python code that comes with it, which ner_dist never runs; "
        "name an encoder of a kind that transformers itself knows, such as roberta-base"
    )
    assert typed.tell() == 0
    assert not (with_code / "ran").exists()


def test_a_known_model_ignores_its_code(tmp_path, monkeypatch):
    from ner_dist.labels import LabelSet

    folder = make_encoder("bert", tmp_path / "known")
    config = json.loads((folder / "config.json").read_text())
    own = {
        "AutoConfig": "own.C",
        "AutoModelForTokenClassification": "own.M",
        "AutoTokenizer": ["own.T", None],
    }
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": own}))
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    typed = io.StringIO("y\n" * 20)
    monkeypatch.setattr("sys.stdin", typed)
    settings = Model(name=str(folder))
    size = len(load_tokenizer(settings.name))
    load_model(settings, load_config(settings), LabelSet.from_types(["PER"]), seed=1, vocab_size=size)
    assert typed.tell() == 0
    assert not (folder / "ran").exists()
