"""Scores equal seqeval's on the model's predictions, each word scored once, in any batching."""

from __future__ import annotations

import string
import tracemalloc
import warnings
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import sequence_labeling, v1
from seqeval.scheme import IOB2
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.encoding import Encoded, encode
from ner_dist.data.labelled import LabelledSplit
from ner_dist.data.prepared import PreparedSplit
from ner_dist.data.renaming import places
from ner_dist.evaluation import exchange
from ner_dist.evaluation.evaluate import evaluate
from ner_dist.evaluation.id2label import Decoder, spell_model
from ner_dist.evaluation.json_form import as_json
from ner_dist.labels import LabelSet
from tests import small
from tests.data.schemes import read_plainly
from tests.data.test_words_without_subwords import by_hand

LABELS = LabelSet.from_types(["PER", "LOC", "BIO"])
NO_SUBWORDS = "\u200b"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LETTERS = string.ascii_lowercase
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]


def letter_tokenizer():
    """A subword is a letter; words of zero width have none."""
    pieces = models.WordPiece({piece: i for i, piece in enumerate(VOCABULARY)}, unk_token="[UNK]")
    backend = Tokenizer(pieces)
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


TOKENIZER = letter_tokenizer()
WINDOW = 9


class TableTagger(torch.nn.Module):
    """Tag a word by its first letter alone, so that other words of a batch cannot matter."""

    def __init__(self, labels, *, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.randn(len(VOCABULARY), len(labels), generator=generator)
        self.labels = labels
        self.asked = 0

    def forward(self, input_ids, attention_mask):
        assert not self.training
        self.asked += len(input_ids)
        return SimpleNamespace(logits=self.table[input_ids])

    def row(self, word):
        return self.table[VOCABULARY.index(word[0])]

    def tags(self, words):
        """The tags of a sentence, as they are to be written."""
        return by_hand([None if w == NO_SUBWORDS else self.labels.tags[self.row(w).argmax()] for w in words])


def prepared(sentences, *, window=WINDOW, overlap=3):
    offsets = offsets_of(np.array([len(words) for words in sentences], dtype=np.int64))
    split = Split(tokens=sentences, tags=np.zeros(offsets[-1], np.int16), offsets=offsets)
    encoded = encode(split, TOKENIZER, max_length=window, overlap=overlap)
    return PreparedSplit(folder=Path("unused"), tags=split.tags, offsets=offsets, encoded=encoded)


def ids_of(tags, labels=LABELS):
    return np.array([labels.label2id[tag] for sentence in tags for tag in sentence], dtype=np.int16)


def decoder_of(tags, labels, *, iob2=False):
    spelt = spell_model(tags, folder="model", given=None)
    return Decoder(spelt=spelt, to=places(spelt.names, {}, labels.types), labels=labels, iob2=iob2)


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture(scope="module")
def scored(accelerator):
    """Evaluate a tagger, with predictions."""

    def scored(tagger, split, gold, *, labels=LABELS, batch_tokens=64, **settings):
        return evaluate(
            tagger,
            LabelledSplit(split, tags=gold, labels=labels, pad_id=0),
            accelerator=accelerator,
            batch_tokens=batch_tokens,
            with_predictions=True,
            **settings,
        )

    return scored


def seqeval_figures(gold, predicted):
    with warnings.catch_warnings():
        # It warns of each 0/0, and numpy of the mean of nothing.
        warnings.simplefilter("ignore")
        strict = v1.precision_recall_fscore_support(gold, predicted, average="micro", scheme=IOB2)
        lenient = sequence_labeling.precision_recall_fscore_support(gold, predicted, average="micro")
    return strict[:3], lenient[:3]


WORDS = st.one_of(st.text(LETTERS, min_size=1, max_size=4), st.just(NO_SUBWORDS))


@st.composite
def tagged_sentences(draw):
    """(sentences, gold tags), the sentences up to several windows long; no seqeval without a sentence."""
    sentences = draw(st.lists(st.lists(WORDS, max_size=20), min_size=1, max_size=8))
    gold = [[draw(st.sampled_from(LABELS.tags)) for _ in words] for words in sentences]
    return sentences, gold


@given(case=tagged_sentences(), batch_tokens=st.sampled_from([1, 9, 20, 64, 4096]), seed=st.integers(0, 5))
def test_figures_are_those_of_seqeval_on_the_models_answers(scored, case, batch_tokens, seed):
    sentences, gold = case
    tagger = TableTagger(LABELS, seed=seed)
    predicted = [tagger.tags(words) for words in sentences]
    evaluation = scored(tagger, prepared(sentences), ids_of(gold), batch_tokens=batch_tokens)

    figures = as_json(evaluation.figures)
    strict, lenient = seqeval_figures(gold, predicted)
    for ours, theirs in ((figures, strict), (figures["lenient"], lenient)):
        assert (ours["precision"], ours["recall"], ours["f1"]) == theirs
    pairs = [pair for tags in zip(gold, predicted, strict=True) for pair in zip(*tags, strict=True)]
    assert evaluation.correct_words == sum(a == b for a, b in pairs)
    assert figures["accuracy"] == evaluation.correct_words / max(len(pairs), 1)
    assert (figures["sentences"], figures["words"]) == (len(sentences), len(pairs))
    # In the order of the data, words without subwords included.
    assert evaluation.predicted.tolist() == ids_of(predicted).tolist()


@given(case=tagged_sentences(), batch_tokens=st.sampled_from([1, 20, 4096]))
def test_the_loss_is_the_mean_over_the_words_that_have_subwords(scored, case, batch_tokens):
    sentences, gold = case
    tagger = TableTagger(LABELS)
    pairs = [pair for both in zip(sentences, gold, strict=True) for pair in zip(*both, strict=True)]
    losses = [
        -tagger.row(word).double().log_softmax(0)[LABELS.label2id[tag]].item()
        for word, tag in pairs
        if word != NO_SUBWORDS
    ]
    evaluation = scored(tagger, prepared(sentences), ids_of(gold), batch_tokens=batch_tokens)
    assert evaluation.loss_words == len(losses)
    assert evaluation.loss == pytest.approx(sum(losses) / max(len(losses), 1), rel=1e-5)


def test_a_sentence_longer_than_the_window_counts_once(scored):
    words = list(string.ascii_lowercase)
    split = prepared([words, ["a"]])
    assert len(split.encoded.lengths) > 4
    tagger = TableTagger(LABELS)
    gold = [tagger.tags(words), tagger.tags(["a"])]
    figures = as_json(scored(tagger, split, ids_of(gold)).figures)
    assert (figures["sentences"], figures["words"], figures["accuracy"]) == (2, 27, 1.0)
    assert sum(each["support"] for each in figures["lenient"]["per_type"].values()) > 0
    assert figures["lenient"]["f1"] == 1.0


def test_words_without_subwords_go_on_with_the_entity_around_them(scored):
    gap = NO_SUBWORDS
    split = prepared([["a", gap, "b", gap], [gap, "b"], [], ["c", gap, gap, "b", gap, "a"]])
    tagger = TableTagger(LABELS)
    for word, tag in (("a", "B-PER"), ("b", "I-PER"), ("c", "B-LOC")):
        tagger.row(word)[:] = 0.0
        tagger.row(word)[LABELS.label2id[tag]] = 9.0
    gold = ids_of(
        [["B-PER", "I-PER", "I-PER", "O"], ["B-PER", "I-PER"], [], ["B-LOC", "O", "O", "O", "B-PER", "I-PER"]]
    )
    evaluation = scored(tagger, split, gold)
    answers = [
        ["B-PER", "I-PER", "I-PER", "O"],
        ["O", "I-PER"],
        [],
        ["B-LOC", "O", "O", "I-PER", "O", "B-PER"],
    ]
    assert evaluation.predicted.tolist() == ids_of(answers).tolist()
    figures = as_json(evaluation.figures)
    # The model is not asked about the gaps, but what it misses there counts.
    assert (figures["precision"], figures["recall"]) == (2 / 3, 2 / 4)
    assert (evaluation.words, evaluation.loss_words, evaluation.sentences) == (12, 6, 4)


def test_no_sentences_score_nothing(scored):
    figures = as_json(scored(TableTagger(LABELS), prepared([]), np.empty(0, np.int16)).figures)
    assert (figures["f1"], figures["accuracy"], figures["loss"], figures["sentences"]) == (0.0, 0.0, 0.0, 0)


@given(case=tagged_sentences(), kept=st.sampled_from([["LOC"], ["PER", "BIO"], ["BIO", "PER", "LOC"]]))
def test_a_model_of_more_types_is_scored_on_those_that_are_asked_for(scored, case, kept):
    """Its other tags count as O, in gold and in prediction; its loss over other labels means nothing."""
    sentences, gold = case
    tagger, asked = TableTagger(LABELS), LabelSet.from_types(kept)

    def project(tags):
        return [[tag if tag in asked.tags else "O" for tag in sentence] for sentence in tags]

    gold = project(gold)
    predicted = project([tagger.tags(words) for words in sentences])
    evaluation = scored(
        tagger,
        prepared(sentences),
        ids_of(gold, asked),
        labels=asked,
        decoder=decoder_of(LABELS.tags, asked, iob2=True),
    )
    figures = as_json(evaluation.figures)
    strict, lenient = seqeval_figures(gold, predicted)
    assert (figures["precision"], figures["recall"], figures["f1"]) == strict
    assert figures["lenient"]["f1"] == lenient[2]
    assert list(figures["per_type"]) == kept
    assert evaluation.predicted.tolist() == ids_of(predicted, asked).tolist()
    assert np.isnan(evaluation.loss)


LABEL_SETS = {
    "I- alone": ["O", "I-PER", "I-LOC", "I-BIO"],
    "IO": ["O", "PER", "LOC", "BIO", "[PAD]"],
    "IOBES": ["O", *(f"{part}-{name}" for name in ("LOC", "BIO") for part in "BIES"), "[CLS]", "X"],
    "more types": ["I-LAW", "B-LAW", "O", "B-PER", "I-PER"],
}


@pytest.mark.parametrize("kind", LABEL_SETS)
@given(case=tagged_sentences(), seed=st.integers(0, 5))
def test_a_tagger_of_another_scheme_is_scored_on_its_entities(scored, kind, case, seed):
    sentences, gold = case
    tags = LABEL_SETS[kind]
    tagger = TableTagger(LabelSet(tuple(tags)), seed=seed)

    def iob2(words):
        """A walk over the words that the model was asked for; the others follow from these."""
        said = [tags[tagger.row(word).argmax()] for word in words if word != NO_SUBWORDS]
        said = ["O" if tag in ("X", "[CLS]", "[PAD]") else tag for tag in said]
        said = [f"I-{tag}" if kind == "IO" and tag != "O" else tag for tag in said]
        read = read_plainly(said, begins_with_inside=kind in ("I- alone", "IO"))
        left = iter(["O" if tag.endswith("LAW") else tag for tag in read])
        return by_hand([None if word == NO_SUBWORDS else next(left) for word in words])

    # How the entities of the last two begin is not in their labels, but in what they say.
    decoder = decoder_of(tags, LABELS, iob2=kind in ("IOBES", "more types"))
    evaluation = scored(tagger, prepared(sentences), ids_of(gold), decoder=decoder)
    assert evaluation.predicted.tolist() == ids_of([iob2(words) for words in sentences]).tolist()
    assert np.isnan(evaluation.loss)


def test_the_types_without_a_b_begin_with_their_i_and_the_others_as_most_of_them_do(scored):
    """A tagger like those trained on CoNLL-2003 as published, which has no B-PER."""
    tags = ["O", "I-PER", "B-LOC", "I-LOC"]
    tagger = TableTagger(LabelSet(tuple(tags)))
    for letter, tag in zip("opbi", tags, strict=True):
        tagger.table[VOCABULARY.index(letter)] = torch.eye(4)[tags.index(tag)] * 9
    words = {"iob1": [["p", "i", "b", "o"], ["i", "i"]], "iob2": [["p", "i", "o"], ["b", "i"]]}
    read = {}
    for scheme, sentences in words.items():
        gold = np.zeros(sum(map(len, sentences)), np.int16)
        done = scored(tagger, prepared(sentences), gold, decoder=decoder_of(tags, LABELS))
        read[scheme] = [LABELS.tags[tag] for tag in done.predicted]
        assert done.scheme == scheme.upper()
    assert read["iob1"] == ["B-PER", "B-LOC", "B-LOC", "O", "B-LOC", "I-LOC"]
    assert read["iob2"] == ["B-PER", "I-LOC", "O", "B-LOC", "I-LOC"]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [(["O", "B-PER", "I-PER"], "IOB1"), (["O", "I-PER", "B-PER"], "IOB2")],
)
def test_a_tagger_with_every_label_is_judged_by_what_it_says(scored, tags, scheme):
    """Trained on IOB1, it has a B- that it hardly ever predicts."""
    tagger = TableTagger(LabelSet(tuple(tags)))
    tagger.table[:] = torch.eye(3)[0]
    tagger.table[VOCABULARY.index("p")] = torch.eye(3)[2] * 9
    labels = LabelSet.from_types(["PER"])
    gold = ids_of([["B-PER", "I-PER", "O"], ["B-PER"]], labels)
    evaluation = scored(
        tagger, prepared([["p", "p", "a"], ["p"]]), gold, labels=labels, decoder=decoder_of(tags, labels)
    )
    assert evaluation.scheme == scheme
    assert evaluation.figures.f1 == (1.0 if scheme == "IOB1" else 0.4)
    # There is a loss where every id means the same, which it does not if its I- begin entities.
    assert np.isnan(evaluation.loss)


