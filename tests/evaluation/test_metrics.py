"""Entity counts and scores equal seqeval's in both schemes, on valid and invalid tags, drawn and real."""

from __future__ import annotations

import gzip
import json
import math
import time
import warnings
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from seqeval.metrics import sequence_labeling, v1
from seqeval.scheme import IOB2, Entities

from ner_dist.evaluation import metrics
from ner_dist.evaluation.metrics import Counts, count, count_per_sentence, token_accuracy
from ner_dist.labels import MULTINERD_TYPES, LabelSet, extract_spans

both_schemes = pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])

# seqeval's strict mode strips hyphens off both ends of a type, so none stands there.
TYPES = ["PER", "BIO", "B", "I", "O", "B-I", "x/y", "LOC", "product-other", "é", "DIS", "ORG"]


def scores(counts, types):
    """The scores as nested dictionaries."""
    return asdict(metrics.scores(counts, types))


def flatten(sentences, labels):
    """Sentences of tags as (ids [W], offsets [N+1])."""
    ids = [labels.label2id[tag] for sentence in sentences for tag in sentence]
    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    return np.array(ids, dtype=np.int16), offsets


def counted(gold, predicted, labels, *, strict):
    ids, offsets = flatten(gold, labels)
    return count(ids, flatten(predicted, labels)[0], offsets, labels, strict=strict)


def seqeval_figures(gold, predicted, *, strict, average):
    # It refuses a list of no sentence.
    gold, predicted = gold or [[]], predicted or [[]]
    with warnings.catch_warnings():
        # It warns of each 0/0, and numpy of the mean of nothing.
        warnings.simplefilter("ignore")
        if strict:
            figures = v1.precision_recall_fscore_support(gold, predicted, average=average, scheme=IOB2)
        else:
            figures = sequence_labeling.precision_recall_fscore_support(gold, predicted, average=average)
    return figures


def seqeval_entities(sentences, *, strict):
    """(type, flat start, flat end) of each entity, by seqeval's own code."""
    found, offset = [], 0
    per_sentence = Entities(sentences, scheme=IOB2).entities if strict else None
    for i, sentence in enumerate(sentences):
        if strict:
            found += [(entity.tag, offset + entity.start, offset + entity.end) for entity in per_sentence[i]]
        else:
            entities = sequence_labeling.get_entities(sentence)
            found += [(name, offset + first, offset + last + 1) for name, first, last in entities]
        offset += len(sentence)
    return found


@st.composite
def tagged(draw):
    """(labels, gold, predicted): any tags, so dirty ones too; empty sentences; ids in any order."""
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=len(TYPES), unique=True))
    labels = LabelSet.from_tags(draw(st.permutations(LabelSet.from_types(types).tags)))
    tag = st.sampled_from(labels.tags)
    gold = draw(st.lists(st.lists(tag, max_size=8), max_size=6))
    # Mostly right, or no entity would ever be.
    predicted = [
        [draw(tag) if draw(st.integers(0, 3)) == 0 else kept for kept in sentence] for sentence in gold
    ]
    return labels, gold, predicted


def restricted(counts, labels, to):
    return counts.as_array()[:, [labels.types.index(name) for name in to.types]]


@both_schemes
@given(case=tagged())
def test_spans_are_those_of_seqeval(case, strict):
    labels, sentences, _ = case
    spans = extract_spans(*flatten(sentences, labels), labels, strict=strict)
    names = [labels.types[i] for i in spans.type]
    ours = list(zip(names, spans.start.tolist(), spans.end.tolist(), strict=True))
    assert ours == seqeval_entities(sentences, strict=strict)


@pytest.mark.parametrize(
    ("tags", "strict_spans", "lenient_spans"),
    [
        ("B-A I-A O B-A", [("A", 0, 2), ("A", 3, 4)], [("A", 0, 2), ("A", 3, 4)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)], [("A", 0, 1), ("A", 1, 3)]),
        ("I-A I-A", [], [("A", 0, 2)]),
        ("O I-A I-A B-A", [("A", 3, 4)], [("A", 1, 3), ("A", 3, 4)]),
        ("B-A I-B I-B", [("A", 0, 1)], [("A", 0, 1), ("B", 1, 3)]),
        ("B-A I-B I-A", [("A", 0, 1)], [("A", 0, 1), ("B", 1, 2), ("A", 2, 3)]),
        ("B-A O I-A", [("A", 0, 1)], [("A", 0, 1), ("A", 2, 3)]),
        ("B-A | I-A I-A", [("A", 0, 1)], [("A", 0, 1), ("A", 1, 3)]),
        ("B-A I-A | | B-A", [("A", 0, 2), ("A", 2, 3)], [("A", 0, 2), ("A", 2, 3)]),
        ("O O", [], []),
        ("", [], []),
    ],
)
def test_the_two_schemes_by_hand(tags, strict_spans, lenient_spans):
    labels = LabelSet.from_types(["A", "B"])
    ids, offsets = flatten([sentence.split() for sentence in tags.split("|")], labels)
    for strict, expected in ((True, strict_spans), (False, lenient_spans)):
        spans = extract_spans(ids, offsets, labels, strict=strict)
        found = zip((labels.types[i] for i in spans.type), spans.start, spans.end, strict=True)
        assert list(found) == expected
        assert (spans.type.dtype, spans.start.dtype, spans.end.dtype) == (np.int16, np.int64, np.int64)


