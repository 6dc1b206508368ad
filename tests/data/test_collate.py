"""One micro-batch: padding, mask and the labelled subwords, against a construction word by word."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ner_dist.data.collate import collate

# Four examples of 3, 3, 5 and 4 subwords; -1 marks subwords that carry no label.
LENGTHS = [3, 3, 5, 4]
ENCODED = SimpleNamespace(
    input_ids=np.arange(100, 115),
    word_index=np.array([-1, 0, -1, -1, 1, 2, -1, 3, -1, 4, -1, -1, 5, 6, -1]),
    example_offsets=np.concatenate([[0], np.cumsum(LENGTHS)]),
    lengths=np.array(LENGTHS),
)
TAGS = np.array([7, 0, 3, 2, 1, 5, 4])
PAD = 1


@pytest.mark.parametrize("examples", [[0], [2], [0, 2], [2, 3, 1], [3, 0, 1, 2]])
def test_rows_are_padded_on_the_right_and_labels_point_at_first_subwords(examples):
    batch = collate(ENCODED, np.array(examples), TAGS, pad_id=PAD)
    longest = max(LENGTHS[example] for example in examples)
    positions, words = [], []
    for row, example in enumerate(examples):
        start, length = int(ENCODED.example_offsets[example]), LENGTHS[example]
        ids = batch.input_ids[row].tolist()
        assert ids == list(range(100 + start, 100 + start + length)) + [PAD] * (longest - length)
        for place in range(length):
            if ENCODED.word_index[start + place] >= 0:
                positions.append(row * longest + place)
                words.append(ENCODED.word_index[start + place])
    assert batch.positions.tolist() == positions
    assert batch.words.tolist() == words
    assert batch.targets.tolist() == TAGS[words].tolist()


def test_the_mask_marks_padding_and_is_left_out_where_there_is_none():
    mask = collate(ENCODED, np.array([0, 2]), TAGS, pad_id=PAD).attention_mask
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert collate(ENCODED, np.array([0, 1]), TAGS, pad_id=PAD).attention_mask is None


def test_no_examples_give_the_shortest_one_without_labels():
    batch = collate(ENCODED, np.empty(0, dtype=np.int64), TAGS, pad_id=PAD)
    assert batch.input_ids.tolist() == [[100, 101, 102]]
    assert len(batch.positions) == len(batch.targets) == len(batch.words) == 0


def test_a_batch_without_mask_moves_to_a_device():
    moved = collate(ENCODED, np.array([0, 1]), TAGS, pad_id=PAD).to(torch.device("meta"))
    assert moved.attention_mask is None
    assert moved.input_ids.device.type == moved.targets.device.type == "meta"
