"""Load a tokenizer for text that is already split into words, or train one on the training split."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from ner_dist.errors import UserError
from ner_dist.model.model_files import cannot_load, check_files, check_ids, check_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger(__name__)


class WordTokenizer(Protocol):
    """What encoding words needs of a tokenizer: less than a `PreTrainedTokenizerFast` has."""

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The tokenizer of the library `tokenizers`, which pads and truncates nothing."""

    @property
    def pad_token_id(self) -> int | None:
        """The id used for padding, if the tokenizer has one."""


def load_tokenizer(name: str, *, revision: str | None = None) -> PreTrainedTokenizerFast:
    """Load the fast tokenizer of a model, set up for single words and for padding on the right.

    Some tokenizers merge a word's leading space into its first subword, and need an option to do so for
    single words. Whether this is so, and which option works, is found by trying, not from a list of names.

    Args:
        name: hub name or local folder.
        revision: branch, tag or commit on the hub.

    Raises:
        UserError: there is no such tokenizer, it is not a fast one, or it has no vocabulary.
    """
    check_model_name(name)
    check_files(name)
    check_vocabulary(name)
    try:
        return _fitting(name, revision)
    except UserError:
        raise
    # A tokenizer that is loaded, but fails on words.
    except Exception as error:
        raise cannot_load(name, error, what="tokenizer") from None


def _fitting(name: str, revision: str | None) -> PreTrainedTokenizerFast:
    """The tokenizer with the option under which it splits single words as running text."""
    tokenizer: PreTrainedTokenizerFast = _load(name, revision)
    wanted = _second_word(tokenizer)
    whole: PreTrainedTokenizerFast | None = None
    begun: PreTrainedTokenizerFast | None = None
    for spaced in _spaced(tokenizer, name, revision):
        second = _second_given(spaced)
        if second[:1] == wanted[:1] and _stays(spaced, wanted=second, name=name, revision=revision):
            begun = begun or spaced
            if second == wanted:
                whole = spaced
                break
    if begun is None:
        log.warning(
            "the tokenizer of %s splits single words differently from running text, even after a "
            "space: training works, but may reach lower scores; try another model",
            name,
        )
    elif whole is None:
        log.info("the tokenizer of %s splits words like York's differently from running text", name)
    chosen: PreTrainedTokenizerFast = whole or begun or tokenizer
    _give_as_trained(chosen, name)
    return chosen


def _spaced(
    tokenizer: PreTrainedTokenizerFast, name: str, revision: str | None
) -> Iterator[PreTrainedTokenizerFast]:
    """Yield the tokenizer as it is, then with each way to put a space before a word."""
    from tokenizers import normalizers, pre_tokenizers

    yield tokenizer
    spaced = _load(name, revision, add_prefix_space=True)
    yield spaced
    # Tokenizers without a class of their own in transformers accept the option but ignore it.
    splitter = spaced.backend_tokenizer.pre_tokenizer
    if isinstance(splitter, pre_tokenizers.ByteLevel):
        splitter.add_prefix_space = True
        yield _as_it_stands(spaced)
    elif isinstance(splitter, pre_tokenizers.Metaspace):
        splitter.prepend_scheme = "always"
        yield _as_it_stands(spaced)
    # Others encode a space that is in the text, or make it visible first.
    plain = _load(name, revision)
    backend = plain.backend_tokenizer
    behind = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(" "), *behind])
    yield _as_it_stands(plain)


def _stays(tokenizer: PreTrainedTokenizerFast, *, wanted: list[int], name: str, revision: str | None) -> bool:
    """Whether the tokenizer, saved with the model, is loaded unchanged.

    For some model types transformers assumes a tokenizer class, whatever was saved.
    """
    from transformers import AutoConfig, AutoTokenizer

    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        try:
            config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
            config.save_pretrained(folder)
            loaded: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            return _second_given(loaded) == wanted
        # A configuration that cannot be read is reported when the model is loaded.
        except Exception:
            return True


