"""Tiny encoders of every common family, with tokenizers of the real kinds and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = [
    "Anna Berg visits York's old minster , doesn't she ?",
    "The University of York opened in 1963 near Heslington .",
    "visit York and the minster of York , visit Anna",
    "Zürich-based naïve café owners met guests — 3.5 % more !",
] * 10
SIZE = 160
BERT = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def _learnt(backend: Tokenizer, trainer: Any) -> tuple[dict[str, int], list[tuple[str, str]]]:
    backend.train_from_iterator(TEXT, trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model.get("merges", [])]


def word_pieces(special: list[str]) -> dict[str, int]:
    backend = Tokenizer(models.WordPiece(unk_token=special[-1]))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _learnt(
        backend, trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=special, show_progress=False)
    )[0]


def byte_pairs(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return _learnt(
        backend,
        trainers.BpeTrainer(
            vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )


def sentence_piece(folder: Path, name: str, *, kind: str = "unigram", **settings: Any) -> None:
    """A SentencePiece model, in the one file that the hub has of many encoders."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_prefix=str(folder / "made"),
        vocab_size=SIZE if kind == "unigram" else 400,
        model_type=kind,
        hard_vocab_limit=False,
        minloglevel=2,
        **settings,
    )
    (folder / "made.vocab").unlink()
    (folder / "made.model").rename(folder / name)


