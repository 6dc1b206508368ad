"""Sentences are matched in files with other orders, with missing and with repeated sentences."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.aligned import align_predictions
from ner_dist.comparison.alignment import align
from ner_dist.errors import UserError
from ner_dist.labels import LabelSet
from tests.comparison.made_files import TYPES, Sentence, corpora, predictions, two_files

LABELS = LabelSet.from_types(TYPES)


def sentence(number, text, gold=None, said=None):
    tokens = text.split()
    gold = gold.split() if gold else ["O"] * len(tokens)
    said = said.split() if said else gold
    return Sentence(number, tokens, gold, (said, said))


def ground_of(*files):
    models = dict(zip("ABC", ([file] for file in files), strict=False))
    return align_predictions(models, {model: [None] for model in models})


@given(corpus=corpora(), order=st.randoms(use_true_random=False), data=st.data())
def test_a_shuffled_file_with_sentences_missing_is_aligned_by_ids_and_words(corpus, order, data):
    kept = [one for one in corpus if data.draw(st.booleans())] or corpus[:1]
    order.shuffle(kept)
    alignment = align([predictions(corpus), predictions(kept)], LABELS)
    assert alignment.by == "id and words"
    first, second = alignment.places
    assert [corpus[i].number for i in first] == [kept[j].number for j in second]
    assert sorted(one.number for one in kept) == [corpus[i].number for i in first]


@given(corpus=corpora(), order=st.randoms(use_true_random=False), data=st.data())
def test_without_ids_as_many_copies_are_aligned_as_both_files_have(corpus, order, data):
    kept = [one for one in corpus if data.draw(st.booleans())] or corpus[:1]
    order.shuffle(kept)
    alignment = align([predictions(corpus, ids=False), predictions(kept)], LABELS)
    first, second = alignment.places
    assert [corpus[i].tokens for i in first] == [kept[j].tokens for j in second]
    assert len(set(first.tolist())) == len(set(second.tolist())) == len(kept)


def test_ids_that_moved_do_not_hinder_words():
    a = [sentence(number, text) for number, text in enumerate(("x", "y", "z", "y"))]
    b = [sentence(number, text) for number, text in enumerate(("x", "z", "y"))]
    alignment = align([predictions(a), predictions(b)], LABELS)
    assert (alignment.by, *map(list, alignment.places)) == ("words", [0, 1, 2], [0, 2, 1])
    assert alignment.notes == ["Sentences aligned by their words alone, as their ids differ: 2."]


def test_of_copies_those_of_the_same_gold_belong_together():
    a = [sentence(i, "Bern won", gold) for i, gold in enumerate(("B-LOC O", "B-ORG O", "B-PER O"))]
    b = [a[1], sentence(7, "Bern won", "O O"), a[0]]
    alignment = align([predictions(a, ids=False), predictions(b, ids=False)], LABELS)
    # The one that is left over goes with the other that is.
    assert list(zip(*map(list, alignment.places), strict=True)) == [(0, 2), (1, 0), (2, 1)]


@given(corpus=corpora(), data=st.data())
def test_without_words_the_order_of_the_gold_tags_decides(corpus, data):
    kept = [one for one in corpus if data.draw(st.booleans())] or corpus[:1]
    # B knows fewer types: the shared ones decide.
    files = predictions(corpus, tokens=False), predictions(kept, TYPES[:2], tokens=False, ids=False)
    alignment = align(files, LabelSet.from_types(TYPES[:2]))
    first, second = alignment.places
    assert alignment.by == "order of gold tags"
    # What was only left out is found whole, though of equal neighbours another one may be taken.
    assert list(second) == list(range(len(kept)))
    assert sorted(set(first)) == list(first)
    aligned, figures = ground_of(*files)
    assert (len(aligned), figures.disputed) == (len(kept), None)
    assert figures.only_in["A"].sentences == len(corpus) - len(kept)


def test_without_words_ids_decide_unless_they_only_number_the_lines():
    a = [
        sentence(i, "a b c", gold)
        for i, gold in enumerate(("O O B-PER", "B-PER O O", "O B-LOC O", "B-LOC O O"))
    ]
    files = predictions(a, tokens=False), predictions(a[:0:-1], tokens=False)
    alignment = align(files, LABELS)
    assert (alignment.by, *map(list, alignment.places)) == ("id", [1, 2, 3], [2, 1, 0])
    numbered = [Sentence(i, one.tokens, one.gold, one.said) for i, one in enumerate(a[1:])]
    alignment = align([files[0], predictions(numbered, tokens=False)], LABELS)
    assert (alignment.by, *map(list, alignment.places)) == ("order of gold tags", [1, 2, 3], [0, 1, 2])


def numbered(sentences):
    """The sentences with line numbers as ids."""
    return [Sentence(i, one.tokens, one.gold, one.said) for i, one in enumerate(sentences)]


def mostly_without_entities(number):
    """Nine of ten sentences are O O O; every tenth is unique."""
    for i in range(number):
        gold = "O O O" if i % 10 else f"B-PER {'I-PER ' * i}O"
        yield sentence(i, " ".join("w" * len(gold.split())), gold)


@pytest.mark.parametrize("missing", [5, 385])
def test_numbers_of_lines_that_a_missing_line_has_shifted_are_no_ids(missing):
    """Most sentences behind it are equal by chance, and so are 99 % of all if it is one of the last."""
    a = [*mostly_without_entities(400)]
    b = a[:missing] + a[missing + 1 :]
    alignment = align([predictions(numbered(each), tokens=False) for each in (a, b)], LABELS)
    first, second = alignment.places
    behind = first > missing + 5
    assert (alignment.by, len(first)) == ("order of gold tags", 399)
    assert (first[behind] == second[behind] + 1).all() and behind.any()
    assert alignment.notes[1].startswith("Their ids were not used: equal ones stand for different sentences")


def test_ids_that_few_sentences_share_are_enough():
    a = [*mostly_without_entities(400)]
    alignment = align([predictions(a[:300], tokens=False), predictions(a[250:], tokens=False)], LABELS)
    assert (alignment.by, *map(list, alignment.places)) == ("id", [*range(250, 300)], [*range(50)])


def test_ids_hold_where_some_gold_was_revised():
    a = [*mostly_without_entities(400)]
    revised = sentence(100, " ".join(a[100].tokens), "B-LOC" + " O" * (len(a[100].gold) - 1))
    b = [*a[:100], revised, *a[101:]]
    alignment = align([predictions(a, tokens=False), predictions(b[::-1], tokens=False)], LABELS)
    assert (alignment.by, len(alignment.places[0])) == ("id", 399)
    assert alignment.notes[1] == "Sentences left out because equal ids have different gold tags: 1."


@pytest.mark.parametrize("seed", range(4))
def test_ids_hold_where_much_gold_was_revised_and_sentences_look_alike(seed):
    """The order, which pairs whatever has equal gold, finds a few more by luck."""
    chance = random.Random(seed)

    def gold(words):
        tags = ["O"] * words
        if chance.random() < 0.6:
            tags[chance.randrange(words)] = "B-" + chance.choice(["PER", "LOC", "ORG"])
        return tags

    golds = [gold(chance.randint(4, 8)) for _ in range(400)]
    revised = [gold(len(each)) if chance.random() < 0.3 else each for each in golds]
    files = [
        predictions([sentence(i, tags, tags) for i, tags in enumerate(map(" ".join, said))], tokens=False)
        for said in (golds, revised)
    ]
    alignment = align(files, LABELS)
    same = [i for i, (one, other) in enumerate(zip(golds, revised, strict=True)) if one == other]
    assert (alignment.by, *map(list, alignment.places)) == ("id", same, same)


def test_of_copies_with_gold_of_their_own_as_many_are_found_as_every_file_has():
    said = "Bern won"
    a = [sentence(0, said, "B-LOC O"), sentence(1, said, "B-ORG O")]
    b, c = [sentence(0, said, "B-LOC O")], [sentence(0, said, "B-ORG O")]
    files = [predictions(each, ids=False) for each in (a, b, c)]
    assert [list(places) for places in align(files, LABELS).places] == [[0], [0], [0]]


@pytest.mark.parametrize("ids", [True, False])
def test_files_of_which_nothing_tells_what_is_the_same_are_refused(ids):
    a = [*mostly_without_entities(400)]
    files = [predictions(numbered(each), tokens=False, ids=ids) for each in (a, a[::-1])]
    with pytest.raises(UserError, match="neither ids nor the order of gold tags tell"):
        align(files, LABELS)


def test_words_that_the_second_file_alone_has_are_used():
    corpus = [sentence(i, words, "B-PER O") for i, words in enumerate(("Ann a", "Bob b", "Ann a"))]
    aligned, figures = ground_of(predictions(corpus, tokens=False), predictions(corpus))
    assert figures.by == "id"
    assert aligned.tokens == [one.tokens for one in corpus]
    assert aligned.unit.tolist() == [0, 1, 0]


def test_of_three_files_the_sentences_of_all_are_taken():
    a = [sentence(number, text) for number, text in enumerate("vwxyz")]
    files = predictions(a), predictions(a[1:]), predictions(a[:2] + a[3:])
    alignment = align(files, LABELS)
    assert [list(places) for places in alignment.places] == [[1, 3, 4], [0, 2, 3], [1, 2, 3]]
    _, figures = ground_of(*files)
    assert [side.sentences for side in figures.only_in.values()] == [2, 1, 1]
    assert [one.words for one in figures.only_in["A"].examples] == ["v", "x"]


def test_files_that_share_nothing_are_refused():
    a, b = predictions([sentence(0, "x")], source="a"), predictions([sentence(0, "y")], source="b")
    with pytest.raises(UserError, match="a, b: the runs share no test sentence"):
        align([a, b], LABELS)
    with pytest.raises(UserError, match=r"a, b: the runs share no entity type \(PER; LOC\)"):
        ground_of(
            predictions([sentence(0, "x")], ["PER"], source="a"),
            predictions([sentence(0, "x")], ["LOC"], source="b"),
        )


@given(files=two_files())
def test_sentences_of_equal_words_are_one_unit(files):
    aligned, figures = ground_of(*files)
    copies = {}
    for words, unit in zip(aligned.tokens, aligned.unit.tolist(), strict=True):
        assert copies.setdefault(tuple(words), unit) == unit
    assert len(set(copies.values())) == len(copies) == aligned.units == figures.units


def long_sentences(number):
    """Of 20 words and more, 4 of them entities; no two alike."""
    for i in range(number):
        yield sentence(i, " ".join("w" * (21 + i)), f"B-PER {'O ' * i}B-LOC I-LOC B-ORG{' O' * 17}")


def test_a_file_that_holds_its_sentences_twice_is_seen_to_and_its_copies_are_paired():
    corpus = [*long_sentences(25)] * 2
    odd = Sentence(99, corpus[0].tokens, corpus[0].gold, (["O"] * 21,) * 2)
    aligned, figures = ground_of(*(predictions([*corpus, odd], tokens=False, ids=False) for _ in "AB"))
    # The one that was predicted otherwise is no copy.
    assert aligned.unit.tolist() == [*range(25), *range(25), 25]
    assert "24 occur exactly twice" in figures.notes[-1]
    assert "51 sentences, 26 distinct" in figures.notes[-1]


def short_sentences(number):
    """Of 3 to 8 words with an entity or two: gold sequences that many sentences may have."""
    rng = random.Random(7)
    for i in range(number):
        gold = ["O"] * rng.randint(3, 8)
        gold[rng.randrange(len(gold))] = f"B-{rng.choice(TYPES)}"
        gold[0] = rng.choice(["O", "B-PER"])
        yield Sentence(i, ["w"] * len(gold), gold, (gold, gold))


@pytest.mark.parametrize("times", [2, 3, 7])
@pytest.mark.parametrize("in_a_row", [False, True])
def test_a_file_that_repeats_itself_is_seen_to_by_the_positions(times, in_a_row):
    corpus = [*short_sentences(40)]
    whole = [one for one in corpus for _ in range(times)] if in_a_row else corpus * times
    aligned, figures = ground_of(*(predictions(whole, tokens=False, ids=False) for _ in "AB"))
    numbers = [*range(40)]
    assert aligned.unit.tolist() == (
        [i for i in numbers for _ in range(times)] if in_a_row else numbers * times
    )
    assert f"those of 40 sentences, {times} times over" in figures.notes[-1]
    assert not figures.copies_unknown


def test_sentences_that_are_alike_by_chance_are_no_copies():
    corpus = [*short_sentences(5)] * 3  # too few to tell
    aligned, figures = ground_of(*(predictions(corpus, tokens=False, ids=False) for _ in "AB"))
    assert aligned.units == 15 and figures.copies_unknown


def test_three_copies_in_any_order_are_found_by_long_gold_sequences():
    corpus = [*long_sentences(25)] * 3
    random.Random(3).shuffle(corpus)
    aligned, figures = ground_of(*(predictions(corpus, tokens=False, ids=False) for _ in "AB"))
    assert aligned.units == 25 and set(np.bincount(aligned.unit)) == {3}
    assert "occur exactly 3 times" in figures.notes[-1]


def test_in_a_file_with_few_copies_every_sentence_counts():
    corpus = [*long_sentences(25)]
    aligned, figures = ground_of(
        *(predictions([*corpus, *corpus[:5]], tokens=False, ids=False) for _ in "AB")
    )
    assert aligned.unit.tolist() == [*range(30)]
    assert "every sentence counts as distinct" in figures.notes[-1] and figures.copies_unknown