def test_there_is_a_loss_if_every_id_means_the_same(scored):
    labels = LabelSet.from_types(["PER"])
    tagger, gold = TableTagger(labels), ids_of([["B-PER", "O"]], labels)
    plain = scored(tagger, prepared([["b", "a"]]), gold, labels=labels)
    decoded = scored(
        tagger,
        prepared([["b", "a"]]),
        gold,
        labels=labels,
        decoder=decoder_of(["O", "B-PER", "I-PER"], labels, iob2=True),
    )
    assert decoded.loss == plain.loss and decoded.predicted.tolist() == plain.predicted.tolist()


@given(case=tagged_sentences(), batch_tokens=st.sampled_from([1, 20, 4096]), seed=st.integers(0, 5))
def test_confidence_is_the_probability_of_the_predicted_tag(scored, case, batch_tokens, seed):
    sentences, gold = case
    tagger = TableTagger(LABELS, seed=seed)
    evaluation = scored(tagger, prepared(sentences), ids_of(gold), batch_tokens=batch_tokens)
    expected = [
        # Nobody asked the model about these.
        1.0 if word == NO_SUBWORDS else tagger.row(word).double().softmax(0).max().item()
        for words in sentences
        for word in words
    ]
    assert evaluation.confidence == pytest.approx(expected, abs=0.5001e-4)
    assert evaluation.confidence.tolist() == [round(value, 4) for value in evaluation.confidence.tolist()]


