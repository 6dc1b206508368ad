"""Data sets of the Hugging Face hub, and folders that its library wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.corpus import Rows
from ner_dist.data.split_files import names_of
from ner_dist.data.table_files import content_of_table
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

_OFFLINE = (
    "without a network, set data.path to a folder with the data set's files, or set HF_HUB_OFFLINE=1 "
    "if this machine has loaded it before"
)
_CONVERTED = "refs/convert/parquet"
"""Where the hub keeps data sets as Parquet files that are else made by a script."""


def open_hub(data: Data) -> Mapping[str, Any]:
    """The splits of a data set on the hub, or in the local cache if HF_HUB_OFFLINE is set.

    Raises:
        UserError: the hub cannot be reached, or has no such data set, configuration or revision.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    if not datasets.config.HF_HUB_OFFLINE:
        _check_hub(data)
    try:
        found: Any = datasets.load_dataset(
            data.path, data.name, revision=data.revision, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        if isinstance(error, ConnectionError):
            raise _unreachable(data, error) from None
        fix = "see data.path, data.name and data.revision"
        if "script" in str(error) and data.revision != _CONVERTED:
            # `datasets` 4 and later run no code of a data set: the hub has converted most of these.
            fix = f"set data.revision={_CONVERTED}, under which the hub keeps it without a script"
        raise UserError(f"cannot be loaded from the hub ({error})", where=data.path, fix=fix) from None
    result: Mapping[str, Any] = found
    return result


def open_saved(data: Data) -> Mapping[str, Any]:
    """The splits of a folder that `DatasetDict.save_to_disk` wrote.

    Raises:
        UserError: the folder is damaged.
    """
    import datasets
    import pyarrow as pa

    try:
        found: Any = datasets.load_from_disk(str(Path(data.path)))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        what = f"a damaged data set of save_to_disk ({error})"
        raise UserError(what, where=data.path, fix="copy or save it again") from None
    result: Mapping[str, Any] = found
    return result


def is_saved_to_disk(data: Data) -> bool:
    """Whether the path is a folder written by `DatasetDict.save_to_disk`."""
    return (Path(data.path) / "dataset_dict.json").is_file()


def name_in_saved(found: Mapping[str, Any], data: Data, split: str) -> str:
    """What a split is called in a saved folder: as the recipe says, or by one of its usual names.

    Raises:
        UserError: several names could each be the split.
    """
    wanted: str = getattr(data.splits, split)
    called = [name for group in names_of(wanted, split) for name in group if name in found]
    if len(called) > 1 and wanted not in found:
        what = f"{', '.join(called)} could each be {split}"
        raise UserError(what, where=data.path, fix=f"set data.splits.{split}")
    return wanted if wanted in found or not called else called[0]


def rows_of(found: Mapping[str, Any], name: str, data: Data, split: str) -> Rows:
    """Read one split of a Hugging Face data set.

    Raises:
        UserError: there is no split of that name.
    """
    if name not in found:
        raise UserError(
            f"{data.path} has no split '{name}'; it has {', '.join(found)}", where=f"data.splits.{split}"
        )
    content = content_of_table(found[name].with_format("arrow")[:], data, file=f"{data.path} {name}")
    return content if isinstance(content, Rows) else content.rows(data)


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
        raise _unreachable(data, error) from None


def _unreachable(data: Data, error: Exception) -> UserError:
    """A path that is wrong, most likely, or a data set of the hub without a network."""
    import datasets

    if datasets.config.HF_HUB_OFFLINE:
        what = (
            f"there is no file or folder '{data.path}' here, and no data set of that name in the hub's cache"
        )
        fix = "correct the path; for a data set on the hub, unset HF_HUB_OFFLINE"
        return UserError(what, where="data.path", fix=fix)
    what = f"there is no file or folder '{data.path}' here, and the hub cannot be reached ({error})"
    return UserError(what, where="data.path", fix=f"correct the path; {_OFFLINE}")
