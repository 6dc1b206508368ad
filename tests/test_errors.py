"""A full disk is reported with the file, from every writer: everything here writes to /dev/full."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models

from ner_dist.errors import UserError, disk_errors, writing

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")


def with_python(path):
    with path.open("w") as file:
        file.write("x")


def with_numpy(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(100_000))


def with_arrow(path):
    with pa.OSFile(str(path), "wb") as sink:
        sink.write(b"x")


def with_rust(path):
    Tokenizer(models.BPE()).save(str(path))


def with_copytree(path):
    shutil.copytree(path.parent / "from", path.parent / "to", dirs_exist_ok=True)


@pytest.mark.parametrize("write", [with_python, with_numpy, with_arrow, with_rust, with_copytree])
def test_a_full_disk_is_named_with_the_file(tmp_path, write):
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "from" / "weights").write_text("x")
    (tmp_path / "to" / "weights").symlink_to(FULL)
    aside = tmp_path / ".part"
    aside.symlink_to(FULL)
    with pytest.raises(UserError) as caught, disk_errors(), writing("runs/x/model"):
        write(aside)
    assert str(caught.value) == (
        "runs/x/model: No space left on device; "
        "free disk space and repeat the command: what was saved is still there"
    )


@pytest.mark.parametrize(
    "error", [ValueError("7 requested"), FileNotFoundError(errno.ENOENT, "gone", "a"), KeyError("tokenizer")]
)
def test_other_trouble_stays_what_it_is(error):
    with pytest.raises(type(error)) as caught, disk_errors(), writing("runs/x/model"):
        raise error
    assert caught.value is error
