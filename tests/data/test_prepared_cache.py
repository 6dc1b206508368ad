"""A prepared cache is used only if every byte is as it was written; else it is prepared again.

What befalls a cache: power cuts, full disks, cleaners of scratch space, kills, and other jobs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ner_dist.data.checksums import CHECKSUMS, fault_in
from ner_dist.data.prepare import prepare
from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config
from tests import small
from tests.command_line import ner_dist

SYNTHETIC = ["data.synthetic.train=60", "data.synthetic.validation=9", "data.synthetic.test=9"]
LINES = "Ann B-PER\nsaw O\nRome B-LOC\n\nRome B-LOC\nis O\nold O\n\n"


def flipped(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 4
    path.write_bytes(content)


def replaced(path: Path, how) -> None:
    path.unlink()
    how(path)


DAMAGES = {
    "cut to nothing": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte less": lambda path: os.truncate(path, path.stat().st_size - 1),
    "first bit": lambda path: flipped(path, 0),
    "bit in the middle": lambda path: flipped(path, 0.5),
    "bit near the end": lambda path: flipped(path, 0.99),
    "removed": Path.unlink,
    "a folder": lambda path: replaced(path, Path.mkdir),
    "a symlink loop": lambda path: replaced(path, lambda it: it.symlink_to(it.name)),
    "a pipe": lambda path: replaced(path, os.mkfifo),
}


def recipe(folder: Path, *overrides: str):
    return small.recipe(folder, f"data.cache_dir={folder / 'cache'}", *SYNTHETIC, *overrides)


def prepared(settings, **more):
    return prepare(settings, load_config(settings.model), **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """A recipe, the folder of its prepared data, and all that is in it."""
    settings = recipe(tmp_path_factory.mktemp("prepared"))
    folder = prepared(settings).folder
    return settings, folder, contents(folder)


FILES = ["meta.json", CHECKSUMS, "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"]
FILES += [
    f"{split}/{name}"
    for split in ("train", "validation", "test")
    for name in (
        *("tokens.arrow", "tags.npy", "offsets.npy"),
        *("input_ids.npy", "example_offsets.npy", "word_index.npy", "sentence.npy"),
    )
]


def test_the_damages_below_are_done_to_every_file(cached):
    assert sorted(cached[2]) == sorted(FILES)


@pytest.mark.parametrize("how", DAMAGES)
def test_every_damage_to_every_file_is_found(cached, how, tmp_path):
    for name in FILES:
        folder = tmp_path / name.replace("/", "-")
        shutil.copytree(cached[1], folder)
        assert fault_in(folder) is None
        DAMAGES[how](folder / name)
        fault = fault_in(folder)
        assert fault is not None and (name in fault or name == CHECKSUMS)


SAMPLE = [
    *(("train/input_ids.npy", "cut to nothing"), ("meta.json", "removed"), ("tokenizer", "removed")),
    *(("test/tokens.arrow", "bit in the middle"), (CHECKSUMS, "a symlink loop"), ("train", "a folder")),
]


@pytest.mark.parametrize(("name", "how"), SAMPLE)
def test_a_damaged_cache_is_prepared_again_and_says_so_once(cached, name, how, log_lines):
    settings, folder, before = cached
    whole = folder / name
    if whole.is_dir():
        shutil.rmtree(whole)
        if how == "a folder":
            whole.mkdir()
    else:
        DAMAGES[how](whole)
    data = prepared(settings)
    assert [line for line in log_lines if "preparing the data again" in line] == [log_lines[0]]
    assert data.just_made and data.folder == folder
    assert contents(folder) == before
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.lock"]
    assert not prepared(settings).just_made


def test_what_a_cleaner_of_scratch_space_leaves_is_prepared_again(cached):
    settings, folder, before = cached
    for path in list(folder.rglob("*.npy")):
        path.unlink()
    prepared(settings)
    assert contents(folder) == before


@pytest.mark.parametrize("kind", ["file", "link", "empty folder"])
def test_anything_else_in_the_place_of_the_cache_is_replaced(cached, kind):
    settings, folder, before = cached
    shutil.rmtree(folder)
    {"file": Path.touch, "link": lambda it: it.symlink_to(it.name), "empty folder": Path.mkdir}[kind](folder)
    prepared(settings)
    assert contents(folder) == before


def test_a_rank_whose_neighbour_has_checked_the_cache_does_not_read_it_again(cached):
    settings, folder, _ = cached
    flipped(folder / "train" / "tags.npy", 0.99)
    assert not prepared(settings, check=False).just_made
    assert prepared(settings).just_made


def killed(settings, *, after: int, split: str = "train") -> None:
    """Prepare in a process that is killed after some parts of a split; five sentences are a part."""
    if (child := os.fork()) == 0:
        from ner_dist.data import encoded_files, encoding, prepared_files

        encoding.PART = prepared_files.PART = 5
        encoded_files.SAVE_EVERY = 2
        append = encoded_files.EncodedFiles.append

        def deadly(self, *arguments, **more):
            append(self, *arguments, **more)
            if self.folder.name == split and self._parts == after:
                os.kill(os.getpid(), signal.SIGKILL)

        encoded_files.EncodedFiles.append = deadly
        prepared(settings)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(("split", "after"), [("train", 1), ("train", 5), ("validation", 1)])
def test_a_killed_preparation_goes_on_where_it_was(tmp_path, cached, split, after, log_lines, monkeypatch):
    settings = recipe(tmp_path)
    killed(settings, after=after, split=split)
    monkeypatch.setattr("ner_dist.data.encoding.PART", 5)
    monkeypatch.setattr("ner_dist.data.prepared_files.PART", 5)
    assert contents(prepared(settings).folder) == cached[2]
    done = {("train", 1): None, ("train", 5): 20, ("validation", 1): 60}[split, after]
    already = [line for line in log_lines if "tokenised already" in line]
    assert already == ([] if done is None else [f"train: {done} sentences are tokenised already"])
    assert [path.name for path in tmp_path.joinpath("cache").iterdir()] == ["prepared"]
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 2


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_threads_makes_no_difference(tmp_path, cached, workers):
    settings = recipe(tmp_path)
    command = [sys.executable, "-m", "ner_dist.cli", "prepare", str(tmp_path / "tiny.yaml"), *SYNTHETIC]
    command += [f"output_dir={tmp_path / 'run'}", f"data.cache_dir={tmp_path / 'cache'}"]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "true"}
    subprocess.run([*command, "--workers", str(workers)], env=environment, check=True)
    made = prepared(settings)
    assert not made.just_made and contents(made.folder) == cached[2]


def test_what_was_written_of_other_words_is_not_gone_on_with(tmp_path, cached):
    settings = recipe(tmp_path)
    killed(settings, after=5)
    part = next((tmp_path / "cache" / "prepared").glob(".*.part"))
    note = part / "train" / "progress.json"
    note.write_text(note.read_text().replace('"of": "', '"of": "x'))
    (part / "train" / "repeat_of.npy").touch()
    (part / "details.txt").touch()
    assert contents(prepared(settings).folder) == cached[2]


def test_a_job_goes_on_when_the_one_that_prepares_is_killed(tmp_path, cached):
    settings = recipe(tmp_path)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        from ner_dist.data import prepared_files

        def wait(*_, **__):
            os.write(writer, b"x")
            signal.pause()

        prepared_files.write_checksums = wait
        prepared(settings)
        os._exit(1)
    os.read(reader, 1)
    if (second := os.fork()) == 0:
        os._exit(0 if prepared(settings).just_made else 1)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 0
    assert contents(prepared(settings).folder) == cached[2]


def without_source(tmp_path):
    """A recipe whose data was prepared, damaged and cannot be read again, and the prepared folder."""
    (tmp_path / "train.conll").write_text(LINES)
    settings = recipe(
        tmp_path, f"data.path={tmp_path}", "data.splits.validation=null", "data.splits.test=null"
    )
    folder = prepared(settings).folder
    os.truncate(folder / "train" / "tags.npy", 100)
    return settings, folder


def test_without_its_source_a_damaged_cache_is_one_line_that_names_the_folder(tmp_path, monkeypatch):
    settings, folder = without_source(tmp_path)
    left = contents(folder)

    def gone(*_, **__):
        raise UserError("the hub cannot be reached", where="data.path")

    monkeypatch.setattr("ner_dist.data.sources.load_corpus", gone)
    with pytest.raises(UserError) as error:
        prepared(settings)
    assert str(error.value) == (
        f"{folder}: train/tags.npy is damaged, and the data cannot be prepared again (data.path: the hub "
        "cannot be reached); remove this folder, or name another data.cache_dir"
    )
    assert contents(folder) == left


def as_another_user() -> None:
    """Take root's power to read and write everything from this process: the modes of files count then."""
    libc, header = ctypes.CDLL(None, use_errno=True), struct.pack("Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    words = list(struct.unpack("6I", data.raw))
    words[0], words[1] = words[0] & ~0b110, words[1] & ~0b110
    assert libc.capset(header, struct.pack("6I", *words)) == 0


def in_child(work) -> str:
    """The text that `work` returns in a process of its own, without root's powers."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            as_another_user()
            os.write(write, str(work()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes a Linux process its capabilities")
class TestOfAnotherUser:
    def test_a_file_that_may_not_be_read_is_prepared_again(self, tmp_path):
        settings = recipe(tmp_path)
        folder = prepared(settings).folder
        before = contents(folder)
        (folder / "train" / "tags.npy").chmod(0)
        assert in_child(lambda: prepared(settings).just_made) == "True"
        assert contents(folder) == before

    def test_a_damaged_cache_that_may_not_be_replaced_is_one_line(self, tmp_path):
        settings = recipe(tmp_path)
        folder = prepared(settings).folder
        flipped(folder / "meta.json", 0.5)
        Path(f"{folder}.lock").chmod(0o666)
        folder.parent.chmod(0o555)
        assert in_child(lambda: prepared(settings)) == (
            f"UserError: {folder}: meta.json is damaged, and it cannot be replaced: Permission denied; "
            "remove this folder, or name another data.cache_dir"
        )

    def test_a_sound_cache_of_another_user_is_used(self, tmp_path):
        settings = recipe(tmp_path)
        folder = prepared(settings).folder
        Path(f"{folder}.lock").chmod(0)
        folder.parent.chmod(0o555)
        assert in_child(lambda: prepared(settings).just_made) == "False"


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a file system with room for some kB, or changes its size."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def size(kilobytes: int) -> Path:
        option = f"{'remount,' * disk.is_mount()}size={kilobytes}k"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", disk], capture_output=True)
        if done.returncode:
            pytest.skip("a small file system cannot be mounted: that needs root")
        return disk

    yield size
    subprocess.run(["umount", "--lazy", disk], capture_output=True)


@pytest.mark.parametrize("place", ["/proc/x", "{}/tiny.yaml/below"])
def test_a_folder_that_cannot_be_is_one_line(tmp_path, capsys, place):
    recipe(tmp_path)
    folder = place.format(tmp_path)
    assert ner_dist("prepare", str(tmp_path / "tiny.yaml"), f"data.cache_dir={folder}", *SYNTHETIC) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: data.cache_dir {folder}")


SIZES = [8, 60, 120]
MORE_SIZES = [4, 20, 40, 80, 100, 110, 130, 140]


@pytest.mark.parametrize(
    "room", [*SIZES, *(pytest.param(size, marks=pytest.mark.soak) for size in MORE_SIZES)]
)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(small_disk, room, tmp_path, cached, capsys):
    disk = small_disk(room)
    settings = recipe(tmp_path)
    command = ["prepare", str(tmp_path / "tiny.yaml"), f"output_dir={tmp_path / 'run'}", *SYNTHETIC]
    code = ner_dist(*command, f"data.cache_dir={disk}")
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1
    assert str(disk / "prepared") in lines[0] and os.strerror(errno.ENOSPC) in lines[0]
    left = [path for path in disk.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not left
    small_disk(4000)
    assert ner_dist(*command, f"data.cache_dir={disk}") == 0
    made = prepared(
        settings.model_copy(update={"data": settings.data.model_copy(update={"cache_dir": str(disk)})})
    )
    assert contents(made.folder) == cached[2]