def gemma_like() -> Tokenizer:
    """BPE over text whose spaces are made visible, with bytes for what it does not know."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocab, merges = _learnt(
        backend,
        trainers.BpeTrainer(vocab_size=SIZE, special_tokens=[*special, *_BYTES], show_progress=False),
    )
    backend.model = models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> $B <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    return backend


_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def bert_words(folder: Path) -> None:
    from transformers import BertTokenizer

    vocab = word_pieces(["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"])
    BertTokenizer(vocab=vocab, do_lower_case=False).save_pretrained(folder)


def bert_vocabulary_only(folder: Path) -> None:
    vocab = word_pieces(["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"])
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocab))


def mpnet_words(folder: Path) -> None:
    from transformers import MPNetTokenizer

    MPNetTokenizer(vocab=word_pieces(["<s>", "<pad>", "</s>", "<mask>", "[UNK]"])).save_pretrained(folder)


def roberta_bytes(folder: Path) -> None:
    from transformers import RobertaTokenizer

    vocab, merges = byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    RobertaTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)


def deberta_bytes(folder: Path) -> None:
    from transformers import DebertaTokenizer

    vocab, merges = byte_pairs(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    DebertaTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)


def modernbert_bytes(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    vocab, merges = byte_pairs(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    backend = Tokenizer(models.BPE(vocab, merges))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], **BERT
    ).save_pretrained(folder)


def mmbert_pieces(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=gemma_like(),
        **{"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<bos>", "sep_token": "<eos>"},
        **{"bos_token": "<bos>", "eos_token": "<eos>", "mask_token": "<mask>"},
    ).save_pretrained(folder)


def gemma_pieces(folder: Path) -> None:
    from transformers import GemmaTokenizer

    model = json.loads(gemma_like().to_str())["model"]
    GemmaTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]]).save_pretrained(
        folder
    )


def xlmr_pieces(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", bos_id=1, eos_id=2, unk_id=0)


def camembert_pieces(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", bos_id=1, eos_id=2, unk_id=0)


def deberta_pieces(folder: Path) -> None:
    names = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    ids = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    sentence_piece(folder, "spm.model", **ids, **names, user_defined_symbols=["[MASK]"])
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')


def albert_pieces(folder: Path) -> None:
    sentence_piece(
        folder,
        "spiece.model",
        **{"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "pad_piece": "<pad>"},
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
    )


def llama_pieces(folder: Path) -> None:
    sentence_piece(folder, "tokenizer.model", kind="bpe", byte_fallback=True)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')


def gpt2_bytes(folder: Path) -> None:
    from transformers import GPT2Tokenizer

    vocab, merges = byte_pairs(["<|endoftext|>"])
    GPT2Tokenizer(vocab=vocab, merges=merges).save_pretrained(folder)


def qwen_bytes(folder: Path) -> None:
    from transformers import Qwen2Tokenizer

    vocab, merges = byte_pairs(["<|endoftext|>"])
    Qwen2Tokenizer(vocab=vocab, merges=merges).save_pretrained(folder)


def eurobert_bytes(folder: Path) -> None:
    """Bytes of what a pattern cut before, as Llama 3 has it."""
    from transformers import PreTrainedTokenizerFast

    vocab, merges = byte_pairs(["<|begin_of_text|>", "<|end_of_text|>", "<|mask|>"])
    backend = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    pattern = Regex(r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A <|end_of_text|>",
        special_tokens=[("<|begin_of_text|>", 0), ("<|end_of_text|>", 1)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>"
    ).save_pretrained(folder)


def xlnet_pieces(folder: Path) -> None:
    ids = {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2}
    sentence_piece(folder, "spiece.model", **ids, control_symbols=["<cls>", "<sep>", "<pad>", "<mask>"])


ROTARY = {"num_key_value_heads": 1}
# Name -> family in transformers, what writes its tokenizer, what its configuration has of its own.
ENCODERS: dict[str, tuple[str, Callable[[Path], None], dict[str, Any]]] = {
    "bert": ("bert", bert_words, {}),
    "bert-vocab.txt": ("bert", bert_vocabulary_only, {}),
    "distilbert": ("distilbert", bert_words, {"hidden_dim": 32}),
    "electra": ("electra", bert_words, {"embedding_size": 8}),
    "mpnet": ("mpnet", mpnet_words, {"max_position_embeddings": 66}),
    "roberta": ("roberta", roberta_bytes, {"max_position_embeddings": 66, "type_vocab_size": 1}),
    "longformer": ("longformer", roberta_bytes, {"max_position_embeddings": 66, "attention_window": 8}),
    "deberta": ("deberta", deberta_bytes, {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "modernbert": ("modernbert", modernbert_bytes, {"max_position_embeddings": 64}),
    "mmbert": ("modernbert", mmbert_pieces, {"max_position_embeddings": 64}),
    "mmbert-gemma": ("modernbert", gemma_pieces, {"max_position_embeddings": 64}),
    "xlm-roberta": ("xlm-roberta", xlmr_pieces, {"max_position_embeddings": 66, "type_vocab_size": 1}),
    "camembert": ("camembert", camembert_pieces, {"max_position_embeddings": 66, "type_vocab_size": 1}),
    "deberta-v3": (
        "deberta-v2",
        deberta_pieces,
        {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]}
        | {"share_att_key": True, "position_biased_input": False, "type_vocab_size": 0}
        | {"norm_rel_ebd": "layer_norm", "max_relative_positions": -1},
    ),
    "albert": ("albert", albert_pieces, {"embedding_size": 8}),
    "eurobert": ("eurobert", eurobert_bytes, ROTARY),
    "xlnet": ("xlnet", xlnet_pieces, {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}),
    "gpt2": ("gpt2", gpt2_bytes, {}),
    "qwen2": ("qwen2", qwen_bytes, ROTARY),
    "qwen3": ("qwen3", qwen_bytes, ROTARY | {"head_dim": 8}),
    "llama": ("llama", llama_pieces, ROTARY),
}


def make_encoder(name: str, folder: Path) -> Path:
    """Write the encoder as on the hub, with random weights and without a head; return its folder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    family, write_tokenizer, own = ENCODERS[name]
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    # XLNet has names of its own, and as many positions as anybody likes.
    shape = {} if family == "xlnet" else SHAPE | {"max_position_embeddings": 64}
    config = AutoConfig.for_model(family, **(shape | own))
    config.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config.vocab_size = len(tokenizer)
    for key in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        setattr(config, key, getattr(tokenizer, key))
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder
