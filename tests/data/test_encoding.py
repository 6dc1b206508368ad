"""First subwords represent words, each word is owned once, and words get the same subwords as in text."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, RobertaTokenizerFast, XLMRobertaTokenizerFast

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.encoding import encode
from ner_dist.errors import UserError
from ner_dist.model.tokenizer import load_tokenizer, special_tokens, train_tokenizer

TEXT = [
    "Anna Berg visits York's old minster , doesn't she ?",
    "The University of York opened in 1963 near Heslington .",
    "İstanbul'da Zürich-based naïve café owners met 東京 guests — 3.5 % more !",
    "visit York and the minster of York , visit Anna",
]
SENTENCES = [text.split() for text in TEXT]
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
ODD_WORDS = ["\u200b", "", " ", "a b", "\u00ad", "[SEP]", "<s>", "\ufeff", FAMILY, "antidisestablished" * 5]


def split_of(sentences):
    offsets = offsets_of(np.array([len(words) for words in sentences], dtype=np.int64))
    return Split(tokens=sentences, tags=np.zeros(offsets[-1], np.int16), offsets=offsets)


def byte_level(*, add_prefix_space):
    """A BPE tokenizer of bytes, as RoBERTa has, learnt on a few sentences."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXT * 10, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return backend


def unigram(*, prepend_scheme="always"):
    """A Unigram tokenizer of text with visible spaces, as XLM-R has."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=150,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        unk_token="<unk>",
        show_progress=False,
    )
    backend.train_from_iterator(TEXT * 10, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return backend


SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Model folders as found in practice: with and without a class in transformers, set up for text."""
    made = {
        "roberta": RobertaTokenizerFast(tokenizer_object=byte_level(add_prefix_space=False)),
        "bytes": PreTrainedTokenizerFast(tokenizer_object=byte_level(add_prefix_space=False), **SPECIAL),
        "xlm-r": XLMRobertaTokenizerFast(tokenizer_object=unigram()),
        "pieces": PreTrainedTokenizerFast(tokenizer_object=unigram(), **SPECIAL),
        "pieces-without-space": PreTrainedTokenizerFast(
            tokenizer_object=unigram(prepend_scheme="never"), **SPECIAL
        ),
    }
    root = tmp_path_factory.mktemp("tokenizers")
    for name, tokenizer in made.items():
        tokenizer.save_pretrained(root / name)
    return {name: root / name for name in made}


KINDS = ["roberta", "bytes", "xlm-r", "pieces", "pieces-without-space", "scratch"]


@pytest.fixture(scope="module")
def tokenizers(folders):
    """Kind -> tokenizer as the package loads it."""
    made = {name: load_tokenizer(str(folder)) for name, folder in folders.items()}
    return made | {"scratch": train_tokenizer(SENTENCES * 3, vocab_size=330, max_length=64)}


@pytest.fixture(params=[pytest.param("minilm", marks=pytest.mark.encoder), *KINDS])
def tokenizer(request, tokenizers):
    if request.param == "minilm":
        return load_tokenizer(str(request.getfixturevalue("minilm")))
    return tokenizers[request.param]


def owned_words(encoded):
    """(example, place in it, word) of every word that is owned."""
    for example in range(len(encoded.lengths)):
        start, end = encoded.example_offsets[example : example + 2]
        for place in np.flatnonzero(encoded.word_index[start:end] >= 0):
            yield example, int(place), int(encoded.word_index[start + place])


def examples_of(encoded):
    return [ids.tolist() for ids in np.split(encoded.input_ids, encoded.example_offsets[1:-1])]


def test_short_sentences_are_encoded_as_transformers_does_it(tokenizer):
    sentences = [*SENTENCES, ODD_WORDS, ["York"], ["\u200b"]]
    split = split_of(sentences)
    encoded = encode(split, tokenizer, max_length=1000, overlap=8)
    theirs = tokenizer(sentences, is_split_into_words=True)
    assert examples_of(encoded) == theirs["input_ids"]
    assert encoded.sentence.tolist() == list(range(len(sentences)))
    expected = []
    for number in range(len(sentences)):
        of_word = theirs.word_ids(number)
        for place, word in enumerate(of_word):
            is_first = word is not None and word not in of_word[:place]
            expected.append(split.offsets[number] + word if is_first else -1)
    assert encoded.word_index.tolist() == expected


