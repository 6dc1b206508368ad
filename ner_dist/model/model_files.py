"""The files of a model's folder: kept from readers that would not end, and explained when one fails.

What comes from the hub passes the same checks of its configuration; its files are the hub library's.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

from ner_dist.errors import UserError

log = logging.getLogger(__name__)

_JSON = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_MOST_JSON = 1 << 28
"""Bytes of a JSON file; the largest tokenizers have 35 MB."""
_HIGHEST_ID = 10_000_000
_POINTER = b"version https://git-lfs"
_COPY = "copy the file again from where the model is from"
_HUB = "name a hub model (with a network, or after `ner-dist prepare`) or a model's folder"


def check_files(name: str) -> None:
    """Refuse a local folder with a file that a library would read without end.

    Args:
        name: a folder; anything else is left to the hub library.

    Raises:
        UserError: a file is a device, a pipe or the like, or a JSON file is larger than any.
    """
    folder = Path(name)
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not _is_read(path):
            continue
        if path.is_symlink() and not path.exists():
            raise UserError("it is a link to nothing", where=str(path), fix=_COPY)
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "a device or a pipe"
            raise UserError(f"it is {kind}, not a file", where=str(path), fix=_COPY)
        if path.suffix == ".json" and path.is_file() and (size := path.stat().st_size) > _MOST_JSON:
            raise UserError(
                f"it holds {size / 1e9:.1f} GB, and is no JSON of a model", where=str(path), fix=_COPY
            )


def check_vocabulary(name: str) -> None:
    """Refuse a local tokenizer whose ids the library would make a table for that fills the memory.

    Args:
        name: a folder; of a hub name, the ids are checked by `check_ids` alone.

    Raises:
        UserError: an id is endless.
    """
    path = Path(name) / "tokenizer.json"
    if not path.is_file():
        return
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = known["model"]["vocab"]
        ids = [*(vocabulary.values() if isinstance(vocabulary, dict) else ())]
        ids += [token["id"] for token in known.get("added_tokens") or ()]
        highest = max((number for number in ids if isinstance(number, int)), default=0)
    # What is wrong with the file is said when the library reads it.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    if highest > _HIGHEST_ID:
        what = f"a subword has the id {highest:,}; at most {_HIGHEST_ID:,} is read"
        raise UserError(what, where=str(path), fix=_COPY)


def check_ids(vocabulary: dict[str, int], *, name: str) -> None:
    """Refuse a tokenizer whose ids lie far beyond the number of its subwords, which the encoder cannot know.

    Raises:
        UserError: they do.
    """
    highest, size = max(vocabulary.values(), default=0), len(vocabulary)
    if highest > 2 * size + 1_000:
        what = f"the tokenizer of `{name}` has {size:,} subwords, with ids up to {highest:,}"
        raise UserError(what, where="model.name", fix="copy its tokenizer.json again from its source")


def _is_read(path: Path) -> bool:
    return path.suffix in (".json", ".safetensors", ".bin", ".model", ".txt")


def read_config(name: str, revision: str | None) -> dict[str, Any]:
    """What a model's config.json holds, as transformers finds it.

    Raises:
        Exception: whatever transformers raises.
    """
    from transformers import PretrainedConfig

    values, _ = PretrainedConfig.get_config_dict(name, revision=revision)
    result: dict[str, Any] = values
    return result


def cannot_load(name: str, error: Exception, *, what: str = "model", where: str = "model.name") -> UserError:
    """The error for a model or tokenizer that a library could not load.

    Args:
        name: a folder, or a name on the hub.
        error: that of the library.
        what: `model` or `tokenizer`.
        where: what a user would change.
    """
    log.debug("loading %s failed", name, exc_info=error)
    if isinstance(error, UserError):
        return error
    if "custom code" in str(error) or "trust_remote_code" in str(error):
        return UserError(
            f"`{name}` needs Python code that comes with it, which ner_dist never runs",
            where=where,
            fix="name an encoder of a kind that transformers itself knows, such as roberta-base",
        )
    folder = Path(name)
    subject = f"cannot load the {what}{' of' if what == 'tokenizer' else ''} `{name}`"
    if isinstance(error, MemoryError) or re.search("allocate memory|new thread", str(error)):
        return UserError(
            f"{subject}: the memory is full", where=where, fix="free some, or name a smaller model"
        )
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if (damage := _damage(path)) is not None:
                fix = "run `git lfs pull` there, or copy it again" if "Git LFS" in damage else _COPY
                return UserError(f"{subject}: {path.name} {damage}", where=where, fix=fix)
        return UserError(
            f"{subject}: {reason(error)}", where=where, fix="copy the model again, or name another"
        )
    return UserError(f"{subject}: {reason(error)}", where=where, fix=_HUB)


def reason(error: Exception) -> str:
    """The first line of an error."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(":.")


def _damage(path: Path) -> str | None:
    """What is wrong with a file of a model; None if nothing is, or the file is of another kind."""
    if not _is_read(path):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if head.startswith(_POINTER):
        return "is a Git LFS pointer, not the file itself"
    if not head:
        return "is empty"
    if path.suffix == ".json":
        return _damage_of_json(path)
    if path.suffix == ".safetensors":
        return _damage_of_safetensors(path)
    if path.suffix == ".bin":
        return _damage_of_pickle(path, head)
    return None


def _damage_of_json(path: Path) -> str | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return "is not UTF-8"
    except RecursionError:
        return "is nested too deeply"
    except (ValueError, OSError) as error:
        return f"is not JSON ({reason(error)})"
    if path.name in _JSON and not isinstance(values, dict):
        return f"holds {json.dumps(values):.30}, not an object of JSON"
    return None


def _damage_of_safetensors(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return None
    except (SafetensorError, OSError) as error:
        return f"is damaged or cut ({reason(error)})"


def _damage_of_pickle(path: Path, head: bytes) -> str | None:
    """A `torch.save` file: a ZIP archive, whose end says what it holds, or a pickle of old."""
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):
        return "is damaged or cut"
    if not head.startswith((b"PK", b"\x80")):
        return "is no file of PyTorch"
    return None
