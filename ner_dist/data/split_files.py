"""Find the files of each split in a folder by their names.

A file belongs to a split if it has the split's name (`dev.tsv` is validation), is a shard of it, is in a
folder of that name, or has the name as a part of its own (`en-train.iob2`, `emerging.dev.conll`,
`eng.testa`). A name that mentions two splits (`train_dev.tsv`) matches neither. Two candidates for one split
are an error: a wrong guess could select a model by the sentences it was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.data.formats.brat import pair_in
from ner_dist.data.readers import format_by_ending
from ner_dist.data.table_files import is_saved
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

SPLITS = ("train", "validation", "test")
# testa and testb are CoNLL-2003's; the first name is the default of `data.splits`.
NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development", "testa"),
    "test": ("test", "testing", "testb"),
}
_SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
_ANY_NAME = "|".join(sorted(_SPLIT_OF, key=len, reverse=True))
# `wnut17train`, `train2`, and several names run together: `traindev`.
_IN_A_PART = re.compile(rf"(?:.*\d)?((?:{_ANY_NAME})+)\d*")
_NO_DATA = frozenset(
    (
        *(".md", ".rst", ".pdf", ".html", ".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini"),
        *(".log", ".lock", ".ann", ".png", ".zip", ".tar", ".tgz", ".bz2", ".xz", ".pt", ".safetensors"),
    )
)


def files_of(data: Data, split: str) -> list[Path]:
    """The files of a split, in order: named in `data.files`, or matched by name.

    A folder of `Dataset.save_to_disk` counts as one file.

    The folder, its sub-folder `data.name` and its sub-folder `data/` are searched.

    Raises:
        UserError: there is no file, several candidates, or a missing shard.
    """
    folder = Path(data.path)
    if is_one_split(folder):
        return _data_files(folder, data) if folder.is_dir() and not is_saved(folder) else [folder]
    if split in data.files:
        path = folder / data.files[split]
        if not path.is_file():
            what = f"no such file; the files are {_listed(folder)}"
            raise UserError(what, where=str(path), fix=f"set data.files.{split}")
        return [path]
    if found := _found(data, split):
        return found
    wanted = getattr(data.splits, split).lower()
    drop = f", or data.splits.{split} to null" if split != "train" else f", or data.splits.{split}"
    what = f"no file is named '{wanted}'; the files are {_listed(folder)}"
    if joined := [path.name for path in _files_in(folder) if _holds_more(path, split)]:
        what += f"; {', '.join(joined)} holds more than {split}, by its name"
    raise UserError(what, where=data.path, fix=f"set data.files.{split}{drop}")


def is_one_split(path: Path) -> bool:
    """Whether a path is the whole of one split, such as a file.

    So is a folder of `Dataset.save_to_disk`, and one with texts of brat whose names tell no splits.
    """
    if not path.is_dir():
        return path.is_file()
    if is_saved(path):
        return True
    return pair_in(path) is not None and not any(_said(_parts(text)) for text in path.glob("*.txt"))


def read_with(path: Path) -> list[Path]:
    """The files that are read for a file of a split: itself, brat's annotations, or all in its folder."""
    if path.is_dir():
        return sorted(inside for inside in path.rglob("*") if inside.is_file())
    beside = path.with_suffix(".ann")
    return [path, beside] if path.suffix == ".txt" and beside.is_file() else [path]


def has_files(data: Data, split: str) -> bool:
    """Whether there are files of a split; a single file, or a folder that is one split, is train.

    Raises:
        UserError: several could be the split, or a shard is missing.
    """
    if is_one_split(Path(data.path)):
        return split == "train"
    return split in data.files or bool(_found(data, split))


def _found(data: Data, split: str) -> list[Path]:
    """The files that are named like a split; empty if there are none."""
    folder = Path(data.path)
    roots = [folder / data.name] if data.name else []
    for root in filter(Path.is_dir, (*roots, folder, folder / "data")):
        for names in names_of(getattr(data.splits, split).lower(), split):
            if found := _named(root, names, data=data, split=split):
                return found
    return []


def files_if_any(data: Data, split: str) -> list[Path]:
    """The files of a split; empty if they cannot be determined, which is an error only when it is read."""
    if getattr(data.splits, split) is None and not is_one_split(Path(data.path)):
        return []
    try:
        return files_of(data, split)
    except UserError:
        return []