def test_arrays_have_the_types_that_are_stored(tokenizer):
    encoded = encode(split_of(SENTENCES), tokenizer, max_length=12, overlap=3)
    types = {name: getattr(encoded, name).dtype for name in vars(encoded)}
    stored = {"input_ids": "int32", "example_offsets": "int64", "word_index": "int32", "sentence": "int32"}
    assert types == stored
    assert encoded.lengths.dtype == encoded.words_per_example().dtype == np.int32


WORDS = st.one_of(
    st.sampled_from([word for words in SENTENCES for word in words]),
    st.sampled_from(ODD_WORDS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    sentences=st.lists(st.lists(WORDS, max_size=25), max_size=5),
    max_length=st.integers(3, 24),
    overlap=st.integers(0, 30),
)
def test_words_with_subwords_are_owned_once_with_their_first_subword(
    tokenizer, sentences, max_length, overlap
):
    split = split_of(sentences)
    encoded = encode(split, tokenizer, max_length=max_length, overlap=overlap)
    backend = tokenizer.backend_tokenizer
    words = [word for sentence in sentences for word in sentence]
    alone = [backend.encode([word], is_pretokenized=True, add_special_tokens=False).ids for word in words]
    assert sorted(word for *_, word in owned_words(encoded)) == [w for w, ids in enumerate(alone) if ids]
    for example, place, word in owned_words(encoded):
        ids = examples_of(encoded)[example]
        assert ids[place] == alone[word][0]
        # As much of the word as a window can hold stands there.
        kept = alone[word][: max_length - 2]
        assert ids[place : place + len(kept)] == kept
        assert encoded.sentence[example] == np.searchsorted(split.offsets, word, side="right") - 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    sentences=st.lists(st.lists(WORDS, max_size=25), max_size=5),
    max_length=st.integers(3, 24),
    overlap=st.integers(0, 30),
)
def test_examples_fit_have_special_tokens_and_cover_their_sentence(tokenizer, sentences, max_length, overlap):
    encoded = encode(split_of(sentences), tokenizer, max_length=max_length, overlap=overlap)
    prefix, suffix = special_tokens(tokenizer)
    assert (len(prefix), len(suffix)) == (1, 1)
    examples = examples_of(encoded) if len(encoded.lengths) else []
    assert all(len(ids) <= max_length and [ids[0], ids[-1]] == prefix + suffix for ids in examples)
    assert [len(ids) for ids in examples] == encoded.lengths.tolist()
    # Rising, none left out: a sentence without subwords has an example too, which owns no word.
    assert np.array_equal(np.unique(encoded.sentence), np.arange(len(sentences)))
    assert (np.diff(encoded.sentence) >= 0).all()
    owned = np.bincount([example for example, *_ in owned_words(encoded)], minlength=len(examples))
    assert owned.tolist() == encoded.words_per_example().tolist()


LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture(scope="module")
def letters():
    """A tokenizer that makes a subword of every letter, so that lengths can be chosen."""
    vocabulary = {token: i for i, token in enumerate(["[UNK]", "[CLS]", "[SEP]", *LETTERS])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", continuing_subword_prefix=""))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")


def windows_of(lengths, letters, *, room, overlap):
    """(first word, last word, owned words) of each window of a sentence with words of these lengths."""
    words = [LETTERS[i % 26] * length for i, length in enumerate(lengths)]
    encoded = encode(split_of([words]), letters, max_length=room + 2, overlap=overlap)
    text = "".join(words)
    of_place = np.repeat(np.arange(len(words)), lengths)
    found, start = [], 0
    owned = [word for *_, word in owned_words(encoded)]
    for ids, number in zip(examples_of(encoded), encoded.words_per_example(), strict=True):
        inner = "".join(letters.convert_ids_to_tokens(ids[1:-1]))
        start = text.index(inner, start)
        found.append((of_place[start], of_place[start + len(inner) - 1], owned[:number]))
        owned = owned[number:]
    return found