@given(case=tagged())
def test_strict_spans_are_among_the_lenient_ones(case):
    labels, sentences, _ = case
    found = [extract_spans(*flatten(sentences, labels), labels, strict=strict) for strict in (True, False)]
    strict, lenient = (set(zip(spans.type, spans.start, spans.end, strict=True)) for spans in found)
    assert strict <= lenient


@both_schemes
@given(case=tagged())
def test_the_counts_of_sentences_are_the_counts_of_each_alone_and_add_up(case, strict):
    labels, gold, predicted = case
    ids, offsets = flatten(gold, labels)
    each = count_per_sentence(ids, flatten(predicted, labels)[0], offsets, labels, strict=strict)
    assert each.dtype == np.int32 and each.shape == (len(gold), 3, len(labels.types))
    for i, pair in enumerate(zip(gold, predicted, strict=True)):
        alone = counted([pair[0]], [pair[1]], labels, strict=strict)
        assert (each[i] == alone.as_array()).all()
    assert (each.sum(axis=0) == counted(gold, predicted, labels, strict=strict).as_array()).all()


@both_schemes
@given(case=tagged(), cut=st.integers(0, 6))
def test_counts_of_parts_add_up_to_the_counts_of_the_whole(case, cut, strict):
    labels, gold, predicted = case
    parts = [
        counted(gold[part], predicted[part], labels, strict=strict) for part in (slice(cut), slice(cut, None))
    ]
    whole = counted(gold, predicted, labels, strict=strict)
    assert ((parts[0] + parts[1]).as_array() == whole.as_array()).all()


@both_schemes
@given(case=tagged())
def test_gold_and_prediction_change_places(case, strict):
    labels, gold, predicted = case
    one, other = (counted(*pair, labels, strict=strict) for pair in ((gold, predicted), (predicted, gold)))
    assert (one.as_array() == other.as_array()[[0, 2, 1]]).all()
    assert (one.true_positive <= np.minimum(one.predicted, one.gold)).all()


def test_counts_travel_as_one_array():
    counts = Counts.from_array([[1, 0], [2, 5], [3, 4]])
    assert (counts.true_positive.tolist(), counts.predicted.tolist(), counts.gold.tolist()) == (
        [1, 0], [2, 5], [3, 4],
    )  # fmt: skip
    assert counts.as_array().dtype == np.int64
    assert counts.as_array().tolist() == [[1, 0], [2, 5], [3, 4]]


@both_schemes
@given(case=tagged(), data=st.data())
def test_projecting_then_counting_is_counting_then_leaving_types_out(case, data, strict):
    labels, gold, predicted = case
    kept = data.draw(st.lists(st.sampled_from(labels.types), min_size=1, unique=True))
    to = labels.select(kept)
    (gold_ids, offsets), (predicted_ids, _) = flatten(gold, labels), flatten(predicted, labels)
    projection = labels.projection(to)
    projected = count(projection[gold_ids], projection[predicted_ids], offsets, to, strict=strict)
    whole = count(gold_ids, predicted_ids, offsets, labels, strict=strict)
    assert (projected.as_array() == restricted(whole, labels, to)).all()
    assert scores(projected, to.types)["per_type"].items() <= scores(whole, labels.types)["per_type"].items()


@both_schemes
@given(case=tagged())
def test_scores_are_those_of_seqeval_to_the_last_digit(case, strict):
    labels, gold, predicted = case
    ours = scores(counted(gold, predicted, labels, strict=strict), labels.types)
    micro = seqeval_figures(gold, predicted, strict=strict, average="micro")
    assert (ours["precision"], ours["recall"], ours["f1"]) == tuple(micro[:3])

    found = {name for tags in (gold, predicted) for name, _, _ in seqeval_entities(tags, strict=strict)}
    each = seqeval_figures(gold, predicted, strict=strict, average=None)
    for name, *expected in zip(sorted(found), *each, strict=True):
        assert list(ours["per_type"][name].values()) == expected
    for name in set(labels.types) - found:
        assert set(ours["per_type"][name].values()) == {0}

    macro = seqeval_figures(gold, predicted, strict=strict, average="macro")[:3]
    # The mean over no type at all is NaN there and 0 here.
    expected = tuple(0.0 if math.isnan(figure) else figure for figure in macro) if not found else tuple(macro)
    assert tuple(ours["macro"].values()) == expected


