"""Fuzzing that follows the coverage of the readers, for a bounded time."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.data.hostile import seeds

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="pip install atheris"),
]
SECONDS = 120
FUZZ = """
import sys, tempfile
from pathlib import Path
import atheris
with atheris.instrument_imports(include=["ner_dist.data"]):
    import ner_dist.data.sources
from tests.data.hostile.reading import check, read, read_annotated
name = sys.argv.pop()
folder = Path(tempfile.mkdtemp())

def one(contents):
    if name == "a.ann":
        text, _, annotations = contents.partition(b"\\0")
        check(read_annotated(folder, text, annotations), folder)
        return
    path = folder / name
    path.write_bytes(contents)
    check(read(path), folder)

atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""
CORPORA = {
    "words.conll": [seeds.TEXTS[name] for name in ("words.conll", "words.conllu", "brackets.conll")],
    "rows.jsonl": [seeds.TEXTS[name] for name in ("rows.jsonl", "doccano.jsonl", "prodigy.jsonl")],
    "a.ann": [f"{seeds.TEXT}\0{seeds.ANN}"],
}
"""Inputs to begin with; a text and its annotations are joined by NUL."""


@pytest.mark.parametrize("name", CORPORA)
def test_no_input_is_a_crash(tmp_path, name):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, text in enumerate(CORPORA[name]):
        (corpus / str(number)).write_text(text, encoding="utf-8")
    options = [
        f"-max_total_time={SECONDS}",
        "-max_len=4096",
        f"-artifact_prefix={tmp_path}/",
        "-rss_limit_mb=4096",
    ]
    command = [sys.executable, "-c", FUZZ, *options, str(corpus), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done" in done.stderr