def test_a_long_sentence_is_cut_in_the_middle_of_what_windows_share(letters):
    windows = windows_of([1] * 22, letters, room=10, overlap=4)
    assert windows == [
        (0, 9, list(range(8))),
        (6, 15, list(range(8, 14))),
        (12, 21, list(range(14, 22))),
    ]


def test_a_sentence_that_just_fits_is_not_cut(letters):
    assert windows_of([1] * 10, letters, room=10, overlap=4) == [(0, 9, list(range(10)))]
    assert len(windows_of([1] * 11, letters, room=10, overlap=4)) == 2


def test_without_overlap_windows_follow_each_other(letters):
    windows = windows_of([2, 3, 2, 4, 1], letters, room=5, overlap=0)
    assert windows == [(0, 1, [0, 1]), (2, 2, [2]), (3, 4, [3, 4])]


@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=26),
    room=st.integers(6, 20),
    overlap=st.integers(0, 20),
)
def test_the_window_that_owns_a_word_shows_most_of_what_stands_around_it(letters, lengths, room, overlap):
    starts = np.concatenate([[0], np.cumsum(lengths)])
    windows = windows_of(lengths, letters, room=room, overlap=overlap)

    def context(window, word):
        """Subwords seen on the side where fewer are seen; nothing is missing beyond the sentence's ends."""
        first, last, _ = window
        if not first <= word <= last:
            return -1
        left = starts[word] - starts[first] if first else np.inf
        right = starts[last + 1] - starts[word + 1] if last + 1 < len(lengths) else np.inf
        return min(left, right)

    for window in windows:
        for word in window[2]:
            assert context(window, word) == max(context(other, word) for other in windows)
    for (_, last, _), (first, *_) in pairwise(windows):
        assert starts[last + 1] - starts[first] <= overlap
        assert first <= last + 1


def test_a_word_longer_than_a_window_keeps_its_beginning(letters):
    split = split_of([["a", "b" * 30, "c"]])
    encoded = encode(split, letters, max_length=10, overlap=2)
    assert sorted(word for *_, word in owned_words(encoded)) == [0, 1, 2]
    assert examples_of(encoded).count([1, *letters.convert_tokens_to_ids(["b"] * 8), 2]) == 1
    assert encoded.lengths.max() == 10


def test_chunks_of_sentences_make_no_difference(letters, monkeypatch):
    random = np.random.default_rng(0)
    sentences = [[LETTERS[i] for i in random.integers(0, 26, n)] for n in random.integers(0, 30, 50)]
    whole = encode(split_of(sentences), letters, max_length=12, overlap=4)
    monkeypatch.setattr("ner_dist.data.encoding.PART", 7)
    parts = encode(split_of(sentences), letters, max_length=12, overlap=4)
    for name in vars(whole):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_no_room_for_words_is_an_error(letters):
    with pytest.raises(UserError, match=r"data\.max_length: 2 subwords leave no room for words"):
        encode(split_of([["a"]]), letters, max_length=2, overlap=0)


def test_a_split_without_sentences_encodes_to_nothing(letters):
    encoded = encode(split_of([]), letters, max_length=12, overlap=4)
    assert encoded.example_offsets.tolist() == [0]
    assert len(encoded.lengths) == len(encoded.words_per_example()) == len(encoded.input_ids) == 0


def test_a_hundred_thousand_sentences_are_a_matter_of_seconds(letters):
    split = split_of([["ab", "cd", "e", "fgh", "ij"] * 4] * 100_000)
    began = time.process_time()
    encoded = encode(split, letters, max_length=64, overlap=8)
    assert time.process_time() - began < 40
    assert len(encoded.lengths) == 100_000


