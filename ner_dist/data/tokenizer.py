"""Tokenizers: load one that can split words which are split already, or learn one from the training split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# RoBERTa's special tokens in the order of their ids.
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def load_tokenizer(name: str, *, revision: str | None = None) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a model, set up for words that are split already.

    Some tokenizers write a word's leading space into its first subword and need `add_prefix_space` to do so
    for words given one by one. Which ones is found by trying, not from a list of names.

    Args:
        name: hub name or local folder.
        revision: branch, tag or commit on the hub.

    Raises:
        UserError: there is no such tokenizer, or no fast one.
    """
    tokenizer = _load(name, revision)
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            f"`{name}` has no fast tokenizer, which is needed to know the word of each subword", where="model.name"
        )
    if not _splits_words_as_text(tokenizer):
        spaced = _load(name, revision, add_prefix_space=True)
        if _splits_words_as_text(spaced):
            return spaced
    return tokenizer


def _load(name: str, revision: str | None, **options: bool) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, use_fast=True, **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"cannot load the tokenizer of `{name}`: {reason}",
            where="model.name",
            fix="name a hub model (with a network, or after `ner-dist prepare`) or a folder that holds one",
        ) from None
    if getattr(tokenizer, "is_fast", False):
        # Some models ship with fixed padding and truncation, which would cut and fill every sentence.
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def _splits_words_as_text(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the second of two given words becomes the subwords it has in running text."""
    backend = tokenizer.backend_tokenizer
    text = backend.encode("visit York", add_special_tokens=False).ids
    words = backend.encode(["visit", "York"], is_pretokenized=True, add_special_tokens=False)
    second = [subword for subword, word in zip(words.ids, words.word_ids, strict=True) if word == 1]
    return text[-len(second) :] == second


def special_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and behind a sentence."""
    backend = tokenizer.backend_tokenizer
    bare = backend.encode(["a"], is_pretokenized=True, add_special_tokens=False).ids
    whole = backend.encode(["a"], is_pretokenized=True, add_special_tokens=True).ids
    start = next(i for i in range(len(whole) + 1) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


def train_tokenizer(
    sentences: Iterable[list[str]], *, vocab_size: int, max_length: int
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer like RoBERTa's, learnt from words; the same words give the same tokenizer.

    Args:
        sentences: the words of each sentence.
        vocab_size: number of subwords, the 5 special ones and 256 bytes included.
        max_length: longest input in subwords, special tokens included.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    trained = ByteLevelBPETokenizer(add_prefix_space=True)
    text = (" ".join(words) for words in sentences)
    trained.train_from_iterator(text, vocab_size, min_frequency=2, show_progress=False, special_tokens=list(_SPECIAL))
    return RobertaTokenizerFast(
        tokenizer_object=trained._tokenizer, model_max_length=max_length, add_prefix_space=True
    )
