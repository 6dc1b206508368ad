"""Data that somebody else made: the malformed files of `tests/data/hostile`, folders, names, settings."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.data.hostile import seeds
from tests.data.hostile.test_table import CASES
from tests.hostile.recipes import SMALL

RECIPE = SMALL.replace(
    "data: {path: synthetic, synthetic: {train: 40, validation: 10, test: 10}}",
    "data: {path: data, splits: {validation: null, test: null}}",
)
ROWS = [
    {"tokens": ["Ada", "slept", "in", "Paris", str(number)], "ner_tags": ["B-PER", "O", "O", "B-LOC", "O"]}
    for number in range(20)
]
GOOD = seeds.lines(*ROWS)
IDS = "data.label_names=[O, B-A, I-A]"


@dataclass(frozen=True)
class DataCase:
    """What lies in the folder `data`, and what is typed behind the recipe."""

    what: str
    make: Callable[[Path], None]
    overrides: tuple[str, ...] = ()


def file(name: str, contents: str | bytes) -> Callable[[Path], None]:
    data = contents if isinstance(contents, bytes) else contents.encode("utf-8", "surrogatepass")
    return lambda folder: (folder / name).write_bytes(data) and None


def rows(*more: dict) -> Callable[[Path], None]:
    """Sound rows, and others behind them."""
    return file("train.jsonl", GOOD + seeds.lines(*more))


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "train.jsonl")


def of_bytes(contents: str) -> Callable[[Path], None]:
    """A file whose name is not UTF-8."""
    return lambda folder: (
        Path(os.fsdecode(os.fsencode(folder) + b"/train-\xff.jsonl")).write_text(contents) and None
    )


def linked(target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "train.jsonl").symlink_to(target)


TAGS = {
    "for a terminal": "B-\x1b[31mX\x1b]0;t\x07",
    "written back": "B-\u202eREP",
    "of a page": "B-<script>alert(1)</script>",
    "of Markdown": "B-[x](javascript:alert(1))|`a`",
    "of rich": "B-[/red]:dog:",
    "of NUL": "B-\0",
    "of lines": "B-a b\nc\u2028d",
    "endless": "B-" + "x" * 100_000,
    "half a pair": "B-\ud800",
    "O": "B-O",
    "lower": "b-per",
    "nothing": "B-",
    "BIOES": "S-PER",
}
WORDS = {
    "empty": [""],
    "blank": ["  ", "\u00a0", "\t", "\n"],
    "joined": ["👩\u200d👩\u200d👧\u200d👦", "\u200d", "\u202e", "\ufeff", "\u2028", "\x1b[31m", "\0"],
    "many": ["w"] * 10_000,
    "marks": ["a" + "\u0301" * 50_000],
    "endless": ["a" * 900_000],
    "half a pair": ["a", "\ud800"],
    "none": [],
}
SETTINGS = (
    *("data.separator=''", "data.separator=zzz", 'data.separator="\\n"', 'data.separator="[ ]+"'),
    *("data.tags_column=99", "data.tags_column=-99", f"data.tags_column={2**70}", "data.tokens_column=-1"),
    *("data.tokens_column=x", "data.tokens_column=1.5", "data.language=en", "data.document_column=0"),
    *("data.format=json", "data.format=parquet", "data.format=csv", "data.repair=begin"),
)
PLACES = (
    *("{train: ../../../../etc/passwd}", "{train: /etc/passwd}", "{train: /dev/zero}", "{train: ''}"),
    *("{train: /proc/self/mem}", '{train: "a\\nb"}', '{train: "\\ud800"}', "{train: .}", "{train: 5}"),
)
NAMES = ("'(a+)+$'", "'*'", "'../x'", '"a\\nb"', '"\\e[31m"', "''", "'" + "x" * 5_000 + "'")


def data_cases(*, damaged: int = 40, seed: int = 1) -> list[DataCase]:
    """The data sets.

    Args:
        damaged: number of sound files with random bytes changed.
        seed: of the changes.
    """
    return [*_of_files(), *_of_rows(), *_of_places(), *_damaged(damaged, random.Random(seed))]


def _of_files() -> Iterator[DataCase]:
    """The malformed files, as the only one of a folder."""
    for case in CASES:
        name, contents, _, settings = case.values
        words = tuple(f"data.{key}={value}" for key, value in settings.items())
        yield DataCase(f"file: {case.id}", file(name, contents), (*words, f"data.files.train={name}"))


def _of_rows() -> Iterator[DataCase]:
    for what, tag in TAGS.items():
        yield DataCase(f"tag: {what}", rows({"tokens": ["a"], "ner_tags": [tag]}))
    for what, words in WORDS.items():
        yield DataCase(f"words: {what}", rows({"tokens": words, "ner_tags": ["O"] * len(words)}))
    for number in (2_000, 16_383, 16_384, 40_000):
        tagged = [{"tokens": [f"a{i}"], "ner_tags": [f"B-T{i}"]} for i in range(number)]
        yield DataCase(f"types: {number}", file("train.jsonl", seeds.lines(*tagged)))
    for what, ids in {
        **{"below zero": [-1, 0], "too large": [7, 0], "of 70 bits": [2**70, 0]},
        **{"superscript": ["²", "0"], "Arabic": ["١", "0"], "of 5,000 digits": ["1" * 5_000, "0"]},
    }.items():
        row = {"tokens": ["a", "b"], "ner_tags": ids}
        yield DataCase(f"ids: {what}", file("train.jsonl", seeds.lines(row, row)), (IDS,))
        yield DataCase(f"ids without names: {what}", file("train.jsonl", seeds.lines(row, row)))
    for what, value in {"half a pair": "\ud800", "a list": ["en"], "a number": 5, "null": None}.items():
        spoken = seeds.lines(*(row | {"lang": value} for row in ROWS))
        yield DataCase(f"language: {what}", file("train.jsonl", spoken), ("data.language=en",))
        named = seeds.lines(*(row | {"doc": value} for row in ROWS))
        yield DataCase(f"document: {what}", file("train.jsonl", named), ("data.document_column=doc",))
    yield DataCase("a language that is half a pair", rows(), ('data.language="\\ud800"',))
    yield DataCase("column names of half a pair", file("train.jsonl", '{"\\ud800": 1}\n'))
    text = json.dumps({"text": "Ada \ud800 slept", "label": [[0, 3, "PER"]]})
    yield DataCase("half a pair in a text", file("train.jsonl", text))


def _of_places() -> Iterator[DataCase]:
    yield DataCase("a folder as a file", lambda folder: (folder / "train.jsonl").mkdir())
    yield DataCase("a pipe", pipe)
    yield DataCase("a link to itself", linked("train.jsonl"))
    yield DataCase("a link to zeros", linked("/dev/zero"))
    yield DataCase("a link to nothing", linked("nowhere"))
    yield DataCase("a name of other bytes", of_bytes(GOOD))
    yield DataCase("a fault under a name of other bytes", of_bytes(GOOD + "5\n"))
    yield DataCase("a name of lines", file("train\nx.jsonl", GOOD), ('data.files.train="train\\nx.jsonl"',))
    yield DataCase("a name for a terminal", file("train\x1b[31m.jsonl", GOOD + "5\n"))
    for value in PLACES:
        yield DataCase(f"files: {value:.40}", rows(), (f"data.files={value}",))
    for value in NAMES:
        yield DataCase(f"split: {value:.40}", rows(), (f"data.splits.train={value}",))
        yield DataCase(f"configuration: {value:.40}", rows(), (f"data.name={value}",))
    conll = seeds.TEXTS["words.conll"]
    for setting in SETTINGS:
        yield DataCase(f"columns: {setting:.40}", file("train.conll", conll), (setting,))


def _damaged(number: int, draw: random.Random) -> Iterator[DataCase]:
    sound = {name: text.encode() for name, text in seeds.TEXTS.items()} | {"train.parquet": seeds.PARQUET}
    for place in range(number):
        name = draw.choice([*sound, *["train.parquet"] * 10])
        contents = bytearray(sound[name])
        for _ in range(draw.choice([1, 1, 2, 5])):
            contents[draw.randrange(len(contents))] ^= 1 << draw.randrange(8)
        words = (f"data.files.train={name}",)
        yield DataCase(f"damaged {place}: {name}", file(name, bytes(contents)), words)