def test_special_tokens_are_found_whatever_their_number(letters):
    assert special_tokens(letters) == ([1], [2])
    backend = Tokenizer.from_str(letters.backend_tokenizer.to_str())
    cases = {"$A [SEP] [SEP]": ([], [2, 2]), "[CLS] [SEP] $A": ([1, 2], []), "$A": ([], [])}
    for template, expected in cases.items():
        backend.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        changed = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
        assert special_tokens(changed) == expected
        encoded = encode(split_of([["ab", "c"]]), changed, max_length=9, overlap=0)
        assert examples_of(encoded) == [expected[0] + [3, 4, 5] + expected[1]]


def test_given_words_become_the_subwords_they_have_in_text(tokenizer):
    text = "Anna visits York and the old minster"
    in_text = tokenizer(text, add_special_tokens=False)["input_ids"]
    given_words = tokenizer(text.split(), is_split_into_words=True, add_special_tokens=False)
    # All but the first word: whether a space stands before it is a matter of taste.
    behind = given_words.word_ids().index(1)
    assert given_words["input_ids"][behind:] == in_text[behind - len(given_words["input_ids"]) :]


@pytest.mark.parametrize("kind", ["roberta", "bytes", "pieces-without-space"])
def test_the_space_before_words_is_needed_found_and_saved(folders, kind, tmp_path):
    plain = AutoTokenizer.from_pretrained(folders[kind])
    loaded = load_tokenizer(str(folders[kind]))
    ids = [t.backend_tokenizer.encode(["visit", "York"], is_pretokenized=True).ids for t in (plain, loaded)]
    assert ids[0] != ids[1]
    loaded.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.backend_tokenizer.encode(["visit", "York"], is_pretokenized=True).ids == ids[1]


def test_a_tokenizer_that_cannot_do_it_is_named_in_a_warning(tmp_path, caplog):
    backend = byte_level(add_prefix_space=False)
    # Any space before a word is taken away again.
    backend.normalizer = normalizers.Strip()
    by_words = pre_tokenizers.Split(r" ?\w+|'s", "isolated")
    byte_splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([by_words, byte_splitter])
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        load_tokenizer(str(tmp_path))
    assert "splits single words differently from running text" in caplog.text
    assert str(tmp_path) in caplog.text


@pytest.mark.encoder
def test_truncation_and_padding_that_a_model_ships_with_are_switched_off(minilm):
    tokenizer = load_tokenizer(str(minilm))
    assert tokenizer.backend_tokenizer.truncation is None
    assert tokenizer.backend_tokenizer.padding is None
    assert len(encode(split_of([["word"] * 400]), tokenizer, max_length=512, overlap=8).input_ids) == 402


def folder_with(path, **files):
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return str(path)


BERT, ROBERTA = '{"model_type": "bert"}', '{"model_type": "roberta"}'


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "cannot load the tokenizer of"),
        ({"config__json": BERT}, "has no vocabulary; put the model's tokenizer files"),
        ({"config__json": "no JSON"}, "config.json is not JSON (Expecting value"),
        ({"config__json": BERT, "tokenizer__json": "{oops"}, "cannot load the tokenizer of"),
        (
            {"config__json": '{"model_type": "roberta"}', "vocab__json": "{}", "merges__txt": "junk"},
            "Merges text",
        ),
        ({"tokenizer_config__json": '{"tokenizer_class": "CanineTokenizer"}'}, "has no fast tokenizer"),
    ],
)
def test_a_folder_without_a_usable_tokenizer_is_one_line(tmp_path, files, message):
    with pytest.raises(UserError) as error:
        load_tokenizer(folder_with(tmp_path / "model", **files))
    text = str(error.value)
    assert text.startswith("model.name: ")
    assert message in text
    assert str(tmp_path) in text
    assert "; " in text


def test_a_path_that_is_no_folder_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"model\.name: `.*file` is a file; name the folder"):
        load_tokenizer(str(tmp_path / "file"))
    for name in (str(tmp_path / "missing"), "./missing", "runs/full/model"):
        with pytest.raises(UserError, match=r"model\.name: there is no folder"):
            load_tokenizer(name)


