"""Training sentences drawn with replacement."""

from __future__ import annotations

import numpy as np
import pytest

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.prepare import prepared_folder
from ner_dist.data.resampled import resampled
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config
from ner_dist.recipe_data import Data
from tests.small import recipe


def split(number: int, *, documents: int | None = None) -> Split:
    """Sentences of one to three words; tag and words say which one it is."""
    lengths = np.arange(number) % 3 + 1
    return Split(
        tokens=[[f"w{i}"] * n for i, n in enumerate(lengths.tolist())],
        tags=np.repeat(np.arange(number), lengths).astype(np.int16),
        offsets=offsets_of(lengths),
        origin=[f"f:{i}" for i in range(number)],
        documents=None if documents is None else [f"d{i * documents // number}" for i in range(number)],
    )


def places(drawn: Split) -> list[int]:
    return [int(words[0][1:]) for words in drawn.tokens]


def test_sentences_are_drawn_whole():
    drawn = resampled(split(300), 1)
    assert drawn.origin == [f"f:{i}" for i in places(drawn)]
    for place, start, end in zip(places(drawn), drawn.offsets, drawn.offsets[1:], strict=False):
        assert drawn.tags[start:end].tolist() == [place] * (place % 3 + 1)


def test_about_63_percent_are_drawn_as_a_poisson_variable_says():
    copies = np.bincount(places(resampled(split(20_000), 7)), minlength=20_000)
    expected = 20_000 * np.exp(-1) / np.array([1, 1, 2, 6])
    assert np.bincount(copies)[:4] == pytest.approx(expected, rel=0.05)
    assert copies.mean() == pytest.approx(1, abs=0.03)


def test_a_draw_depends_on_the_seed_and_the_place_alone():
    assert places(resampled(split(500), 3)) == places(resampled(split(500), 3))
    assert places(resampled(split(500), 3)) != places(resampled(split(500), 4))
    # Of more sentences the first are drawn alike.
    assert [i for i in places(resampled(split(900), 3)) if i < 500] == places(resampled(split(500), 3))


def test_documents_are_drawn_whole():
    drawn = resampled(split(200, documents=20), 5)
    copies = np.bincount(places(drawn), minlength=200).reshape(20, 10)
    assert (copies == copies[:, :1]).all() and len(np.unique(copies)) > 1


def test_a_draw_of_nothing_is_refused():
    seed = next(seed for seed in range(50) if np.random.PCG64([seed, 1]).random_raw(1)[0] / 2**64 < 0.3)
    with pytest.raises(UserError, match="the draw of 1 sentences has none of them"):
        resampled(split(1), seed)


def test_only_train_is_drawn_after_repeats_were_dropped():
    data = {"path": "synthetic", "synthetic": {"train": 200, "validation": 30, "test": 30}}
    plain, drawn = (load_corpus(Data.model_validate(data | own)) for own in ({}, {"resample": 2}))
    for name in ("validation", "test"):
        assert plain.splits[name].tokens == drawn.splits[name].tokens
    words = {tuple(sentence) for sentence in plain.splits["train"].tokens}
    found = [tuple(sentence) for sentence in drawn.splits["train"].tokens]
    assert {*found} < words and len({*found}) < len(found)
    assert drawn.counts["train_sentences"] == len(found)
    assert drawn.fingerprint != plain.fingerprint and drawn.labels == plain.labels


def test_each_draw_is_prepared_once(tmp_path):
    folders = set()
    for draw in ("null", "1", "2"):
        settings = recipe(tmp_path, f"data.resample={draw}", f"data.cache_dir={tmp_path}")
        folders.add(prepared_folder(settings, load_config(settings.model)))
    assert len(folders) == 3
