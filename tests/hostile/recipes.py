"""Recipes that somebody else wrote: odd YAML, odd values of every key, odd parents."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from ner_dist.recipe_errors import known_keys

SMALL = """\
name: small
output_dir: out
data: {path: synthetic, synthetic: {train: 40, validation: 10, test: 10}}
model: {name: scratch, scratch: {vocab_size: 320, hidden_size: 16, layers: 1, heads: 1, max_length: 32}}
precision: fp32
train: {max_steps: 1, batch_tokens: 128, micro_batch_tokens: 64}
checkpoint: {every: null}
"""
"""A recipe that trains in a second."""
EXECUTE = "touch EXECUTED"


@dataclass(frozen=True)
class RecipeCase:
    """A recipe, and what is typed behind it."""

    what: str
    text: str | bytes = SMALL
    overrides: tuple[str, ...] = ()
    beside: dict[str, str] = field(default_factory=dict)
    """Other recipes in the folder, by file name."""


def bombs(kind: str) -> str:
    """Nine levels of nine aliases each."""
    lines = []
    for level in range(9):
        below = [f"*a{level - 1}" if level else "x"] * 9
        if kind == "lists":
            value = f"[{', '.join(below)}]"
        elif kind == "mappings":
            value = f"{{{', '.join(f'k{place}: {each}' for place, each in enumerate(below))}}}"
        else:
            value = f"{{<<: [{', '.join(below)}]}}" if level else "{k: x}"
        lines.append(f"a{level}: &a{level} {value}")
    return "\n".join(lines) + "\n"


def _inline_bomb(indent: str) -> str:
    return "".join(
        f"{indent}- &b{level} [{', '.join([f'*b{level - 1}' if level else 'x'] * 9)}]\n" for level in range(9)
    )


LINES = {
    "a tag that calls": f"x: !!python/object/apply:os.system ['{EXECUTE}']",
    "a tag that makes": f"x: !!python/object/new:os.system ['{EXECUTE}']",
    "a tag that names": "x: !!python/name:os.system",
    "a tag of its own": "x: !own value",
    "a set": "x: !!set {a, b}",
    "pairs": "x: !!omap [a: 1]",
    "no integer": "x: !!int foo",
    "no fraction": "x: !!float foo",
    "no truth": "x: !!bool foo",
    "no date": "x: !!timestamp foo",
    "no base64": "x: !!binary '*'",
    "text that is a mapping": "x: !!str {a: b}",
    "number that is a mapping": "x: !!int {a: b}",
    "an equals sign": "x: =",
    "a merged number": "<<: 5",
    "merged numbers": "<<: [1]",
    "a list as a key": "? [a, b]\n: 1",
    "a mapping as a key": "? {a: b}\n: 1",
    "a number as a key": "1: 2",
    "nothing as a key": "null: 2",
    "an empty key": "'': 1",
    "truth as a key": "true: 2",
    "a fraction as a key": "1.5: 2",
    "a date as a key": "2020-01-01: 2",
    "no number as a key": ".nan: 1",
    "a dotted key": "train.epochs: 1",
    "a dotted section": "data.synthetic: {train: 3}",
    "a long key": f"? {'k' * 200_000}\n: 1",
    "a key for a terminal": r'"\e[31m\x07": 1',
    "a key written back": r'"\u202e": 1',
    "half a pair as a key": r'"\ud800": 1',
    "a key twice": "name: other",
    "an alias of nothing": "x: *nothing",
    "an alias of itself": "x: &x [*x]",
    "a mapping of itself": "x: &x {y: *x}",
    "types of themselves": "labels: &l [*l]",
    "many keys": "".join(f"k{number}: 1\n" for number in range(30_000)),
    "many types": f"labels: [{', '.join(f'T{number}' for number in range(40_000))}]",
    "deep types": f"labels: {'[' * 900}{']' * 900}",
    "an unknown key twice": "x: {a: 1, a: 2}",
    "a second document": "---\nname: other",
    "a directive": "%YAML 9.9",
    "an open list": "x: [a",
    "a colon too many": "x: a: b",
    "a tab": "\tx: 1",
    "a bomb of types": "labels:\n" + _inline_bomb(" "),
    **{f"a bomb of {kind}": bombs(kind) for kind in ("lists", "mappings", "merges")},
}
"""What stands behind a sound recipe."""
WHOLE: dict[str, str | bytes] = {
    "empty": "",
    "NUL": "\0",
    "a comment": "# nothing\n",
    "a list": "- a\n",
    "a text": "x",
    "a number": "1",
    "null": "null",
    "a mark before it": "\ufeff" + SMALL,
    "UTF-16": SMALL.encode("utf-16"),
    "Latin-1": SMALL.encode() + b"# \xe9\n",
    "every byte": bytes(range(256)),
    "CR LF": SMALL.replace("\n", "\r\n"),
    "CR": SMALL.replace("\n", "\r"),
    "of itself": "&r\nname: x\nself: *r\n",
    "its data in its data": "name: x\noutput_dir: o\ndata: &d {path: synthetic, splits: *d}\n",
    "merged": SMALL.replace("data: {", "data: {<<: {path: other}, "),
    "bomb in a name": "name: t\noutput_dir: o\ndata: {path: synthetic}\nmodel:\n  name:\n"
    + _inline_bomb("   "),
    "lists": "a: " + "[" * 100_000 + "]" * 100_000,
    "open lists": "a: " + "[" * 50_000,
    "mappings": "a: " + "{a: " * 1_000 + "1" + "}" * 1_000,
    "open mappings": "a: " + "{a: " * 100_000,
    "indented": "".join(" " * depth + "a:\n" for depth in range(500)),
    "a long comment": "#" + "x" * 30_000_000 + "\n" + SMALL,
    "a long text": SMALL + "x: '" + "y" * 3_000_000 + "'\n",
}
PARENTS: dict[str, tuple[str, dict[str, str]]] = {
    "itself": ("extends: r.yaml\n", {}),
    "its child": ("extends: b.yaml\n", {"b.yaml": "extends: r.yaml\n"}),
    "nothing": ("extends: ''\n", {}),
    "null": (SMALL + "extends: null\n", {}),
    "a list": ("extends: [a]\n", {}),
    "a folder": ("extends: .\n", {}),
    "no file": ("extends: nowhere.yaml\n", {}),
    "a long name": (f"extends: {'a' * 300}\n", {}),
    "a device": ("extends: /dev/zero\n", {}),
    "random bytes": ("extends: /dev/urandom\n", {}),
    "standard input": ("extends: /dev/stdin\n", {}),
    "a list of users": ("extends: /etc/passwd\n", {}),
    "memory": ("extends: /proc/self/mem\n", {}),
    "far up": ("extends: ../../../../../../../../etc/hostname\n", {}),
    "NUL in its name": ('extends: "a\\0b"\n', {}),
    "half a pair in its name": ('extends: "\\ud800"\n', {}),
    "twice": ("extends: b.yaml\nextends: b.yaml\n", {"b.yaml": SMALL}),
    "another kind": ("extends: b.yaml\ntrain: 5\n", {"b.yaml": SMALL}),
    "less": ("extends: b.yaml\ntrain: null\n", {"b.yaml": SMALL}),
    "a long line of them": (
        "extends: c0.yaml\n",
        {f"c{number}.yaml": f"extends: c{number + 1}.yaml\n" for number in range(1_500)},
    ),
}
OVERRIDES = (
    *("", "=", "a=", "=a", "a", "a.b.c.d=1", "name.x=1", "train=1", "train=null", "train={}", "train=[]"),
    *(".=1", "..=1", "train.=1", ".train=1", "train..epochs=1", "data=null", "data={path: synthetic}"),
    *("train.epochs=[", "train.epochs=&a 1", "train.epochs=*a", "labels=&a [*a]", "provenance.x=1"),
    *("extends=x", "--x=1", "<<=1", "train.<<={epochs: 1}", "train={epochs: 1, epochs: 2}", "__class__=1"),
    *("name=\x1b[31mred", "model.__dict__={a: 1}", "model.scratch=scratch", "train.class_weights.PER=2"),
    *("train.adam_betas.0=0.5", "data.files.train=x", "data.splits={train: null}", "x" * 100_000 + "=1"),
    *("a." * 5_000 + "a=1", "train.epochs=" + "[" * 100_000, "labels=" + "[" * 990 + "]" * 990),
    *("train.epochs=" + "9" * 5_000, "train.epochs=0x" + "f" * 100_000, "name=a: b", "name=a\nb: c"),
    f"train.epochs=!!python/object/apply:os.system ['{EXECUTE}']",
)
NUMBERS = (
    *("-1", "0", "1", "1.0", "1.5", "0x1", "0b1", "0b_", "0x_", "1_000", "1__", ".e5", "1:59:59"),
    *(str(number) for number in (2**31, 2**63 - 1, 2**63, 2**64, 10**12, 10**18, 10**40)),
    *("9" * 4_299, "9" * 5_000, "0x" + "f" * 5_000, "1" + ":59" * 5_000),
    *("1e-320", "1e-400", "1e30", "1e308", "1e999", ".nan", ".inf", "-.inf"),
)
OTHERS = (
    *("null", "''", "' '", "true", "yes", "x", "auto", "all", "a b", "é", "-", "--help", "con", "-x", "~"),
    *("2020-01-01", "2020-99-99", "2020-01-01T00:00:00Z", "!!binary aGk=", "!!int foo", "!!set {a}"),
    *(
        "[]",
        "{}",
        "[null]",
        "[1]",
        "[a, a]",
        "[[a]]",
        "{a: 1}",
        "{1: 2}",
        "{a: 1, a: 2}",
        "&a [*a]",
        "*a",
        "[",
    ),
    *("{<<: {a: 1}}", "{a: {a: {a: 1}}}", "[" * 300 + "]" * 300, "{a: " * 300 + "}" * 300, "[" * 100_000),
    *('"\\ud800"', '"a\\0b"', '"\\e[31m"', '"a\\nb"', '"\\u202e"', '"\\u2028"', "$(touch EXECUTED)", "`id`"),
    *("..", "../x", "/etc/passwd", "/dev/null", "/dev/zero", "/dev/null/x", "/proc/x", "/proc/self/mem"),
    *("~nobody_here/x", "http://127.0.0.1:1/x", "file:///etc/passwd", "r.yaml", "a/b/c", "*", "(a+)+$"),
    *("a" * 300, "x" * 5_000, "[O]", "[B-PER]", "[PER, PER]", "{train: /etc/passwd}", "{train: /dev/zero}"),
    *("{PER: -1}", "{PER: .inf}", "{O: 0, PER: 0}", "{train: null}", "[{path: synthetic}]", "[{path: [}]"),
)
ENDLESS = {"train.max_steps": {str(2**31), str(2**63 - 1), "10", str(10**12)}}
"""What is no mistake, but trains for a long time."""


def _values() -> Iterator[RecipeCase]:
    """Every value for every key."""
    for key in known_keys():
        if "[]" in key:
            continue
        for value in (*NUMBERS, *OTHERS):
            if value not in ENDLESS.get(key, ()):
                override = f"{key}={value}"
                yield RecipeCase(f"{key}={value:.40}", overrides=(override,))


def recipe_cases(*, values: int, seed: int = 1) -> list[RecipeCase]:
    """The recipes.

    Args:
        values: number of the values of keys that are drawn.
        seed: of drawing them.
    """
    cases = [RecipeCase(f"line: {what}", f"{SMALL}{line}\n") for what, line in LINES.items()]
    cases += [RecipeCase(f"file: {what}", text) for what, text in WHOLE.items()]
    cases += [RecipeCase(f"extends: {what}", text, beside=beside) for what, (text, beside) in PARENTS.items()]
    cases += [RecipeCase(f"override: {text!a:.40}", overrides=(text,)) for text in OVERRIDES]
    cases.append(RecipeCase("override: a key twice", overrides=("train.max_steps=1", "train.max_steps=1")))
    return cases + random.Random(seed).sample(list(_values()), values)