def names_of(wanted: str, split: str) -> list[tuple[str, ...]]:
    """Names of a split, in groups of equal priority.

    Args:
        wanted: `data.splits.<split>`; a name other than the default has priority.
        split: `train`, `validation` or `test`.
    """
    usual = NAMES[split]
    if wanted == usual[0]:
        return [usual]
    return [(wanted,), usual] if wanted in usual else [(wanted,)]


def _named(folder: Path, names: tuple[str, ...], *, data: Data, split: str) -> list[Path]:
    """The files of a split in a folder; files with a known ending have priority."""
    groups = (_data_files(folder, data), _other_files(folder, data))
    for files in groups:
        if exact := [path for path in files if _stem(path) in names]:
            # `train.txt` wins over `train_small.txt`, but `eng.testa` is validation as much as `dev.txt` is.
            others = tuple(name for name in names if name not in map(_stem, exact))
            rivals = [path for group in groups for path in group if _speaks_of(path, others)]
            rivals = [path for path in rivals if path not in exact]
            return _one([*exact, *rivals], folder, split)
        if shards := _shards(files, names):
            return shards
        inside = [folder / name for name in names if (folder / name).is_dir()]
        inside = [path for path in inside if _data_files(path, data) or _other_files(path, data)]
        if inside:
            path = _one(inside, folder, split)[0]
            if is_saved(path):
                return [path]
            return _data_files(path, data) or _other_files(path, data)
        parts = [path for path in files if _speaks_of(path, names)]
        if parts:
            return _one(parts, folder, split)
    return []


def _one(found: list[Path], folder: Path, split: str) -> list[Path]:
    if len(found) > 1:
        named = ", ".join(path.name for path in found)
        key = "files" if found[0].is_file() else "splits"
        raise UserError(f"{named} could each be {split}", where=str(folder), fix=f"set data.{key}.{split}")
    return found


def _shards(files: list[Path], names: tuple[str, ...]) -> list[Path]:
    """`train-00000-of-00002.parquet` and its like."""
    pattern = re.compile(rf"({'|'.join(map(re.escape, names))})-\d+-of-(\d+)")
    matches = {path: match for path in files if (match := pattern.fullmatch(_stem(path)))}
    if not matches:
        return []
    called, total = next(iter(matches.values())).groups()
    found = [path for path, match in matches.items() if match[1] == called]
    if len(found) != int(total):
        what = f"{len(found)} of {int(total)} parts are there"
        raise UserError(what, where=str(found[0]), fix="add the others")
    return found


def _speaks_of(path: Path, names: tuple[str, ...]) -> bool:
    """Whether a part of a file's name is the split's, and none is another split's."""
    parts = _parts(path)
    if not any(name in _SPLIT_OF for name in names):
        return any(name in parts for name in names)
    said = _said(parts)
    return any(name in names for name in said) and len({_SPLIT_OF[name] for name in said}) == 1


def _holds_more(path: Path, split: str) -> bool:
    """Whether a file's name speaks of the split and of another one, as `train_dev.tsv` does."""
    splits = {_SPLIT_OF[name] for name in _said(_parts(path))}
    return split in splits and len(splits) > 1


def _parts(path: Path) -> list[str]:
    stem = path.name.removesuffix(".gz")
    if format_by_ending(path):
        stem = stem.rpartition(".")[0]
    return re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", stem).lower())


def _said(parts: list[str]) -> list[str]:
    """The names of splits among the parts of a file's name."""
    matches = filter(None, map(_IN_A_PART.fullmatch, parts))
    return [name for match in matches for name in re.findall(_ANY_NAME, match[1])]


def _data_files(folder: Path, data: Data) -> list[Path]:
    """The files in a folder, sorted, whose ending goes with the format that is asked for."""
    if data.format == "auto":
        return [path for path in _files_in(folder) if format_by_ending(path)]
    return [path for path in _files_in(folder) if format_by_ending(path) in (data.format, None)]


def _other_files(folder: Path, data: Data) -> list[Path]:
    """Those whose ending says nothing, such as `eng.testa`."""
    return [path for path in _files_in(folder) if not format_by_ending(path) and data.format == "auto"]


def _files_in(folder: Path) -> list[Path]:
    files = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in files if path.suffix not in _NO_DATA and path.is_file()]


def _stem(path: Path) -> str:
    name = path.with_suffix("") if path.suffix == ".gz" else path
    return name.stem.lower()


def _listed(folder: Path) -> str:
    there: Iterable[Path] = islice(folder.rglob("*"), 1000)
    files = sorted(str(path.relative_to(folder)) for path in there if path.is_file())
    return ", ".join(files[:12]) + (" and more" if len(files) > 12 else "") or "no files"
