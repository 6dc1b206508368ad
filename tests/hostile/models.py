"""Model folders that somebody else wrote: damaged, cut, endless, with code of their own."""

from __future__ import annotations

import json
import pickle
import random
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.recipes import SMALL

RECIPE = re.sub("model: {.*}}", "model: {name: model}", SMALL)
CODE = "open('EXECUTED', 'w')\nclass C: pass\nclass M: pass\nclass T: pass\n"
MAP = {"AutoConfig": "own.C", "AutoModel": "own.M", "AutoModelForTokenClassification": "own.M"}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
COMMANDS = {
    "train": ("train", "r.yaml"),
    "prepare": ("prepare", "r.yaml"),
    "plan": ("plan", "r.yaml", "--gpus", "1", "--gpu-memory", "16GiB"),
    "evaluate": ("evaluate", "model", "--data", "synthetic"),
    "predict": ("predict", "model", "in.txt"),
    "export": ("export", "model", "exported"),
}


class Call:
    """What runs a command when it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("touch EXECUTED",)


@dataclass(frozen=True)
class ModelCase:
    """A change to a sound model, and the command that meets it."""

    what: str
    change: Callable[[Path], None]
    command: str = "train"
    answers: str = ""
    """What is typed if the command asks."""


def written(name: str, contents: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        data = contents if isinstance(contents, bytes) else contents.encode("utf-8", "surrogatepass")
        (folder / name).write_bytes(data)

    return change


def configured(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def tokenized(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def with_vocabulary(change: Callable[[dict[str, int]], dict[str, int]]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / "tokenizer.json"
        known = json.loads(path.read_text())
        known["model"]["vocab"] = change(known["model"]["vocab"])
        path.write_text(json.dumps(known))

    return changed


def several(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def linked(name: str, target: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return change


def as_folder(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def cut(name: str, share: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        contents = (folder / name).read_bytes()
        (folder / name).write_bytes(contents[: int(len(contents) * share)])

    return change


def damaged(name: str, seed: int) -> Callable[[Path], None]:
    """Flip some bits."""

    def change(folder: Path) -> None:
        draw = random.Random(seed)
        contents = bytearray((folder / name).read_bytes())
        for _ in range(draw.choice([1, 3, 9])):
            contents[draw.randrange(min(len(contents), 4_000))] ^= 1 << draw.randrange(8)
        (folder / name).write_bytes(bytes(contents))

    return change


def as_torch(folder: Path) -> None:
    """Keep the weights in PyTorch's own format."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def saved_call(folder: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({"a": Call()}, folder / "pytorch_model.bin")