@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=1, max_size=40), st.randoms())
@example(
    [
        (1, 3, 7),
        (2, 3, 11),
        (5, 6, 13),
        (1, 9, 17),
        (3, 19, 23),
        (4, 9, 29),
        (7, 9, 31),
        (1, 1, 1),
        (2, 7, 5),
    ],
    None,
)
def test_scores_do_not_depend_on_the_order_of_the_types(rows, random):
    names = [f"T{i:02}" for i in range(len(rows))]
    columns = [(right, right + more, right + missed) for right, more, missed in rows]
    order = list(range(len(rows)))
    random.shuffle(order) if random else order.reverse()
    straight = scores(Counts.from_array(np.transpose(columns)), names)
    shuffled = scores(Counts.from_array(np.transpose([columns[i] for i in order])), [names[i] for i in order])
    assert straight == shuffled


def test_scores_by_hand():
    counts = Counts.from_array([[3, 0, 0, 0], [4, 2, 0, 0], [6, 0, 1, 0]])
    figures = scores(counts, ["A", "only predicted", "only gold", "nowhere"])
    assert figures["precision"] == 3 / 6 and figures["recall"] == 3 / 7
    assert figures["f1"] == pytest.approx(2 * 3 / (6 + 7))
    assert figures["per_type"]["A"] == {"precision": 0.75, "recall": 0.5, "f1": 0.6, "support": 6}
    assert figures["per_type"]["only gold"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert list(figures["per_type"]) == ["A", "only predicted", "only gold", "nowhere"]
    # Over the three types that occur.
    assert figures["macro"] == pytest.approx({"precision": 0.25, "recall": 0.5 / 3, "f1": 0.2})


@given(case=tagged())
def test_scores_go_into_json_as_they_are(case):
    labels, gold, predicted = case
    figures = scores(counted(gold, predicted, labels, strict=True), labels.types)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=50))
def test_token_accuracy_is_right_words_over_words(pairs):
    gold, predicted = (np.array([pair[i] for pair in pairs], dtype=np.int16) for i in (0, 1))
    assert token_accuracy(gold, predicted) == sum(a == b for a, b in pairs) / max(len(pairs), 1)


@pytest.fixture(scope="module")
def model_a(real_data):
    """Tags of MultiNERD's English test split as strings: (gold, predicted)."""
    with gzip.open(real_data / "multinerd_predictions" / "model_A.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["gold"] for row in rows], [row["pred"] for row in rows]


MULTINERD = LabelSet.from_types(MULTINERD_TYPES)


@pytest.mark.real_data
def test_the_known_figures_of_model_a(model_a):
    strict, lenient = (
        scores(counted(*model_a, MULTINERD, strict=strict), MULTINERD_TYPES) for strict in (True, False)
    )
    assert [round(lenient[name], 4) for name in ("precision", "recall", "f1")] == [0.9261, 0.9459, 0.9359]
    assert round(strict["f1"], 4) == 0.9387
    assert round(strict["macro"]["f1"], 4) == 0.7988
    support = {name: figures["support"] for name, figures in strict["per_type"].items()}
    assert sum(support.values()) == 51247
    assert (support["LOC"], support["PER"], support["BIO"]) == (24015, 10525, 16)


@pytest.mark.real_data
@both_schemes
def test_real_predictions_score_as_in_seqeval(model_a, strict):
    gold, predicted = model_a
    figures = scores(counted(gold, predicted, MULTINERD, strict=strict), MULTINERD_TYPES)
    for average, ours in (("micro", figures), ("macro", figures["macro"])):
        theirs = seqeval_figures(gold, predicted, strict=strict, average=average)
        assert (ours["precision"], ours["recall"], ours["f1"]) == tuple(theirs[:3])


@pytest.mark.real_data
def test_a_test_split_is_scored_in_a_moment(model_a):
    gold, offsets = flatten(model_a[0], MULTINERD)
    predicted, _ = flatten(model_a[1], MULTINERD)
    assert len(gold) == 693_006
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for strict in (True, False):
            scores(count(gold, predicted, offsets, MULTINERD, strict=strict), MULTINERD_TYPES)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.4