def test_an_unreachable_hub_is_one_line_that_says_what_to_do(tmp_path):
    code = (
        "from ner_dist.model.tokenizer import load_tokenizer\n"
        "from ner_dist.errors import UserError\n"
        "try: load_tokenizer('someone/some-model', revision='main')\n"
        "except UserError as error: print(error)"
    )
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("model.name: cannot load the tokenizer of `someone/some-model`: ")
    assert "after `ner-dist prepare`" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_learnt_tokenizer_has_robertas_special_tokens_and_splits_all_text():
    learnt = train_tokenizer(SENTENCES * 3, vocab_size=330, max_length=64)
    assert learnt.convert_ids_to_tokens(range(5)) == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    roles = ("bos", "pad", "eos", "unk", "mask")
    assert [getattr(learnt, f"{role}_token_id") for role in roles] == [0, 1, 2, 3, 4]
    assert 261 < len(learnt) <= 330
    assert learnt.model_max_length == 64
    text = f"Ünseen 東京 text {FAMILY} doesn't break"
    ids = learnt(text)["input_ids"]
    assert learnt.unk_token_id not in ids
    assert learnt.decode(ids, skip_special_tokens=True).strip() == text
    assert learnt("York <mask>.")["input_ids"] == [
        *learnt("York")["input_ids"][:-1],
        4,
        *learnt(".")["input_ids"][1:],
    ]


def test_a_learnt_tokenizer_loads_like_any_other_and_knows_where_words_stand(tmp_path):
    learnt = train_tokenizer(SENTENCES * 3, vocab_size=330, max_length=64)
    learnt.save_pretrained(tmp_path)
    auto = AutoTokenizer.from_pretrained(tmp_path)
    assert auto.add_prefix_space
    assert auto.model_max_length == 64
    sentences = [*SENTENCES, ODD_WORDS]
    theirs = learnt(sentences, is_split_into_words=True)["input_ids"]
    assert auto(sentences, is_split_into_words=True)["input_ids"] == theirs
    assert load_tokenizer(str(tmp_path))(sentences, is_split_into_words=True)["input_ids"] == theirs
    text = "Anna visits York"
    found = auto(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert {start for start, _ in found} >= {0, 5, 12}
    assert all(not text[start:end].startswith(" ") for start, end in found)


def test_the_same_words_give_the_same_tokenizer_in_every_process():
    code = (
        "import hashlib, json, sys\n"
        "from ner_dist.model.tokenizer import train_tokenizer\n"
        "learnt = train_tokenizer(json.load(sys.stdin), vocab_size=600, max_length=64)\n"
        "print(hashlib.sha256(learnt.backend_tokenizer.to_str().encode()).hexdigest())"
    )
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefgh"), size=random.integers(2, 7))) for _ in range(800)]
    sentences = json.dumps([words[i : i + 8] for i in range(0, 800, 8)] * 2)
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=sentences,
            env=os.environ | {"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, parallel in [("1", "true"), ("2", "false")]
    }
    assert len(made) == 1


@pytest.mark.encoder
def test_a_model_whose_tokenizer_files_were_left_behind_is_refused(minilm, tmp_path):
    shutil.copy(minilm / "config.json", tmp_path)
    with pytest.raises(UserError, match="has no vocabulary"):
        load_tokenizer(str(tmp_path))


def test_a_model_without_special_tokens_reads_something_of_every_sentence():
    """Of one whose words have no subwords it gets a filler, which stands for no word."""
    backend = Tokenizer(models.WordPiece({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
    assert special_tokens(tokenizer) == ([], [])
    sentences = [["\u200b"], ["a", "\u200b", "b"], [], ["b"], ["", "\u200b"]]
    encoded = encode(split_of(sentences), tokenizer, max_length=8, overlap=2)
    assert examples_of(encoded) == [[0], [2, 3], [0], [3], [0]]
    assert encoded.word_index.tolist() == [-1, 1, 3, -1, 4, -1]
    assert encoded.sentence.tolist() == [0, 1, 2, 3, 4]
    assert encoded.without_subwords(7).tolist() == [0, 2, 5, 6]