def test_a_model_that_gives_no_numbers_is_not_confident(scored):
    tagger = TableTagger(LABELS)
    tagger.table[:] = torch.nan
    evaluation = scored(tagger, prepared([["a", NO_SUBWORDS]]), np.zeros(2, np.int16))
    assert evaluation.confidence.tolist() == [0.0, 1.0]


def test_the_model_is_asked_once_for_each_window_and_left_as_it_was(scored):
    split = prepared([["abc", "de"] * 6, ["f"], ["gh"]])
    for mode in (True, False):
        tagger = TableTagger(LABELS).train(mode)
        scored(tagger, split, np.zeros(14, np.int16))
        assert tagger.asked == len(split.encoded.lengths)
        assert tagger.training is mode


def test_counting_in_parts_changes_nothing(scored, monkeypatch):
    random = np.random.default_rng(0)
    sentences = [[*random.choice(list(LETTERS), n)] for n in random.integers(0, 12, 200)]
    split = prepared(sentences)
    gold = random.integers(0, len(LABELS), len(split.tags)).astype(np.int16)
    whole = as_json(scored(TableTagger(LABELS), split, gold).figures)
    for words in (1, 7, 100):
        monkeypatch.setattr(exchange, "CHUNK", words)
        parts = as_json(scored(TableTagger(LABELS), split, gold).figures)
        assert parts | {"words_per_second": 0} == whole | {"words_per_second": 0}


