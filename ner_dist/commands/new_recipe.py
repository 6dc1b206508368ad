"""`ner-dist new DATA`: write a commented recipe for the data it finds.

The data is read with the same code as in training. So the recipe works, and an error here is the one that
training would raise. If a key of the recipe fixes the error, the key is tried and written into the recipe.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ner_dist.commands.explore_data import ExploredData, explore
from ner_dist.data.split_files import SPLITS
from ner_dist.data.unlabelled import NO_LABEL
from ner_dist.formatting import joined
from ner_dist.labels import UNLABELLED
from ner_dist.outside import on_one_line, quoted
from ner_dist.recipe import Model
from ner_dist.yaml_text import flow

_SIZE = re.compile(r"\w+: [\d,]+ sentences with [\d,]+ words$")
"""Log lines that the table of figures repeats."""
_WIDTH = 105
"""Width of comments in characters."""


def new_recipe(
    path: str, settings: list[str], *, model: str = "roberta-base", file: str = "mine.yaml"
) -> str:
    """A recipe for the data at `path`, as commented YAML.

    Args:
        path: a file, a folder or a hub data set.
        settings: `data.key=value` overrides, for data that needs them.
        model: the encoder to fine-tune.
        file: the name that the recipe will be saved under.

    Raises:
        UserError: the data cannot be read, and no known setting fixes it.
    """
    explored = explore(path, settings)
    name, common = _name(path), explored.types[:2]
    named = [] if model == Model().name else ["--model", model]
    typed = " ".join(["ner-dist new", *map(quoted, (path, *settings, *named))])
    command = f"ner-dist train {quoted(file)}"
    head = [
        _short(f"Written by `{typed}`."),
        "Edit it as you like, then run",
        "",
        f"  {command}                  trains on a GPU if there is one, else on the CPU",
        f"  {command} --processes 2    trains on two GPUs, or in two CPU processes",
        "",
        "`ner-dist settings` explains every key. The data:",
        "",
        *(f"  {line}" for line in (*_files(explored), "", *_figures(explored), "", _example(explored))),
    ]
    if notes := [line for line in explored.log_lines if not _SIZE.match(line)]:
        head += [
            "",
            "Log of reading the data:",
            "",
            *(f"  {part}" for line in notes for part in _wrapped(line)),
        ]
    body = [
        _line("name", name),
        _line("output_dir", f"runs/{name}"),
        "model:",
        _line("  name", model, "the encoder: a name on the hub, or a local folder"),
        "data:",
        *_data_lines(explored),
        _line("labels", "all", f"or some of the types, such as {flow(common)}"),
        _line("precision", "auto", "auto follows the hardware; or bf16, fp16, fp32"),
        "train:",
        _line("  epochs", "auto", "auto follows the size of the data and the encoder; or a number"),
        _line("  batch_tokens", "auto", "the same"),
        _line("  learning_rate", "auto", "the same"),
        _line("  seed", 13, "another seed gives another training"),
        "evaluation:",
        _line("  decode", "viterbi", "no I- continues nothing; greedy is the most probable tag of each word"),
        "logging:",
        _line("  trackers", [], "[tensorboard], [wandb], [mlflow] or [trackio] also log the metrics"),
    ]
    comment = "\n".join(on_one_line(f"# {line}".rstrip()) for line in head)
    return "\n".join([comment, *body, ""])


def _files(explored: ExploredData) -> list[str]:
    """One line per split: its files, or none."""
    lines = []
    for name in SPLITS:
        if name not in explored.corpus.splits:
            lines.append(f"{name}: none")
            continue
        origin = explored.corpus.splits[name].origin or []
        files = list(dict.fromkeys(place.rpartition(":")[0] for place in origin))
        lines.append(f"{name}: {_short(joined(files, most=3))}")
    return lines


def _figures(explored: ExploredData) -> list[str]:
    """Table of sizes by split, and of entities by type and split."""
    splits = explored.corpus.splits
    counts = {name: explored.entities(name) for name in splits}
    rows = [
        ["", *splits],
        ["sentences", *(f"{len(split):,}" for split in splits.values())],
        ["words", *(f"{len(split.tags):,}" for split in splits.values())],
        ["entities", *(f"{sum(count.values()):,}" for count in counts.values())],
    ]
    for name in explored.types:
        rows.append([f"  {_printable(name)}", *(f"{count[name]:,}" for count in counts.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([f"{name:<{widths[0]}}", *cells]))
    return lines


def _example(explored: ExploredData) -> str:
    """A sentence with an entity as it was read, with word/tag pairs."""
    split, labels = explored.corpus.splits["train"], explored.corpus.labels
    word = int(np.argmax((split.tags != labels.label2id["O"]) & (split.tags != UNLABELLED)))
    number = int(np.searchsorted(split.offsets, word, side="right")) - 1
    tags = labels.tags_of(split.tags[split.offsets[number] : split.offsets[number + 1]])
    pairs = zip(split.tokens[number], tags, strict=True)
    shown = " ".join(word if tag == "O" else f"{word}/{tag or NO_LABEL}" for word, tag in pairs)
    return f"as read: {_short(shown)}"


def _data_lines(explored: ExploredData) -> list[str]:
    """The section `data`: settings that differ from their defaults, and suggestions in comments."""
    data = explored.data.model_dump(mode="json", exclude_defaults=True)
    lines = [_line("  path", data.pop("path"), "relative to the folder where you run the command")]
    splits = data.pop("splits", {})
    lines += [_line(f"  {key}", value) for key, value in data.items()]
    if splits:
        missing = [name for name, value in splits.items() if value is None]
        lines.append(_line("  splits", splits, _without(missing)))
    if explored.languages:
        first = explored.languages.partition(" (")[0]
        lines.append(_short(f"  # language: {first}  # to keep one of: {explored.languages}"))
    return lines


def _without(missing: list[str]) -> str | None:
    if not missing:
        return None
    lack = "without validation, the last weights are kept instead of the best ones"
    if "validation" not in missing:
        lack = "without test, nothing is scored at the end"
    instead = f"split: {flow(dict.fromkeys(missing, 0.1))}"
    return f"{lack}; to cut them from train, write instead: {instead}"


def _line(key: str, value: Any, comment: str | None = None) -> str:
    line = f"{key}: {flow(value)}"
    return line if comment is None else f"{line}  # {_printable(comment)}"


def _name(path: str) -> str:
    """A name for the run: the name of the data, in characters that a recipe allows."""
    place = Path(path).expanduser()
    if place.is_file():
        stem = place.name.split(".")[0]
        place = place.resolve().parent if stem.lower() in SPLITS else place.with_name(stem)
    elif place.is_dir():
        place = place.resolve()
    return re.sub(r"[^\w.-]+", "_", place.name).strip("._-") or "mine"


def _printable(text: str) -> str:
    """Text that fits into a one-line comment: control characters become `?`."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _short(text: str) -> str:
    shown = _printable(text)
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 1]}…"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(_printable(text), _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
