"""Files of a complete run are checked where they are read."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ner_dist.errors import UserError
from ner_dist.run.checksums import SUMS, check, check_model, damage, write_checksums

RESULTS = '{"name": "tiny"}\n'


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    for name in ("model/model.safetensors", "model/config.json", "model/README.md", "predictions/test.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    write_checksums(folder, RESULTS)
    (folder / "results.json").write_text(RESULTS)
    return folder


def test_sha256sum_agrees(run):
    done = subprocess.run(["sha256sum", "-c", SUMS], cwd=run, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == 4


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/config.json", "results.json"])
def test_one_flipped_bit_is_one_line_that_names_the_file(run, name):
    content = bytearray((run / name).read_bytes())
    content[3] ^= 4
    (run / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: differs from its checksum"):
        check_model(run)
    assert damage(run) is not None


def test_only_what_is_read_is_checked(run):
    (run / "predictions/test.jsonl").write_text("other")
    check(run, "results.json")
    check_model(run)
    with pytest.raises(UserError, match=r"test\.jsonl: differs"):
        check(run, "predictions/test.jsonl")


def test_the_card_may_be_edited_and_files_added(run):
    (run / "model/README.md").write_text("my own words")
    (run / "report.html").write_text("<p>")
    assert damage(run) is None


@pytest.mark.parametrize("named", ["run", "run/model"])
def test_a_model_is_checked_under_either_name(run, named):
    (run / "model/config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json: is missing"):
        check_model(run.parent / named)


def test_a_moved_run_and_a_copied_model_are_read(run, tmp_path):
    moved = shutil.move(run, tmp_path / "elsewhere")
    check_model(moved)
    copied = shutil.copytree(moved / "model", tmp_path / "model")
    (copied / "model.safetensors").write_text("trained further and saved by another tool")
    check_model(copied)


def test_a_run_of_an_older_version_is_not_checked(run):
    (run / SUMS).unlink()
    (run / "model/config.json").write_text("other")
    check_model(run)


@pytest.mark.parametrize("text", ["", "0" * 64, "not sums\n", None])
def test_damaged_sums_are_no_sums(run, text):
    (run / SUMS).write_text((run / SUMS).read_text()[:-7] if text is None else text)
    with pytest.raises(UserError, match="SHA256SUMS: cannot be read"):
        check(run)


def test_the_remedy_is_one_that_there_is(run):
    (run / "results.json").write_text("{")
    assert "train again with resume=never; if the change is meant, delete its line" in str(damage(run))
    (run / "checkpoints/step-000006").mkdir(parents=True)
    assert "repeat the command that trained it" in str(damage(run))