def test_no_logits_are_kept(scored):
    made, alive = [], []

    class Watched(TableTagger):
        def forward(self, input_ids, attention_mask):
            alive.append(sum(logits() is not None for logits in made))
            output = super().forward(input_ids, attention_mask)
            made.append(weakref.ref(output.logits))
            return output

    scored(Watched(LABELS), prepared([["abc", "de"]] * 40), np.zeros(80, np.int16))
    assert len(alive) > 3 and max(alive) <= 1


def test_arrays_grow_by_the_predictions_alone(accelerator, monkeypatch):
    monkeypatch.setattr(exchange, "CHUNK", 20_000)

    def peak_bytes(n_sentences):
        n, width = n_sentences, 20
        encoded = Encoded(
            np.full(n * width, 4, np.int32),
            np.arange(0, n * width + 1, width),
            np.arange(n * width, dtype=np.int32),
            np.arange(n, dtype=np.int32),
        )
        tags, offsets = np.zeros(n * width, np.int16), encoded.example_offsets
        split = PreparedSplit(Path("unused"), tags=tags, offsets=offsets, encoded=encoded)
        tracemalloc.start()
        evaluate(
            TableTagger(LABELS),
            LabelledSplit(split, tags=tags, labels=LABELS, pad_id=0),
            accelerator=accelerator,
            batch_tokens=4096,
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = 2_000, 20_000
    by_word = (peak_bytes(many) - peak_bytes(few)) / ((many - few) * 20)
    # 3 bytes are the prediction and how often it was made; the rest is what a sentence of 20 words costs.
    assert 3 < by_word < 8, by_word


def test_results_name_their_schemes(scored):
    figures = as_json(scored(TableTagger(LABELS), prepared([["a", "b"]]), ids_of([["B-PER", "O"]])).figures)
    assert figures["scheme"] == "strict IOB2"
    assert figures["lenient"]["scheme"] == "lenient (seqeval default)"
    keys = {"loss", "precision", "recall", "f1", "accuracy", "per_type", "macro", "sentences", "words"}
    assert keys <= figures.keys()
    assert figures["per_type"]["PER"].keys() == {"precision", "recall", "f1", "support"}
    assert figures["words_per_second"] > 0


def test_predictions_are_made_only_if_they_are_asked_for(accelerator):
    split = LabelledSplit(prepared([["a", "b"]]), tags=np.zeros(2, np.int16), labels=LABELS, pad_id=0)
    evaluation = evaluate(TableTagger(LABELS), split, accelerator=accelerator, batch_tokens=8)
    assert evaluation.predicted is None and evaluation.confidence is None and evaluation.words == 2


def test_a_word_that_is_predicted_twice_is_no_result(scored):
    split = prepared([list("abcdefghij")])
    encoded = split.encoded
    words = encoded.word_index.copy()
    # The second window owns a word of the first.
    words[encoded.example_offsets[1] + 1] = words[1]
    broken = Encoded(encoded.input_ids, encoded.example_offsets, words, encoded.sentence)
    split = PreparedSplit(split.folder, tags=split.tags, offsets=split.offsets, encoded=broken)
    for batch_tokens in (64, 9):
        with pytest.raises(AssertionError, match="predicted twice"):
            scored(TableTagger(LABELS), split, np.zeros(10, np.int16), batch_tokens=batch_tokens)
