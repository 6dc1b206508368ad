"""Tokenizers: load one that can split words which are split already, or learn one from the training split."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)


def load_tokenizer(name: str, *, revision: str | None = None) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a model, set up for words that are split already.

    Some tokenizers write a word's leading space into its first subword and need `add_prefix_space` to do so
    for words given one by one. Which ones is found by trying, not from a list of names.

    Args:
        name: hub name or local folder.
        revision: branch, tag or commit on the hub.

    Raises:
        UserError: there is no such tokenizer, or no fast one, or one without a vocabulary.
    """
    check_model_name(name)
    tokenizer = _load(name, revision)
    if _splits_words_as_text(tokenizer.backend_tokenizer):
        return tokenizer
    spaced = _load(name, revision, add_prefix_space=True)
    if not _splits_words_as_text(spaced.backend_tokenizer):
        # Tokenizers without a class of their own in transformers take the option and do nothing with it.
        _put_space_before_words(spaced.backend_tokenizer)
    if _splits_words_as_text(spaced.backend_tokenizer):
        return spaced
    log.warning(
        "the tokenizer of %s splits words given one by one otherwise than in running text, with and without "
        "add_prefix_space: training works, but less well than it could; try a model with another tokenizer",
        name,
    )
    return tokenizer


def check_model_name(name: str) -> None:
    """Say so if a name can only be a folder's and there is none; the hub's client would call it a bad id."""
    if Path(name).is_dir():
        return
    if Path(name).exists():
        raise UserError(f"`{name}` is a file", where="model.name", fix="name the folder that holds the model")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(
            f"there is no folder `{name}`", where="model.name", fix="name a model's folder or a hub model"
        )


def _load(name: str, revision: str | None, **options: bool) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name, revision=revision, **options)
    # Broken files raise whatever the reader of each kind raises, the Rust ones a bare Exception.
    except Exception as error:
        log.debug("loading the tokenizer of %s failed", name, exc_info=error)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"cannot load the tokenizer of `{name}`: {lines[0].strip().rstrip(':.')}",
            where="model.name",
            fix="name a hub model (with a network, or after `ner-dist prepare`) or a folder that holds one",
        ) from None
    if not tokenizer.is_fast:
        raise UserError(
            f"`{name}` has no fast tokenizer, which is needed to know the word of each subword",
            where="model.name",
            fix="name a model with a tokenizer.json",
        )
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers makes an empty tokenizer out of a folder that has none: every word would be unknown.
        raise UserError(
            f"the tokenizer of `{name}` has no vocabulary",
            where="model.name",
            fix="put the model's tokenizer files (tokenizer.json, vocab.txt, …) beside its weights",
        )
    # Some models ship with fixed padding and truncation, which would cut and fill every sentence.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def _splits_words_as_text(backend: Tokenizer) -> bool:
    """Whether the second of two given words becomes the subwords it has in running text."""
    text = backend.encode("visit York's", add_special_tokens=False).ids
    before = backend.encode("visit", add_special_tokens=False).ids
    words = backend.encode(["visit", "York's"], is_pretokenized=True, add_special_tokens=False)
    second = [subword for subword, word in zip(words.ids, words.word_ids, strict=True) if word == 1]
    return text[len(before) :] == second


def _put_space_before_words(backend: Tokenizer) -> None:
    from tokenizers import pre_tokenizers

    splitter = backend.pre_tokenizer
    if isinstance(splitter, pre_tokenizers.ByteLevel):
        splitter.add_prefix_space = True
    elif isinstance(splitter, pre_tokenizers.Metaspace):
        splitter.prepend_scheme = "always"


def special_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and behind a sentence."""
    backend = tokenizer.backend_tokenizer
    bare = backend.encode(["a"], is_pretokenized=True, add_special_tokens=False).ids
    whole = backend.encode(["a"], is_pretokenized=True, add_special_tokens=True).ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


def train_tokenizer(
    sentences: Iterable[list[str]], *, vocab_size: int, max_length: int
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer like RoBERTa's, learnt from words; the same words give the same tokenizer.

    Args:
        sentences: the words of each sentence.
        vocab_size: largest number of subwords, the 5 special ones and 256 bytes included.
        max_length: longest input in subwords, special tokens included.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import RobertaTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        # In the order of RoBERTa's ids; the mask takes the space before it, as RoBERTa's does.
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    backend.train_from_iterator((" ".join(words) for words in sentences), trainer)
    # The class puts <s> and </s> around a sentence.
    return RobertaTokenizerFast(tokenizer_object=backend, model_max_length=max_length, add_prefix_space=True)
