"""A folder of tensors is complete or missing, and damage is detected."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from ner_dist.errors import UserError
from ner_dist.training import checkpoint_files
from ner_dist.training.checkpoint_files import CheckpointReader, CheckpointWriter, find_corruption

TENSORS = {
    "weight/a": torch.arange(12.0).reshape(3, 4),
    "weight/b": torch.full((5,), float("nan")),
    "exp_avg/a": torch.randn(2, 3).to(torch.bfloat16),
    "weight/scalar": torch.tensor(2.5),
    "weight/empty": torch.empty(0, 4),
}


def write(folder: Path, tensors=TENSORS, *, state=None, **options) -> CheckpointWriter:
    """Write a folder and wait until it is there."""
    writer = CheckpointWriter(folder, **options)
    for name, tensor in tensors.items():
        writer.add(name, tensor)
    writer.finish(state or {"step": 3}, then=lambda writer: None).result()
    return writer


@pytest.fixture
def folder(tmp_path) -> Path:
    """A sound folder of several shards."""
    folder = tmp_path / "step-000003"
    assert write(folder, shard_bytes=60).error is None
    assert len(list(folder.glob("tensors-*"))) > 1
    return folder


def test_what_was_written_is_read_back_in_fp32(folder):
    saved = CheckpointReader(folder)
    assert saved.state == {"step": 3}
    assert "weight/a" in saved and "weight/c" not in saved
    for name, tensor in TENSORS.items():
        assert saved.tensor(name).dtype == torch.float32
        torch.testing.assert_close(saved.tensor(name), tensor.float(), rtol=0, atol=0, equal_nan=True)
    assert saved.weights().keys() == {"a", "b", "scalar", "empty"}


def test_the_files_are_what_others_tools_read(folder):
    """safetensors' own reader, and sha256sum."""
    read = {}
    for path in folder.glob("*.safetensors"):
        read |= load_file(path)
    assert read.keys() == TENSORS.keys()
    subprocess.run(["sha256sum", "--check", "--quiet", checkpoint_files.SUMS], cwd=folder, check=True)


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=12), limit=st.integers(1, 200))
def test_no_shard_is_larger_than_allowed_unless_one_tensor_is(tmp_path_factory, sizes, limit):
    folder = tmp_path_factory.mktemp("shards") / "f"
    tensors = {f"weight/{i}": torch.full((size,), float(i)) for i, size in enumerate(sizes)}
    write(folder, tensors, shard_bytes=limit)
    for path in folder.glob("*.safetensors"):
        held = load_file(path)
        assert len(held) == 1 or sum(each.nbytes for each in held.values()) <= limit
    assert all(torch.equal(CheckpointReader(folder).tensor(name), tensor) for name, tensor in tensors.items())
    shutil.rmtree(folder)


def test_training_may_change_a_tensor_that_was_handed_over(tmp_path):
    tensor = torch.ones(4)
    writer = CheckpointWriter(tmp_path / "f")
    writer.add("weight/a", tensor)
    tensor.zero_()
    writer.finish({"step": 1}, then=lambda writer: None).result()
    assert CheckpointReader(tmp_path / "f").tensor("weight/a").tolist() == [1, 1, 1, 1]


def test_nothing_stands_in_the_folders_place_before_it_is_complete(tmp_path):
    folder = tmp_path / "f"
    writer = CheckpointWriter(folder, shard_bytes=4)
    writer.add("weight/a", torch.ones(4))
    writer.add("weight/b", torch.ones(4))
    assert not folder.exists() and [path.name for path in tmp_path.iterdir()] == [".f.part"]


FILES = [
    "tensors-00001.safetensors",
    "tensors-00002.safetensors",
    checkpoint_files.STATE,
    checkpoint_files.SUMS,
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["cut", "cut to nothing", "flipped first", "flipped last", "removed"])
def test_any_damage_to_any_file_is_found_and_named(folder, name, how):
    assert find_corruption(folder) is None
    path = folder / name
    content = bytearray(path.read_bytes())
    if how == "removed":
        path.unlink()
    elif how.startswith("cut"):
        path.write_bytes(content[: 0 if how.endswith("nothing") else len(content) - 1 - len(content) // 3])
    else:
        content[0 if how.endswith("first") else -2] ^= 1
        path.write_bytes(content)
    found = find_corruption(folder)
    assert found is not None
    # A checksum that was flipped blames the file that it belongs to.
    assert name in found or name == checkpoint_files.SUMS


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_single_flipped_bit_anywhere_is_found(tmp_path_factory, at, bit):
    folder = tmp_path_factory.mktemp("flip") / "f"
    write(folder, shard_bytes=60)
    files = sorted(folder.iterdir())
    sizes = [path.stat().st_size for path in files]
    at %= sum(sizes)
    for path, size in zip(files, sizes, strict=True):
        if at < size:
            content = bytearray(path.read_bytes())
            content[at] ^= 1 << bit
            path.write_bytes(content)
            break
        at -= size
    assert find_corruption(folder) is not None
    shutil.rmtree(folder)


def test_a_flipped_bit_in_an_end_of_line_is_found(tmp_path):
    folder = tmp_path / "f"
    write(folder, shard_bytes=60)
    path = folder / checkpoint_files.SUMS
    sound = path.read_bytes()
    for at in (i for i, byte in enumerate(sound) if byte == ord("\n")):
        for bit in range(8):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1 :])
            assert find_corruption(folder) is not None, (at, bit)


def test_a_folder_that_is_none_of_ours_is_an_error(tmp_path):
    assert find_corruption(tmp_path) == f"{checkpoint_files.SUMS} is missing"
    with pytest.raises(UserError, match="the checkpoint cannot be read"):
        CheckpointReader(tmp_path)


def test_a_damaged_folder_is_replaced_by_a_new_one(folder):
    (folder / checkpoint_files.STATE).unlink()
    write(folder, state={"step": 9})
    assert find_corruption(folder) is None and CheckpointReader(folder).state == {"step": 9}


def test_the_state_is_json_and_the_sums_cover_every_file(folder):
    assert json.loads((folder / checkpoint_files.STATE).read_text()) == {"step": 3}
    named = {line.split("  ")[1] for line in (folder / checkpoint_files.SUMS).read_text().splitlines()}
    assert named == {path.name for path in folder.iterdir()} - {checkpoint_files.SUMS}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with room for 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted: that needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("shard_bytes", [1 << 30, 1 << 14])
def test_a_full_disk_leaves_nothing_half_written(small_disk, shard_bytes):
    write(small_disk / "small")
    tensors = {f"weight/{i}": torch.ones(4096) for i in range(40)}
    writer = write(small_disk / "large", tensors, shard_bytes=shard_bytes)
    assert writer.error.strerror == "No space left on device"
    assert writer.bytes == 40 * 4 * 4096
    assert [path.name for path in small_disk.iterdir()] == ["small"]
    assert find_corruption(small_disk / "small") is None


def test_a_place_that_cannot_be_written_is_remembered_as_an_error(tmp_path):
    (tmp_path / "file").touch()
    assert isinstance(write(tmp_path / "file" / "below").error, OSError)
