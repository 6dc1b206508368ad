"""The buffer that saves share: what is written is what was copied, and the memory is used again."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from ner_dist.training.checkpoint_files import CheckpointReader, CheckpointWriter
from ner_dist.training.host_buffer import HostBuffer


def save(folder, tensors, buffer, *, shard_bytes=4 * 100):
    writer = CheckpointWriter(folder, shard_bytes=shard_bytes, buffer=buffer)
    for name, tensor in tensors.items():
        writer.add(name, tensor)
        tensor.zero_()  # as the next step of the training would change it
    writer.finish({"step": 1}, then=lambda _: None).result()
    assert writer.error is None


def test_shards_and_saves_share_the_buffer_and_nothing_is_lost(tmp_path):
    buffer = HostBuffer(pinned=False)
    places = set()
    for name in ("first", "second"):
        buffer.reserve(100)
        places.add(buffer.copy(torch.ones(1)).untyped_storage().data_ptr())
        buffer.clear()
        tensors = {f"{index}": torch.randn(7, 9, dtype=torch.float64).float() for index in range(5)}
        # Larger than the buffer, of another type, and a view with strides.
        tensors |= {
            "large": torch.randn(300),
            "half": torch.randn(4, 5).bfloat16(),
            "t": torch.randn(6, 3).t(),
        }
        expected = {key: tensor.float().clone() for key, tensor in tensors.items()}
        save(tmp_path / name, tensors, buffer)
        reader = CheckpointReader(tmp_path / name)
        assert len(list((tmp_path / name).glob("tensors-*"))) > 2
        for key, tensor in expected.items():
            assert torch.equal(reader.tensor(key), tensor), key
    assert len(places) == 1


def test_more_room_is_made_only_when_it_is_needed():
    buffer = HostBuffer(pinned=False)
    buffer.reserve(10)
    small = buffer.copy(torch.ones(10)).data_ptr()
    buffer.reserve(5)
    assert buffer.copy(torch.ones(5)).data_ptr() == small
    assert buffer.copy(torch.ones(6)).untyped_storage().nbytes() == 6 * 4  # elsewhere
    buffer.reserve(20)
    assert buffer.copy(torch.ones(20)).untyped_storage().nbytes() == 20 * 4


def test_file_is_the_same_with_and_without(tmp_path):
    tensors = {"a": torch.arange(12.0).view(3, 4), "b": torch.tensor(2.0)}
    save(tmp_path / "plain", {key: value.clone() for key, value in tensors.items()}, None)
    buffer = HostBuffer(pinned=False)
    buffer.reserve(13)
    save(tmp_path / "shared", tensors, buffer)
    one, other = (load_file(tmp_path / name / "tensors-00001.safetensors") for name in ("plain", "shared"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