def _as_it_stands(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Convert a tokenizer to the one class that loads a tokenizer.json as it was saved.

    Other classes rebuild their pre-tokenizer and normaliser, and lose changes to them.
    """
    from transformers import PreTrainedTokenizerFast

    kept = ("model_max_length", "model_input_names", "clean_up_tokenization_spaces")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        **{name: getattr(tokenizer, name) for name in kept},
        **tokenizer.special_tokens_map,
    )


def _second_word(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The subwords of the second of two words in running text."""
    backend = tokenizer.backend_tokenizer
    before = backend.encode("visit", add_special_tokens=False).ids
    return backend.encode("visit York's", add_special_tokens=False).ids[len(before) :]


def _second_given(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The subwords of the second of two words, given as separate words."""
    words = tokenizer.backend_tokenizer.encode(
        ["visit", "York's"], is_pretokenized=True, add_special_tokens=False
    )
    return [subword for subword, word in zip(words.ids, words.word_ids, strict=True) if word == 1]


def _give_as_trained(tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """Set padding and inputs as in training: padding on the right, with a known token."""
    tokenizer.padding_side = "right"
    # Otherwise the original value would be saved.
    tokenizer.init_kwargs["padding_side"] = "right"
    types = tokenizer("a").get("token_type_ids", [0])
    if any(types):
        # Training passes none, which models treat as type 0; callers should do the same.
        names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
        tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names
    if tokenizer.pad_token is None:
        for token in (tokenizer.eos_token, tokenizer.unk_token, tokenizer.bos_token, tokenizer.cls_token):
            if token is not None:
                tokenizer.pad_token = token
                log.info("%s has no padding token: padding with %s, masked out", name, token)
                return


def padding_id(tokenizer: WordTokenizer) -> int:
    """The id used for padding; 0 if there is no special token, since padding is masked out anyway."""
    return 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def check_model_name(name: str) -> None:
    """Refuse a name that can only be a folder but does not exist; the hub client would call it a bad id."""
    if Path(name).is_dir():
        return
    if Path(name).exists():
        raise UserError(
            f"`{name}` is a file", where="model.name", fix="name the folder that contains the model"
        )
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(
            f"there is no folder `{name}`", where="model.name", fix="name a model's folder or a hub model"
        )


def _load(name: str, revision: str | None, **options: bool) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            name, revision=revision, trust_remote_code=False, **options
        )
    # Broken files raise whatever their readers raise; those in Rust raise a bare Exception.
    except Exception as error:
        if "tiktoken" in str(error) and any(Path(name).glob("*.model")):
            # transformers falls back to tiktoken when SentencePiece cannot read the file.
            error = ValueError("its *.model file is damaged, or not in SentencePiece's format")
        raise cannot_load(name, error, what="tokenizer") from None
    if not tokenizer.is_fast:
        raise UserError(
            f"`{name}` has no fast tokenizer, which is needed to know the word of each subword",
            where="model.name",
            fix="name a model with a tokenizer.json",
        )
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers makes an empty tokenizer for a folder without one: every word would be unknown.
        raise UserError(
            f"the tokenizer of `{name}` has no vocabulary",
            where="model.name",
            fix="put the model's tokenizer files (tokenizer.json, vocab.txt, …) beside its weights",
        )
    check_ids(tokenizer.get_vocab(), name=name)
    longest: Any = tokenizer.model_max_length
    if not isinstance(longest, int | float) or not longest >= 1:
        raise UserError(
            f"the longest input of `{name}` is {longest!r:.40} subwords",
            where="model.name",
            fix="correct model_max_length in its tokenizer_config.json",
        )
    # Some models ship with fixed padding and truncation, which would cut and fill every sentence.
    fast: PreTrainedTokenizerFast = tokenizer
    fast.backend_tokenizer.no_padding()
    fast.backend_tokenizer.no_truncation()
    return fast


def special_tokens(tokenizer: WordTokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and after a sentence."""
    backend = tokenizer.backend_tokenizer
    bare = backend.encode(["a"], is_pretokenized=True, add_special_tokens=False).ids
    whole = backend.encode(["a"], is_pretokenized=True, add_special_tokens=True).ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


def train_tokenizer(
    sentences: Iterable[list[str]], *, vocab_size: int, max_length: int
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer like RoBERTa's; the same words give the same tokenizer.

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
