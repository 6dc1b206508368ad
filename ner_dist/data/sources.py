"""Load a `Corpus` from the embedded generator, a local file or folder, or a hub data set.

`load_corpus` is the entry point: it finds the files of each split, reads them, names the labels, filters by
language and drops repeats. Every problem with the data is raised as a `UserError`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.arrow import rows_from_table
from ner_dist.data.corpus import Corpus, Rows, fingerprint, labelled, rows_from_lists
from ner_dist.data.duplicates import clean
from ner_dist.data.entities import check_train, count_entities
from ner_dist.data.readers import format_by_ending, read_rows
from ner_dist.data.split_files import SPLITS, files_if_any, files_of, names_of
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe import Data

log = logging.getLogger(__name__)

SYNTHETIC = "synthetic"


def load_corpus(data: Data, *, splits: Collection[str] | None = None) -> Corpus:
    """Read the data that a recipe names.

    Args:
        data: the recipe's `data` section.
        splits: the wanted ones among `train`, `validation` and `test`; None means all that `data.splits`
            names. If `data.path` is a single file, it is the only wanted split.

    Raises:
        UserError: the data cannot be found, read or understood.
    """
    wanted = _wanted(data, splits)
    needed = wanted
    if data.drop_test_sentences_from_train and "train" in wanted and not _is_one_file(data):
        held_out = [name for name in SPLITS[1:] if getattr(data.splits, name) is not None]
        needed = [name for name in SPLITS if name in wanted or name in held_out]
    if data.path == SYNTHETIC:
        rows = _generate(data, needed)
    elif _is_saved_to_disk(data):
        rows = _read_saved(data, needed)
    elif _is_local(data):
        rows = {name: [read_rows(path, data) for path in files_of(data, name)] for name in needed}
    else:
        rows = read_hub(data, needed)

    counts: dict[str, int] = {}
    for name, parts in rows.items():
        _count_rows(name, parts, data, counts)
    labels, splits, tags = labelled(rows, data)
    cleaned = clean(splits, data, counts=counts)
    found = {name: cleaned[name] for name in wanted}
    check_train(found, labels, rows=rows, data=data)
    count_entities(found, labels, counts=counts)
    return Corpus(
        splits=found, labels=labels, counts={**counts, **tags}, fingerprint=fingerprint(found, labels)
    )


def check_files(data: Data, *, splits: Collection[str] | None = None) -> None:
    """Check that local files exist, without reading them; the hub is not contacted.

    Raises:
        UserError: the path, or the file of a split, does not exist.
    """
    wanted = _wanted(data, splits)
    if data.path != SYNTHETIC and not _is_saved_to_disk(data) and _is_local(data):
        for name in wanted:
            files_of(data, name)


def source_stamp(data: Data) -> str:
    """A hexadecimal key that changes with the data, without parsing it.

    It covers the contents of local files, the name and revision of a hub data set (so a moved branch goes
    unnoticed), or the settings and code of the embedded corpus.
    """
    digest = hashlib.sha256()
    if data.path == SYNTHETIC:
        digest.update(data.synthetic.model_dump_json().encode())
        files = sorted(Path(__file__).parent.glob("synthetic*.py"))
    elif _is_saved_to_disk(data):
        files = sorted(path for path in Path(data.path).expanduser().rglob("*") if path.is_file())
    elif _is_local(data):
        files = [path for name in SPLITS for path in files_if_any(data, name)]
    else:
        digest.update(json.dumps([data.path, data.name, data.revision]).encode())
        files = []
    for path in files:
        digest.update(f"{path.name}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _wanted(data: Data, splits: Collection[str] | None) -> list[str]:
    if splits is None:
        wanted = [name for name in SPLITS if getattr(data.splits, name) is not None]
    else:
        unknown = sorted(set(splits) - set(SPLITS))
        if unknown:
            raise UserError(f"unknown split `{unknown[0]}`", fix=f"splits are {', '.join(SPLITS)}")
        wanted = [name for name in SPLITS if name in splits]
    if _is_one_file(data):
        if len(wanted) != 1:
            raise UserError(
                f"{data.path} is one file, but the splits {', '.join(wanted)} are needed",
                where="data.path",
                fix="name a folder with a file for each split, or set the other data.splits to null",
            )
        return wanted
    for name in wanted:
        if getattr(data.splits, name) is None:
            raise UserError(
                "the recipe sets this split to null",
                where=f"data.splits.{name}",
                fix="set the name of the split",
            )
    return wanted


def _count_rows(name: str, parts: list[Rows], data: Data, counts: dict[str, int]) -> None:
    """Count the rows of a split, and refuse an empty split."""
    read, kept = sum(part.read for part in parts), sum(len(part.tokens) for part in parts)
    counts[f"{name}_rows"], counts[f"{name}_other_language"] = read, read - kept
    if not kept and read:
        languages = sum((part.languages for part in parts), Counter())
        there = ", ".join(f"{language} ({count})" for language, count in languages.most_common(20))
        raise UserError(
            f"no sentence of {name} has {data.language_column} = {data.language}; the languages are {there}",
            where=parts[0].file,
            fix="set data.language to one of these, or to null",
        )
    if not any(len(part.tags) for part in parts):
        raise UserError(f"it has no words for {name}", where=parts[0].file)
    if read > kept:
        log.info("%s: %d of %d rows are in %s", name, kept, read, data.language)


def _generate(data: Data, wanted: list[str]) -> dict[str, list[Rows]]:
    from ner_dist.data.synthetic import generate

    if data.language is not None:
        log.warning("data.language has no effect on the embedded corpus")
    corpus = generate(data.synthetic)
    rows = {}
    for name in wanted:
        tokens, tags = ([list(side) for side in column] for column in zip(*corpus[name], strict=True))
        line_numbers = range(1, len(tokens) + 1)
        rows[name] = [
            rows_from_lists(
                tokens,
                tags,
                file=f"{SYNTHETIC} {name}",
                line_numbers=line_numbers,
                place_prefix="sentence ",
                read=len(tokens),
            )
        ]
    return rows


def _is_local(data: Data) -> bool:
    path = Path(data.path).expanduser()
    if path.exists():
        return True
    looks_local = (
        data.path.startswith((".", "~", "/"))
        or data.path.endswith("/")
        or data.path.count("/") > 1
        or format_by_ending(path)
    )
    if looks_local:
        raise UserError("no such file or folder", where=data.path, fix="set data.path")
    return False


def _is_one_file(data: Data) -> bool:
    return data.path != SYNTHETIC and Path(data.path).expanduser().is_file()


def read_hub(data: Data, splits: Collection[str]) -> dict[str, list[Rows]]:
    """Read a data set from the Hugging Face hub, or from the local cache if HF_HUB_OFFLINE is set.

    Raises:
        UserError: the hub cannot be reached, or has no such data set, configuration, revision or split.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    if not datasets.config.HF_HUB_OFFLINE:
        _check_hub(data)
    try:
        found: Any = datasets.load_dataset(data.path, data.name, revision=data.revision)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        fix = _OFFLINE if isinstance(error, ConnectionError) else "see data.path, data.name and data.revision"
        raise UserError(f"cannot be loaded from the hub ({error})", where=data.path, fix=fix) from None
    return {split: [_rows_of(found, getattr(data.splits, split), data, split)] for split in splits}