def with_header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Another header of the weights."""

    def changed(folder: Path) -> None:
        path = folder / "model.safetensors"
        contents = path.read_bytes()
        length = struct.unpack("<Q", contents[:8])[0]
        header = change(json.loads(contents[8 : 8 + length]))
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + contents[8 + length :])

    return changed


def first_tensor(**values: Any) -> Callable[[Path], None]:
    def change(header: dict[str, Any]) -> dict[str, Any]:
        name = next(name for name in header if name != "__metadata__")
        header[name] |= values
        return header

    return with_header(change)


CONFIG: dict[str, list[Any]] = {
    "hidden_size": [0, -1, 7, 10**9, 2**62, "16", None, [16], 1.5],
    "num_hidden_layers": [0, -1, 10**9, "2", None, 2.5],
    "num_attention_heads": [0, 7, -2, "2", None],
    "intermediate_size": [0, -1, 10**12],
    "max_position_embeddings": [0, -5, 10, 10**9, 10**12, "512", None, float("nan"), [512]],
    "vocab_size": [0, 10, -1, 10**12, "160", None, 2**63],
    "type_vocab_size": [0, 10**12, -1],
    "num_labels": [0, -1, 10**9, "x", None],
    "hidden_act": ["own", "os.system", 5, None],
    "hidden_dropout_prob": [2, -1, "x", float("nan"), None],
    "attention_probs_dropout_prob": [float("nan"), float("inf")],
    "id2label": [["a"], {"a": "b"}, None, {"0": None}, {"0": ["O"]}, {"0": "\x1b[31m"}, {"0": "\ud800"}],
    "label2id": [5, None, {"O": "x"}],
    "pad_token_id": [-1, 10**9, None, "x"],
    "model_type": ["nope", "../../x", "gpt2", "vit", "roberta", 5, None, "x" * 100_000, "\x1b[31m"],
    "dtype": ["own", "float16", 5],
    "architectures": [5, [5], ["../x"]],
    "is_decoder": [True, "x"],
    "chunk_size_feed_forward": [3, -1],
    "layer_norm_eps": ["x", 0, -1, float("nan")],
    "initializer_range": [1e30, -1, "x"],
    "quantization_config": [{"quant_method": "bitsandbytes", "load_in_4bit": True}, {"quant_method": "x"}, 5],
    "_attn_implementation": ["someone/kernels", "flash_attention_2", 5],
    "attn_implementation": ["someone/kernels"],
    "own_dropout_rate": ["x"],
    "transformers_version": ["99.0", 5],
    "return_dict": [False, "x"],
    "output_attentions": [True],
    "problem_type": ["regression", 5],
    "ner_dist": [5, {"decode": 5}, {"temperature": -1}, {"text": []}],
}
TOKENIZER_CONFIG: list[Any] = [
    *([], None, "x", 5, {"tokenizer_class": "OwnTokenizer"}, {"tokenizer_class": "os.system"}),
    *({"model_max_length": value} for value in (0, -1, 4, "x", 50.5, 10**400, None)),
    *({"pad_token": 5}, {"pad_token": "\ud800"}, {"tokenizer_file": "/etc/passwd"}, {"padding_side": "up"}),
    *(
        {"add_prefix_space": "x"},
        {"auto_map": {"AutoTokenizer": ["own.T", "own.T"]}},
        {"added_tokens_decoder": 5},
    ),
]
JSONS = {
    "empty": "",
    "a list": "[]",
    "null": "null",
    "a text": '"x"',
    "no number": "NaN",
    "nothing": "{}",
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "cut": '{"a": ',
    "Latin-1": b'{"a": "\xe9"}',
    "half a pair": '{"model_type": "\\ud800"}',
    "a pointer": POINTER,
    "a page": "<!DOCTYPE html>",
    "digits": '{"vocab_size": ' + "9" * 5_000 + "}",
}


def model_cases() -> list[ModelCase]:
    """The models."""
    return list(_cases())


def _cases() -> Iterator[ModelCase]:
    own = several(written("own.py", CODE), configured(model_type="own", auto_map=MAP))
    known = several(written("own.py", CODE), configured(auto_map=MAP))
    asked = {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["own.T", "own.T"]}}
    tokens = several(written("own.py", CODE), written("tokenizer_config.json", json.dumps(asked)))
    for command in COMMANDS:
        for answers in ("", "y\n" * 20):
            said = "yes" if answers else "nothing"
            yield ModelCase(f"{command}: code of its own, {said} typed", own, command, answers)
    yield ModelCase("code of a known kind", known, answers="y\n" * 20)
    yield ModelCase("code of a tokenizer", tokens, answers="y\n" * 20)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        for what, contents in JSONS.items():
            yield ModelCase(f"{name}: {what}", written(name, contents))
        yield ModelCase(f"{name}: a loop", linked(name, name))
        yield ModelCase(f"{name}: without end", linked(name, "/dev/zero"))
        yield ModelCase(f"{name}: a folder", as_folder(name))
        for seed in range(3):
            yield ModelCase(f"{name}: flipped bits {seed}", damaged(name, seed))
    for command in COMMANDS:
        for what in ("a list", "deep", "a pointer"):
            yield ModelCase(f"{command}: config.json {what}", written("config.json", JSONS[what]), command)
        yield ModelCase(f"{command}: weights cut", cut("model.safetensors", 0.5), command)
    for key, values in CONFIG.items():
        for value in values:
            yield ModelCase(f"config.json: {key}={json.dumps(value):.30}", configured(**{key: value}))
    for value in TOKENIZER_CONFIG:
        text = json.dumps(value)
        yield ModelCase(f"tokenizer_config.json: {text:.40}", written("tokenizer_config.json", text))
    yield from _weights()
    yield from _tokenizers()


def _weights() -> Iterator[ModelCase]:
    name = "model.safetensors"
    yield ModelCase("weights: none", removed(name))
    yield ModelCase("weights: a folder", as_folder(name))
    yield ModelCase("weights: without end", linked(name, "/dev/zero"))
    for share in (0, 0.00001, 0.01, 0.5, 0.999):
        yield ModelCase(f"weights: {share} of them", cut(name, share))
        yield ModelCase(f"weights: {share} of PyTorch's", several(as_torch, cut("pytorch_model.bin", share)))
    yield ModelCase("weights: PyTorch's", as_torch)
    yield ModelCase("weights: a pointer", written(name, POINTER))
    pointer = several(removed(name), written("pytorch_model.bin", POINTER))
    yield ModelCase("weights: a pointer to PyTorch's", pointer)
    yield ModelCase(
        "weights: a pickle that calls", several(removed(name), written("pytorch_model.bin", _pickle()))
    )
    yield ModelCase("weights: a pickle under another name", written(name, _pickle()))
    yield ModelCase("weights: a pickle beside them", written("pytorch_model.bin", _pickle()))
    yield ModelCase("weights: an archive that calls", saved_call)
    index = json.dumps({"metadata": {}, "weight_map": {"a": "other.bin"}})
    yield ModelCase(
        "weights: an index of a pickle",
        several(
            removed(name), written("pytorch_model.bin.index.json", index), written("other.bin", _pickle())
        ),
    )
    for what, target in {"far up": "../../../../etc/passwd", "a device": "/dev/zero", "a number": 5}.items():
        text = json.dumps({"metadata": {}, "weight_map": {"a": target}})
        yield ModelCase(
            f"weights: an index of {what}",
            several(removed(name), written("model.safetensors.index.json", text)),
        )
    for length in (0, 7, 90_000_000, 2**62, 2**64 - 1):
        yield ModelCase(
            f"weights: a header of {length}", written(name, struct.pack("<Q", length) + b"{}" * 500)
        )
    for what, header in {"no JSON": b"{" * 1_000, "deep": b'{"a":' * 50_000 + b"1" + b"}" * 50_000}.items():
        yield ModelCase(f"weights: a header, {what}", with_header(lambda _, header=header: header))
    for values in (
        *({"data_offsets": [0, 2**62]}, {"data_offsets": [-1, 5]}, {"data_offsets": "x"}, {"dtype": "OWN"}),
        *({"shape": [2**40, 2**40]}, {"shape": [-1]}, {"shape": []}, {"dtype": "F64"}),
    ):
        yield ModelCase(f"weights: {values}", first_tensor(**values))
    for metadata in (None, {"format": "tf"}, {"format": "own"}, {}, 5):
        yield ModelCase(
            f"weights: metadata {metadata}",
            with_header(lambda header, metadata=metadata: header | {"__metadata__": metadata}),
        )
    yield ModelCase("weights: no numbers", _not_numbers)
    adapter = json.dumps({"base_model_name_or_path": "someone/else", "peft_type": "LORA"})
    yield ModelCase("an adapter", written("adapter_config.json", adapter))
    for seed in range(8):
        yield ModelCase(f"weights: flipped bits {seed}", damaged(name, seed))


def _pickle() -> bytes:
    return pickle.dumps(Call())


def _not_numbers(folder: Path) -> None:
    path = folder / "model.safetensors"
    contents = path.read_bytes()
    start = 8 + struct.unpack("<Q", contents[:8])[0]
    path.write_bytes(contents[:start] + b"\xff\xff\xff\x7f" * ((len(contents) - start) // 4))


def _tokenizers() -> Iterator[ModelCase]:
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    grows = {"type": "Replace", "pattern": {"Regex": "."}, "content": "aaaaaaaaaa"}
    changes: dict[str, Callable[[Path], None]] = {
        "a slow pattern": tokenized(pre_tokenizer=split | {"pattern": {"Regex": r"(\w+\s?)+$"}}),
        "no pattern": tokenized(pre_tokenizer=split | {"pattern": {"Regex": "("}}),
        "text that grows": tokenized(normalizer={"type": "Sequence", "normalizers": [grows] * 4}),
        "text that goes": tokenized(normalizer={**grows, "pattern": {"Regex": ".*"}, "content": ""}),
        "no normalizer": tokenized(normalizer=None),
        "no words": tokenized(pre_tokenizer=None),
        "no special subwords": tokenized(post_processor=None),
        "another model": tokenized(model={"type": "Own"}),
        "another decoder": tokenized(decoder={"type": "Own"}),
        "no vocabulary": with_vocabulary(lambda known: {}),
        "ids below zero": with_vocabulary(lambda known: known | {"a": -5}),
        "an id of 2^40": with_vocabulary(lambda known: known | {"zzz": 2**40}),
        "an id of 2^31": with_vocabulary(lambda known: known | {"zzz": 2**31 - 1}),
        "ids far apart": with_vocabulary(lambda known: {word: 1_000 * i for word, i in known.items()}),
        "one id for all": with_vocabulary(lambda known: dict.fromkeys(known, 5)),
        "windows of 4": tokenized(
            truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
        ),
        "an added subword of nothing": _added(""),
        "an added subword of a letter": _added("e"),
        "an added id of 10^9": _added("zz", 10**9),
        "600 special subwords": _special(600, keep=True),
        "special subwords alone": _special(1, keep=False),
    }
    for what, change in changes.items():
        yield ModelCase(f"tokenizer: {what}", change)


def _added(content: str, number: int = 5) -> Callable[[Path], None]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return tokenized(added_tokens=[{"id": number, "content": content, **flags}])


def _special(number: int, *, keep: bool) -> Callable[[Path], None]:
    first = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    text = [{"Sequence": {"id": name, "type_id": place}} for place, name in enumerate("AB")]
    known = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    single = [first] * number + text[:1] * keep
    return tokenized(
        post_processor={
            "type": "TemplateProcessing",
            "single": single,
            "pair": text,
            "special_tokens": known,
        }
    )


def set_up(case: ModelCase, sound: Path, folder: Path) -> tuple[str, ...]:
    """Write the model, a recipe and a text into a folder; return the command."""
    shutil.copytree(sound, folder / "model")
    case.change(folder / "model")
    (folder / "r.yaml").write_text(RECIPE)
    (folder / "in.txt").write_text("Ada slept in Paris\n")
    (folder / "typed").write_text(case.answers)
    return COMMANDS[case.command]
