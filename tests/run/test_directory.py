"""A run's directory: locks, protection of earlier runs, and the record of how it was made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ner_dist import __version__
from ner_dist.errors import UserError
from ner_dist.files import check_folder, write_all, write_atomically
from ner_dist.recipe import Recipe
from ner_dist.recipe_file import load_recipe, to_yaml
from ner_dist.run import provenance
from ner_dist.run.directory import Run, find_run, read_results
from ner_dist.run.output import check_output, move_aside
from tests.conftest import REPOSITORY


def recipe(folder: Path | str, **changes) -> Recipe:
    values = {"name": "tiny", "output_dir": str(folder), "data": {"path": "synthetic"}}
    return Recipe.model_validate(values | changes)


def refused(settings: Recipe) -> str:
    with pytest.raises(UserError) as caught:
        check_output(settings)
    return str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path) -> Run:
    """A complete run of `recipe`, in `tmp_path/out`."""
    there = Run(tmp_path / "out")
    write_atomically(there.recipe, to_yaml(recipe(there.folder)))
    write_atomically(there.results, '{"test": {"f1": 0.5}}')
    write_atomically(there.model / "model.safetensors", "weights")
    return there


class TestCheckOutput:
    def test_a_new_or_empty_folder_is_free(self, tmp_path):
        assert check_output(recipe(tmp_path / "a" / "b")).run.folder == tmp_path / "a" / "b"
        assert check_output(recipe(tmp_path)).run.folder == tmp_path
        assert list(tmp_path.iterdir()) == [], "looking must not write"

    def test_the_same_recipe_s_run_is_gone_on_with(self, old):
        assert check_output(recipe(old.folder)).run.complete
        assert check_output(recipe(old.folder, logging={"every": 1}, checkpoint={"every": 7})).run.complete

    def test_another_recipe_s_run_is_refused_with_the_keys(self, old):
        before = contents(old.folder)
        message = refused(recipe(old.folder, train={"seed": 2, "epochs": 9}, labels=["PER"]))
        assert message == (
            f"output_dir {old.folder}: holds the run of another recipe "
            "(they differ in labels, train.epochs, train.seed); "
            "name another output_dir, or pass overwrite=true to move the old run aside"
        )
        assert contents(old.folder) == before

    def test_a_run_that_is_not_finished_can_be_finished_as_it_was_begun(self, old):
        old.results.unlink()
        old.metrics.write_text("{}\n")
        message = refused(recipe(old.folder, train={"seed": 2}))
        assert (
            f"to finish it with its own recipe, train {old.recipe}; otherwise name another output_dir"
            in message
        )
        assert check_output(load_recipe(old.recipe)).run == old

    def test_many_differing_keys_are_counted(self, old):
        many = {"seed": 2, "epochs": 9, "max_steps": 4, "weight_decay": 0.0, "layer_decay": 0.9}
        message = refused(recipe(old.folder, train=many))
        assert "train.epochs, train.layer_decay, train.max_steps, train.seed and 1 more)" in message

    def test_other_files_are_refused(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("all of it")
        assert "holds files that are not a run of ner_dist; name another output_dir" in refused(
            recipe(tmp_path)
        )
        assert contents(tmp_path) == {"thesis.tex": b"all of it"}

    @pytest.mark.parametrize(
        "names",
        [
            ["..holder.json.part", ".lock"],
            [".holder.json", ".lock", ".slurm.json.part"],
            [".holder.json", ".lock", ".recipe.yaml.part", "slurm.json", "checkpoints/"],
        ],
    )
    def test_what_a_run_leaves_that_is_killed_before_its_recipe_is_there_is_free(self, tmp_path, names):
        for name in names:
            (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("half")
        assert check_output(recipe(tmp_path)).earlier is None
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / "of_another_tool").write_text("")
        assert "holds files that are not a run of ner_dist" in refused(recipe(tmp_path))

    @pytest.mark.parametrize("damage", ["damaged", "missing"])
    def test_a_run_whose_recipe_cannot_be_read_knows_it_from_its_checkpoints(self, old, damage):
        old.recipe.write_text("name: [\n") if damage == "damaged" else old.recipe.unlink()
        checkpoint = old.checkpoints / "step-000004"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.json").write_text(json.dumps({"step": 4}))
        message = refused(recipe(old.folder))
        what = ":2: not valid YAML" if damage == "damaged" else ": is missing"
        assert message.startswith(f"{old.recipe}{what}")
        assert "; copy the recipe there that it was trained with, or pass overwrite=true" in message
        write_atomically(old.recipe, to_yaml(recipe(old.folder)))
        assert not check_output(recipe(old.folder)).moves_aside, "the one remedy works"
        old.recipe.write_text("name: [\n")
        assert check_output(recipe(old.folder, overwrite=True)).moves_aside, "the other remedy works"
        state = {"step": 4, "recipe": recipe(old.folder).model_dump(mode="json")}
        (checkpoint / "state.json").write_text(json.dumps(state))
        assert check_output(recipe(old.folder)).earlier == recipe(old.folder)
        assert "they differ in train.seed" in refused(recipe(old.folder, train={"seed": 2}))
        old.recipe.write_text("name: tiny\noutput_dir: out\ndata: {path: elsewhere}\n")
        assert check_output(recipe(old.folder)).earlier == recipe(old.folder), (
            "cut short, it is a recipe still"
        )

    def test_overwrite_allows_but_does_not_touch(self, old):
        before = contents(old.folder)
        assert check_output(recipe(old.folder, overwrite=True, labels=["PER"])).run.folder == old.folder
        assert contents(old.folder) == before

    @pytest.mark.parametrize("name", [".", "..", "../out"])
    def test_the_current_directory_is_not_moved_away(self, old, monkeypatch, name):
        (old.folder / "inside").mkdir()
        monkeypatch.chdir(old.folder / "inside" if name == ".." else old.folder)
        message = refused(recipe(name, overwrite=True))
        assert message.startswith(f"output_dir {name}: holds the current directory, so it cannot be moved")

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "file").write_text("")
        assert refused(recipe(tmp_path / "file")) == (
            f"output_dir {tmp_path}/file: is a file; name another folder"
        )
        below = refused(recipe(tmp_path / "file" / "a" / "b", overwrite=True))
        assert below.endswith(f"file/a/b: lies below {tmp_path}/file, which is a file; name another folder")


class TestCheckFolder:
    @pytest.fixture
    def read_only(self, tmp_path):
        """A folder that may not be written to: by its mode, or for root, whom no mode stops, by its mount."""
        folder = tmp_path / "read_only"
        folder.mkdir()
        if os.geteuid() != 0:
            folder.chmod(0o555)
            yield folder
            folder.chmod(0o755)
            return
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True
        ).returncode:
            pytest.skip("this root may not mount")
        yield folder
        subprocess.run(["umount", folder], check=True)

    @pytest.mark.parametrize("name", ["", "new", "new/deeper"])
    def test_a_read_only_folder(self, read_only, name):
        with pytest.raises(UserError, match=f"cannot be written to: no permission in {read_only}"):
            check_folder(read_only / name, where="output_dir")

    @pytest.mark.parametrize("name", ["", "new", "new/deeper"])
    def test_the_system_is_asked_about_the_nearest_folder_there_is(self, tmp_path, monkeypatch, name):
        asked = []
        monkeypatch.setattr(os, "access", lambda path, mode: bool(asked.append(path)))
        with pytest.raises(UserError, match=f"--out .*: cannot be written to: no permission in {tmp_path}"):
            check_folder(tmp_path / name, where="--out")
        assert asked == [tmp_path]

    def test_a_relative_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        check_folder(Path("new/deeper"), where="--out")
        Path("file").write_text("")
        with pytest.raises(UserError, match="--out file: is a file"):
            check_folder(Path("file"), where="--out")
        with pytest.raises(UserError, match="--out file/new: lies below file, which is a file"):
            check_folder(Path("file/new"), where="--out")


class TestMoveAside:
    def test_runs_are_numbered_and_keep_every_byte(self, old):
        before = contents(old.folder)
        assert move_aside(old) == old.folder.with_name("out.old-1")
        assert not old.folder.exists()
        write_atomically(old.recipe, "second")
        assert move_aside(old) == old.folder.with_name("out.old-2")
        assert contents(old.folder.with_name("out.old-1")) == before
        assert contents(old.folder.with_name("out.old-2")) == {"recipe.yaml": b"second"}

    def test_a_gap_in_the_numbers_hides_nothing(self, old):
        taken = old.folder.with_name("out.old-2")
        taken.mkdir()
        assert move_aside(old) == old.folder.with_name("out.old-1")
        write_atomically(old.recipe, "second")
        assert move_aside(old) == old.folder.with_name("out.old-3")
        assert contents(taken) == {}

    def test_there_is_nothing_to_move(self, tmp_path):
        assert move_aside(Run(tmp_path / "none")) is None
        (tmp_path / "empty").mkdir()
        assert move_aside(Run(tmp_path / "empty")) is None
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]


class TestFindRun:
    def test_a_complete_run(self, old):
        assert find_run(str(old.folder)) == old
        assert read_results(old) == {"test": {"f1": 0.5}}

    def test_no_run(self, tmp_path):
        with pytest.raises(UserError, match="none: there is no such run; name the output directory"):
            find_run(tmp_path / "none")

    def test_an_incomplete_run(self, old):
        old.results.unlink()
        with pytest.raises(UserError, match=r"holds no complete run \(results.json is missing\); train it"):
            find_run(old.folder)

    def test_damaged_results(self, old):
        old.results.write_text('{"test": ')
        with pytest.raises(UserError, match=r"out/results\.json: cannot be read: Expecting value"):
            read_results(old)


class TestWriteAtomically:
    def test_folders_are_made_and_files_replaced(self, tmp_path):
        path = tmp_path / "a" / "b.json"
        write_atomically(path, "é\n")
        write_atomically(path, "new")
        assert contents(tmp_path) == {"a/b.json": b"new"}

    def test_a_failure_leaves_the_old_file_whole(self, tmp_path, monkeypatch):
        path = tmp_path / "results.json"
        write_atomically(path, "old")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, "new")
        assert contents(tmp_path) == {"results.json": b"old"}
        monkeypatch.undo()
        write_atomically(path, "new")
        assert contents(tmp_path) == {"results.json": b"new"}

    def test_files_that_belong_together_are_written_together_or_not_at_all(self, tmp_path):
        paths = [tmp_path / name for name in ("compare.json", "report.md", "report.html")]
        write_all(dict.fromkeys(paths, "old"))
        paths[1].unlink()
        paths[1].mkdir()
        with pytest.raises(OSError, match=r"report\.md"):
            write_all(dict.fromkeys(paths, "new"))
        assert contents(tmp_path)["compare.json"] == b"old"
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)

    def test_the_text_is_on_disk_before_it_gets_its_name(self, tmp_path, monkeypatch):
        path = tmp_path / "results.json"
        synced = []
        monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.exists()))
        write_atomically(path, "text")
        assert synced == [False]


class TestWriteRecipe:
    @pytest.fixture
    def written(self, tmp_path, monkeypatch) -> dict:
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/ner-dist", "train", "a.yaml", "train.seed=3"])
        there = Run(tmp_path / "out")
        settings = recipe(there.folder, train={"seed": 3})
        provenance.write_recipe(there, settings, world={"processes": 2, "strategy": "DDP"}, fingerprint="abc")
        assert load_recipe(there.recipe) == settings
        assert check_output(settings).run == there
        return yaml.safe_load(there.recipe.read_text())

    def test_every_key_is_resolved(self, written):
        assert written["train"]["seed"] == 3
        assert written["train"]["learning_rate"] == "auto"
        assert written["model"]["scratch"]["layers"] == 2

    def test_what_it_was_made_with(self, written):
        made = written["provenance"]
        assert made["packages"]["ner_dist"] == __version__
        assert {"torch", "transformers", "accelerate", "tokenizers", "numpy"} <= made["packages"].keys()
        assert made["python"] == ".".join(map(str, sys.version_info[:3]))
        assert (made["processes"], made["strategy"], made["data_fingerprint"]) == (2, "DDP", "abc")
        assert made["command"] == ["ner-dist", "train", "a.yaml", "train.seed=3"]
        assert made["started"].endswith("+00:00")

    @pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a git checkout")
    def test_the_commit_of_the_source(self, written):
        def git(*words: str) -> str:
            done = subprocess.run(["git", *words], cwd=REPOSITORY, check=True, capture_output=True, text=True)
            return done.stdout.strip()

        commit, _, changed = written["provenance"]["git_commit"].partition("-")
        assert commit == git("rev-parse", "HEAD")
        assert changed == ("dirty" if git("status", "--porcelain", "--", "ner_dist") else "")

    def test_no_commit_outside_a_checkout(self, tmp_path, monkeypatch):
        monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        there = Run(tmp_path / "out")
        provenance.write_recipe(there, recipe(there.folder), world={}, fingerprint="")
        assert yaml.safe_load(there.recipe.read_text())["provenance"]["git_commit"] is None

    def test_a_package_that_is_not_installed_is_left_out(self, monkeypatch):
        monkeypatch.setattr(provenance, "_PACKAGES", ("numpy", "no-such-package"))
        assert provenance.package_versions().keys() == {"ner_dist", "numpy"}
