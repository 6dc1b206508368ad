"""The embedded corpus is reproducible, learnable, and as skewed and hard as described."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from ner_dist import recipe_data
from ner_dist.data import synthetic, synthetic_words


def names_in(sentences):
    """Every mention as (type, text), read by the definition of BIO."""
    for tokens, tags in sentences:
        for start, tag in enumerate(tags):
            if tag.startswith("B-"):
                end = start + 1
                while end < len(tags) and tags[end] == "I-" + tag[2:]:
                    end += 1
                yield tag[2:], " ".join(tokens[start:end])


def is_valid_bio(tags):
    return all(
        tag == "O" or tag[:2] == "B-" or (tag[:2] == "I-" and before[2:] == tag[2:])
        for before, tag in zip(["O", *tags], tags, strict=False)
    )


@pytest.fixture(scope="module")
def corpus():
    return synthetic.generate(recipe_data.Synthetic())


@pytest.fixture(scope="module")
def mentions(corpus):
    return {split: list(names_in(sentences)) for split, sentences in corpus.items()}


def test_the_same_seed_gives_the_same_corpus_everywhere():
    small = recipe_data.Synthetic(seed=7, train=300, validation=20, test=200)
    text = json.dumps(synthetic.generate(small), ensure_ascii=True)
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "a9862ffa36b2573856845be6594ff90e96880ee1a13829092b393123b7dfb62b"
    )


def test_another_seed_gives_other_sentences(corpus):
    other = synthetic.generate(recipe_data.Synthetic(seed=1, train=50, validation=10, test=50))
    assert {tuple(tokens) for tokens, _ in other["test"]}.isdisjoint(tuple(t) for t, _ in corpus["test"])


def test_held_out_sentences_do_not_change_with_the_size_of_training(corpus):
    smaller = synthetic.generate(recipe_data.Synthetic(train=10))
    assert smaller["test"] == corpus["test"]
    assert smaller["validation"] == corpus["validation"]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 60), st.integers(1, 30), st.integers(1, 60))
def test_every_size_and_seed_gives_valid_bio(seed, train, validation, test):
    sizes = recipe_data.Synthetic(seed=seed, train=train, validation=validation, test=test)
    splits = synthetic.generate(sizes)
    assert {split: len(sentences) for split, sentences in splits.items()} == {
        "train": train,
        "validation": validation,
        "test": test,
    }
    for tokens, tags in (sentence for sentences in splits.values() for sentence in sentences):
        assert len(tokens) == len(tags) >= 4
        assert all(token and not set(token) & set(" $\t\n") for token in tokens)
        assert is_valid_bio(tags)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["O", "B-PER", "B-LOC", "I"]), max_size=12), st.integers(0, 10**6))
def test_spoilt_tags_stay_valid_bio(rough, seed):
    tags: list[str] = []
    for tag in rough:
        before = tags[-1] if tags else "O"
        tags.append(("O" if before == "O" else "I" + before[1:]) if tag == "I" else tag)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "LABEL_NOISE", 0.9)
        spoilt = synthetic.spoil_tags(tags, synthetic.Dice(str(seed)))
    assert len(spoilt) == len(tags)
    assert is_valid_bio(spoilt)


def test_the_default_corpus_is_made_quickly():
    start = time.perf_counter()
    synthetic.generate(recipe_data.Synthetic(seed=3))
    assert time.perf_counter() - start < 2


def test_types_are_skewed_as_in_multinerd(mentions):
    for split in ("train", "test"):
        counts = Counter(entity_type for entity_type, _ in mentions[split])
        assert set(counts) == set(synthetic.MULTINERD_SUPPORT)
        ranked = [entity_type for entity_type, _ in counts.most_common(10)]
        assert ranked == list(synthetic.MULTINERD_SUPPORT)[:10]
        assert counts["LOC"] > 0.38 * counts.total()
    assert min(Counter(entity_type for entity_type, _ in mentions["test"]).values()) >= 10


def test_sentences_vary_in_length_and_some_have_no_names(corpus):
    lengths = [len(tokens) for tokens, _ in corpus["train"]]
    assert min(lengths) <= 5
    assert 30 <= max(lengths) <= 60
    assert len(set(lengths)) > 25
    without = sum(set(tags) == {"O"} for _, tags in corpus["train"]) / len(corpus["train"])
    assert 0.04 < without < 0.2


def test_a_third_of_the_test_names_never_occur_in_training(mentions):
    known = {name for _, name in mentions["train"]}
    mentioned = [name for _, name in mentions["test"]]
    assert 0.28 < sum(name not in known for name in mentioned) / len(mentioned) < 0.42
    distinct = set(mentioned)
    assert 0.3 < len(distinct - known) / len(distinct) < 0.42


def test_some_strings_are_names_of_several_types_in_test(mentions):
    types = defaultdict(set)
    for entity_type, name in mentions["test"]:
        types[name].add(entity_type)
    assert sum({"PER", "LOC"} <= found for found in types.values()) >= 5
    assert sum(len(found) > 1 for found in types.values()) >= 15


def test_names_of_several_words_hold_other_names(mentions):
    places = {name for entity_type, name in mentions["train"] if entity_type == "LOC" and " " not in name}
    organisations = {name for entity_type, name in mentions["train"] if entity_type == "ORG"}
    nested = [name for name in organisations if " " in name and places & set(name.split())]
    assert len(nested) >= 20
    many_words = sum(" " in name for _, name in mentions["test"])
    assert many_words > 0.3 * len(mentions["test"])


def test_words_that_are_names_elsewhere_also_stand_as_plain_words(corpus):
    plain = {
        word for tokens, tags in corpus["train"] for word, tag in zip(tokens, tags, strict=True) if tag == "O"
    }
    assert {"crane", "mole", "seal", "orange", "mercury", "date", "rose"} <= plain


def test_a_few_sentences_repeat_and_a_few_test_sentences_leak(corpus):
    for split, sentences in corpus.items():
        repeats = len(sentences) - len({tuple(tokens) for tokens, _ in sentences})
        assert 0 < repeats <= 0.01 * len(sentences), split
    train = {tuple(tokens) for tokens, _ in corpus["train"]}
    assert 0 < sum(tuple(tokens) in train for tokens, _ in corpus["test"]) <= 0.01 * len(corpus["test"])
    assert not any(tuple(tokens) in train for tokens, _ in corpus["validation"])


def test_repeats_are_copies_that_can_be_changed_alone(corpus):
    lists = [part for sentences in corpus.values() for sentence in sentences for part in sentence]
    assert len({id(part) for part in lists}) == len(lists)


def test_only_training_has_wrong_labels(monkeypatch):
    few = recipe_data.Synthetic(seed=5, train=1000, validation=50, test=100)
    noisy = synthetic.generate(few)
    monkeypatch.setattr(synthetic, "LABEL_NOISE", 0.0)
    clean = synthetic.generate(few)
    assert noisy["test"] == clean["test"]
    assert noisy["validation"] == clean["validation"]
    assert [tokens for tokens, _ in noisy["train"]] == [tokens for tokens, _ in clean["train"]]
    changed = sum(a != b for (_, a), (_, b) in zip(noisy["train"], clean["train"], strict=True))
    assert 0.02 < changed / 1000 < 0.1


def test_a_list_of_words_is_not_enough(corpus):
    """Each word's most frequent training tag: what a model without context could learn."""
    seen = defaultdict(Counter)
    for tokens, tags in corpus["train"]:
        for word, tag in zip(tokens, tags, strict=True):
            seen[word][tag] += 1
    usual = {word: counts.most_common(1)[0][0] for word, counts in seen.items()}
    gold = [tags for _, tags in corpus["test"]]
    predicted = [[usual.get(word, "O") for word in tokens] for tokens, _ in corpus["test"]]
    assert 0.3 < f1_score(gold, predicted, mode="strict", scheme=IOB2) < 0.7


def test_every_word_list_that_a_pattern_names_exists():
    patterns = [
        *synthetic_words.ANY_CLAUSES,
        *synthetic_words.PLAIN_CLAUSES,
        *synthetic_words.OPENINGS,
        *synthetic_words.MODIFIERS,
        *(pattern for group in synthetic_words.CLAUSES.values() for pattern in group),
        *(pattern for group in synthetic_words.NAME_PATTERNS.values() for pattern in group),
    ]
    lists = {**synthetic_words.COINED, **synthetic_words.CLOSED, **synthetic_words.FILLERS}
    asked = {part[1:] for pattern in patterns for part in pattern.split() if part.startswith("$")}
    assert asked <= set(lists) | set(synthetic.NUMBERS)
    assert set(lists) <= asked


def test_neither_torch_nor_transformers_is_imported():
    code = "import sys, ner_dist.data.synthetic; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
