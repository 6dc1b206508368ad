"""Every common family of encoders is trained, saved and loaded again, with equal scores."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
from transformers import AutoTokenizer, pipeline

from ner_dist.errors import UserError
from ner_dist.model.tokenizer import load_tokenizer
from tests import small
from tests.encoders import ENCODERS, make_encoder
from tests.training.test_model_card import blocks, executed

DATA = ["data.synthetic.train=60", "data.synthetic.validation=10", "data.synthetic.test=30"]
TRAIN = ["train.max_steps=5", "train.batch_tokens=256", "train.micro_batch_tokens=128"]
TRAIN += ["train.learning_rate=0.02", "checkpoint.every=null", "evaluation.every=5"]
CAUSAL = {"gpt2", "llama", "qwen2", "qwen3"}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_family_is_trained_saved_loaded_and_scored_as_it_was(name, tmp_path, log_lines):
    encoder = make_encoder(name, tmp_path / "encoder")
    run = small.train(small.recipe(tmp_path, f"model.name={encoder}", *DATA, *TRAIN))

    results = json.loads((run / "results.json").read_text())
    lines = [json.loads(line) for line in (run / "predictions" / "test.jsonl").open()]
    windows = results["data"]["test_windows"]
    # Some sentences are longer than the encoder's positions, and the others are given again what was scored.
    assert windows > len(lines) == 30
    tried = results["examples"]
    assert tried["words_as_scored"] == tried["words"] > 10
    _, example, text = blocks(run)
    names = executed(example, run)
    # XLNet reads as much as it is given: 512 are as good as any, and a micro-batch here holds 128.
    assert (names["tokenizer"].model_max_length, tried["longest"]) == (
        (512, 128) if name == "xlnet" else (64, 64)
    )
    lengths = [len(names["tokenizer"](line["tokens"], is_split_into_words=True).input_ids) for line in lines]
    for line in [line for line, length in zip(lines, lengths, strict=True) if length <= 64][:3]:
        assert executed(example, run, words=line["tokens"])["tags"] == line["predicted"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tag = executed(text, run)["tag"]
        # Longer than the model takes; and several at a time, filled up.
        long = " ".join(word for line in lines[:8] for word in line["tokens"])
        assert isinstance(tag(long), list)
        batched = pipeline("token-classification", str(run / "model"), ignore_labels=[], batch_size=3)
        texts = [" ".join(line["tokens"][:n]) for line, n in zip(lines, (3, 5, 1), strict=False)]
        for alone, together in zip([batched(each) for each in texts], batched(texts), strict=True):
            assert [each["entity"] for each in alone] == [each["entity"] for each in together]
            assert [each["score"] for each in alone] == pytest.approx(
                [each["score"] for each in together], abs=1e-4
            )
    reads_forward = [line for line in log_lines if "is a causal model" in line]
    assert len(reads_forward) == (name in CAUSAL)
    assert not any("splits single words differently" in line for line in log_lines)


# Their subwords say nothing of the space before a word.
SPACELESS = {"bert", "bert-vocab.txt", "distilbert", "electra", "mpnet"}
# transformers has one tokenizer for these models, whatever was saved: it can put a space before York alone.
HALF = {"qwen2"}


@pytest.mark.parametrize("name", ENCODERS)
def test_words_are_split_as_in_the_text_that_the_encoder_knows_and_still_when_loaded_again(name, tmp_path):
    folder = make_encoder(name, tmp_path / "encoder")
    word = "York" if name in HALF else "York's"
    plain = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    text = plain.encode(f"visit {word}", add_special_tokens=False).tokens
    tokenizer = load_tokenizer(str(folder))
    given = tokenizer.backend_tokenizer.encode(
        ["visit", word], is_pretokenized=True, add_special_tokens=False
    )
    second = [piece for piece, word in zip(given.tokens, given.word_ids, strict=True) if word == 1]
    assert text[-len(second) :] == second
    assert second[0].startswith(("Ġ", "▁")) is (name not in SPACELESS)

    saved = tmp_path / "saved"
    tokenizer.save_pretrained(saved)
    shutil.copy(folder / "config.json", saved)
    again = AutoTokenizer.from_pretrained(saved)
    for words in (["visit", "York's"], ["naïve", "Zürich-based", "3.5", "%"]):
        ours, theirs = (each(words, is_split_into_words=True).input_ids for each in (tokenizer, again))
        assert ours == theirs
    assert again.padding_side == "right" and again.pad_token_id == tokenizer.pad_token_id is not None


def test_a_padding_token_is_one_that_the_encoder_knows(tmp_path, log_lines):
    tokenizer = load_tokenizer(str(make_encoder("gpt2", tmp_path / "gpt2")))
    assert (tokenizer.pad_token, len(tokenizer)) == ("<|endoftext|>", 340)
    assert log_lines == [f"{tmp_path / 'gpt2'} has no padding token: padding with <|endoftext|>, masked out"]


def test_an_encoder_with_fewer_rows_than_its_tokenizer_has_subwords_gets_them(tmp_path, log_lines):
    """As after `tokenizer.add_special_tokens({"pad_token": "[PAD]"})` without a change of the model."""
    encoder = make_encoder("gpt2", tmp_path / "encoder")
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(encoder)
    run = small.train(small.recipe(tmp_path, f"model.name={encoder}", *DATA, *TRAIN))
    assert any(
        "knows 340 of its tokenizer's 341 subwords: the others are initialised at random" in x
        for x in log_lines
    )
    assert json.loads((run / "model" / "config.json").read_text())["vocab_size"] == 341


def test_a_damaged_sentencepiece_file_is_said_to_be_one(tmp_path):
    folder = make_encoder("deberta-v3", tmp_path / "encoder")
    (folder / "spm.model").write_bytes(b"\x0e\x00nothing")
    with pytest.raises(
        UserError, match=r"its \*\.model file is damaged, or not in SentencePiece's format"
    ) as caught:
        load_tokenizer(str(folder))
    assert "tiktoken" not in str(caught.value)


def test_a_tokenizer_that_only_python_has_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "tokenizer_class": "BertweetTokenizer"}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertweetTokenizer"}')
    (tmp_path / "vocab.txt").write_text("".join(f"{letter} 9\n" for letter in "abcdefgh"))
    (tmp_path / "bpe.codes").write_text("a b 9\nc d 9\n")
    with pytest.raises(
        UserError, match="has no fast tokenizer, which is needed to know the word of each"
    ) as caught:
        load_tokenizer(str(tmp_path))
    assert caught.value.where == "model.name"