def _rows_of(found: Mapping[str, Any], name: str, data: Data, split: str) -> Rows:
    """Read one split of a Hugging Face data set."""
    if name not in found:
        raise UserError(
            f"{data.path} has no split '{name}'; it has {', '.join(found)}", where=f"data.splits.{split}"
        )
    return rows_from_table(found[name].with_format("arrow")[:], data, file=f"{data.path} {name}")


def _is_saved_to_disk(data: Data) -> bool:
    """Whether the path is a folder written by `DatasetDict.save_to_disk`."""
    return data.path != SYNTHETIC and (Path(data.path).expanduser() / "dataset_dict.json").is_file()


def _read_saved(data: Data, splits: Collection[str]) -> dict[str, list[Rows]]:
    import datasets
    import pyarrow as pa

    folder = Path(data.path).expanduser()
    try:
        found: Any = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        what = f"a damaged data set of save_to_disk ({error})"
        raise UserError(what, where=data.path, fix="copy or save it again") from None
    rows = {}
    for split in splits:
        wanted = getattr(data.splits, split)
        called = [name for group in names_of(wanted, split) for name in group if name in found]
        if len(called) > 1 and wanted not in found:
            what = f"{', '.join(called)} could each be {split}"
            raise UserError(what, where=data.path, fix=f"set data.splits.{split}")
        name = wanted if wanted in found or not called else called[0]
        rows[split] = [_rows_of(found, name, data, split)]
    return rows


_OFFLINE = (
    "without a network, set data.path to a folder with the data set's files, or set HF_HUB_OFFLINE=1 "
    "if this machine has loaded it before"
)


def _check_hub(data: Data) -> None:
    """Check that the hub has the data set: `load_dataset` alone would retry for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub

    try:
        HfApi().dataset_info(data.path, revision=data.revision, timeout=20)
    except hub.GatedRepoError:
        fix = "accept its terms on the hub, and log in with `hf auth login`"
        raise UserError(f"access to {data.path} must be requested", where="data.path", fix=fix) from None
    except hub.RevisionNotFoundError:
        raise UserError(f"{data.path} has no revision '{data.revision}'", where="data.revision") from None
    except (hub.RepositoryNotFoundError, hub.HFValidationError):
        raise UserError(
            f"'{data.path}' is neither a local file or folder nor a data set on the hub",
            where="data.path",
            fix="correct the name; for a private data set, log in with `hf auth login`",
        ) from None
    except Exception as error:  # whatever the HTTP client under the hub library calls a lost connection
        raise UserError(
            f"'{data.path}' is not a local file or folder, and the hub cannot be reached ({error})",
            where="data.path",
            fix=_OFFLINE,
        ) from None
