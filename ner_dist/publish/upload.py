"""The files of a run that are published: those that belong to its model, and nothing about this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from huggingface_hub import ModelCard

from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.publish.compared import compared
from ner_dist.run.directory import read_recipe
from ner_dist.training.card_metadata import EVAL_RESULTS, FOLDER, is_local, readings

if TYPE_CHECKING:
    from ner_dist.run.directory import Run

CARD = "README.md"
_OF_THE_MODEL = (
    CARD,
    f"{EVAL_RESULTS}/*.yaml",
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "*.txt",  # vocab.txt, merges.txt
    "*.model",  # SentencePiece
    "*.bpe",
    "chat_template.jinja",
)
_FOR_PEOPLE = (CARD, f"{EVAL_RESULTS}/*.yaml", "config.json", "tokenizer_config.json")
"""Files in which a place on this machine is no chance: a vocabulary may hold any word."""
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")


@dataclass(frozen=True)
class Upload:
    """One file as it will be on the hub."""

    name: str
    content: Path | bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def uploads(run: Run, repo: str, comparison: Path | None = None) -> tuple[list[Upload], list[str]]:
    """The files of a run's model, and the names of others in its folder, which stay here.

    Args:
        run: a complete run.
        repo: its name on the hub, which the card's examples load.
        comparison: folder of a comparison that the run is part of; the card gets its verdict.

    Raises:
        UserError: there is no model or card, the comparison is not of this run, or a file names a place on
            this machine or holds a token.
    """
    names = sorted(path.relative_to(run.model).as_posix() for path in run.model.rglob("*") if path.is_file())
    if "config.json" not in names or CARD not in names:
        missing = CARD if "config.json" in names else "config.json"
        raise UserError(f"there is no {missing}", where=str(run.model), fix="train the run again")
    own = [name for name in names if any(_fits(name, pattern) for pattern in _OF_THE_MODEL)]
    files = [Upload(name, run.model / name) for name in own if name != CARD]
    files.insert(0, Upload(CARD, _card(run, repo, comparison).encode()))
    _check(run, files)
    return files, [name for name in names if name not in own]


def _fits(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) and name.count("/") == pattern.count("/")


def _card(run: Run, repo: str, comparison: Path | None) -> str:
    """The card as it is in the folder, changed by hand or not, with the model's name and the verdict."""
    path = run.model / CARD
    try:
        card = ModelCard.load(path)
    except (ValueError, yaml.YAMLError) as error:
        what = f"its metadata cannot be read: {error}"
        raise UserError(what, where=str(path), fix="correct the block between the two lines of ---") from None
    text: str = card.text.replace(FOLDER, repo)
    if comparison is not None:
        before, heading, after = text.partition("\n## How to use it\n")
        text = f"{before.rstrip()}\n\n{compared(run, comparison)}\n{heading}{after}"
    card.text = text
    return str(card)


def _check(run: Run, files: list[Upload]) -> None:
    """Refuse files that name a place on this machine or hold a token."""
    places = {str(path) for path in (Path.home(), Path.cwd(), run.folder.resolve()) if len(path.parts) > 1}
    if (recipe := read_recipe(run)) is not None:
        named = [recipe.output_dir, recipe.model.name, *(each.path for each in readings(recipe.data))]
        places |= {name for name in named if is_local(name) and Path(name).expanduser().is_absolute()}
    for file in files:
        if not any(_fits(file.name, pattern) for pattern in _FOR_PEOPLE):
            continue
        content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        text = content.decode("utf-8", errors="replace")
        where = printable(run.model / file.name)
        if _TOKEN.search(text):
            raise UserError("holds an access token", where=where, fix="take it out, and revoke it on the hub")
        for place in sorted(places, key=len, reverse=True):
            if re.search(rf"(?<![\w.-]){re.escape(place)}(?![\w-])", text):
                raise UserError(f"names a place on this machine ({place})", where=where, fix="take it out")
