"""Accepted corrections change the tags and nothing else, and only where the data is as it was reviewed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ner_dist.data.sources import load_corpus, source_stamp
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data

ROWS = [
    (["Anna", "Berg", "sees", "York"], ["B-ORG", "O", "O", "B-LOC"]),
    (["York", "grows"], ["O", "O"]),
    (["The", "UN", "grows"], ["B-ORG", "I-ORG", "O"]),
]


def write(folder: Path, rows=ROWS) -> Path:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps({"tokens": t, "ner_tags": g}) + "\n" for t, g in rows))
    return path


def spans(rows) -> list[dict]:
    return [{"start": start, "end": end, "type": kind} for start, end, kind in rows]


def correction(row: int, was, now, *, decision="accept", split="train", **changes) -> dict:
    made = {
        "decision": decision,
        "split": split,
        "tokens": ROWS[row][0],
        "was": spans(was),
        "now": spans(now),
    }
    return made | changes


def save(folder: Path, *lines: dict) -> Path:
    path = folder / "corrections.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def read(path: Path, corrections: Path | None = None, **settings):
    splits = {"validation": None, "test": None}
    named = None if corrections is None else str(corrections)
    return load_corpus(Data(path=str(path), splits=splits, corrections=named, **settings))


def tags(corpus) -> list[list[str]]:
    split = corpus.splits["train"]
    names = [corpus.labels.tags[tag] for tag in split.tags]
    return [names[a:b] for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]


def test_every_kind_of_correction(tmp_path, caplog):
    path = write(tmp_path)
    source = path.read_bytes()
    file = save(
        tmp_path,
        correction(0, [(0, 1, "ORG")], [(0, 2, "LOC")]),
        correction(0, [(3, 4, "LOC")], []),
        correction(1, [], [(0, 1, "LOC")]),
        correction(2, [(0, 2, "ORG")], [(1, 2, "ORG")]),
    )
    with caplog.at_level(logging.INFO):
        corpus = read(path, file)
    assert tags(corpus) == [["B-LOC", "I-LOC", "O", "O"], ["B-LOC", "O"], ["O", "B-ORG", "O"]]
    assert path.read_bytes() == source
    assert corpus.counts["train_corrected"] == 4
    assert "4 places were changed" in caplog.text and str(file) in caplog.text


def test_rejected_and_other_splits_change_nothing(tmp_path, caplog):
    path = write(tmp_path)
    file = save(
        tmp_path,
        correction(1, [], [(0, 1, "LOC")], decision="reject"),
        correction(1, [], [(0, 1, "LOC")], split="test"),
    )
    with caplog.at_level(logging.INFO):
        assert tags(read(path, file)) == tags(read(path))
    assert f"{file}: corrections of splits that are not read: test 1" in caplog.text


def test_second_review_continues_the_first(tmp_path):
    path = write(tmp_path)
    first = save(tmp_path, correction(0, [(0, 1, "ORG")], [(0, 1, "PER")]))
    first = first.rename(tmp_path / "first.jsonl")
    second = save(tmp_path, correction(0, [(0, 1, "PER")], [(0, 2, "PER")]))
    splits = {"validation": None, "test": None}
    both = Data(path=str(path), splits=splits, corrections=[str(first), str(second)])
    assert tags(load_corpus(both))[0] == ["B-PER", "I-PER", "O", "B-LOC"]
    turned = both.model_copy(update={"corrections": [str(second), str(first)]})
    with pytest.raises(UserError, match=r"corrections\.jsonl:1"):
        load_corpus(turned)
    before = source_stamp(both)
    second.write_text("")
    assert source_stamp(both) != before


def test_sentence_is_found_wherever_it_is_and_in_all_its_repeats(tmp_path):
    path = write(tmp_path, [ROWS[2], ROWS[1], ROWS[0], ROWS[1]])
    file = save(tmp_path, correction(1, [], [(0, 1, "LOC")]))
    corpus = read(path, file, deduplicate=False)
    assert [each for each in tags(corpus) if len(each) == 2] == [["B-LOC", "O"]] * 2


def test_data_that_is_correct_already_is_left(tmp_path, caplog):
    path = write(tmp_path, [ROWS[0], (ROWS[1][0], ["B-LOC", "O"])])
    file = save(tmp_path, correction(1, [], [(0, 1, "LOC")]))
    with caplog.at_level(logging.INFO):
        corpus = read(path, file)
    assert tags(corpus)[1] == ["B-LOC", "O"] and corpus.counts["train_corrected"] == 0
    assert "1 found in the data already" in caplog.text


@pytest.mark.parametrize(
    "line, message",
    [
        (correction(1, [], [(0, 1, "LOC")], tokens=["Gone"]), "train has no sentence `Gone` any more"),
        (correction(0, [(0, 1, "LOC")], []), "annotated in another way than when it was reviewed"),
        (correction(0, [], []), "its spans do not lie in the sentence"),
        (correction(0, [], [(3, 9, "LOC")]), "its spans do not lie in the sentence"),
        ({"tokens": ["a"]}, "not a correction with decision, split, tokens, was and now"),
        (correction(0, [], [(0, 1, "LOC")], decision="perhaps"), "not a correction"),
        (["accept"], "not a correction"),
        (correction(1, [], [(0, 1, "LOC")], tokens=[1, 2]), "not a correction"),
        (correction(1, [], [(0, 1, "LOC")], tokens="York grows"), "not a correction"),
        (correction(1, [], [(0, 1, "")]), "not a correction"),
        (correction(1, [], [(0, 1.5, "LOC")]), "not a correction"),
        (correction(1, [], [(0, 1, "LOC")], split="dev"), "no split `dev`; the splits are train"),
    ],
)
def test_what_cannot_be_applied_is_an_error_with_its_line(tmp_path, line, message):
    path = write(tmp_path)
    fine = correction(2, [(0, 2, "ORG")], [(1, 2, "ORG")])
    with pytest.raises(UserError, match=r"corrections\.jsonl:2") as error:
        read(path, save(tmp_path, fine, line))
    assert message in str(error.value)


def test_type_that_only_a_correction_has_is_said(tmp_path, caplog):
    path = write(tmp_path)
    corpus = read(path, save(tmp_path, correction(0, [(0, 1, "ORG")], [(0, 1, "NEW")])))
    assert corpus.labels.tags == (*read(path).labels.tags, "B-NEW", "I-NEW")
    assert tags(corpus)[0][0] == "B-NEW" and "types that the data itself does not have: NEW" in caplog.text


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"data\.corrections .*gone\.jsonl: no such file"):
        read(write(tmp_path), tmp_path / "gone.jsonl")


def test_stamp_and_fingerprint_follow_the_corrections(tmp_path):
    path = write(tmp_path)
    file = save(tmp_path, correction(1, [], [(0, 1, "LOC")]))
    splits = {"validation": None, "test": None}
    plain = Data(path=str(path), splits=splits)
    corrected = Data(path=str(path), splits=splits, corrections=str(file))
    stamps = [source_stamp(plain), source_stamp(corrected)]
    prints = [load_corpus(plain).fingerprint, load_corpus(corrected).fingerprint]
    save(tmp_path, correction(2, [(0, 2, "ORG")], [(1, 2, "ORG")]))
    stamps.append(source_stamp(corrected))
    prints.append(load_corpus(corrected).fingerprint)
    assert len(set(stamps)) == len(set(prints)) == 3
