"""Files that would fill the memory are refused within little of it, in a process with a limit."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.data.hostile import seeds

MEMORY = 1 << 29
"""Bytes that a process may take on top of its libraries."""
READ = """
import resource, sys
from pathlib import Path
import datasets, pyarrow.parquet
from tests.data.hostile.reading import read
from ner_dist.prediction.inputs import items
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv[2]),) * 2)
if sys.argv[3] == "tag":
    from ner_dist.errors import UserError
    try:
        print(sum(1 for _ in items(sys.argv[1])))
    except UserError as error:
        print(error)
else:
    print(read(Path(sys.argv[1]), max_file_gb=float(sys.argv[4])))
"""
MEGABYTE = 1 << 20


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def long_line(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'{"tokens": ["')
        for _ in range(100):
            file.write(b"a" * MEGABYTE)
        file.write(b'"], "ner_tags": ["O"]}\n')


def bomb(path: Path) -> None:
    path.write_bytes(gzip.compress((b"x" * 1023 + b"\n") * 1024) * 2000)


def spacy_bomb(path: Path) -> None:
    packer = zlib.compressobj(1)
    with path.open("wb") as file:
        for _ in range(400):
            file.write(packer.compress(bytes(MEGABYTE)))
        file.write(packer.flush())


def table_bomb(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.table({"tokens": [["a" * 1000] * 100] * 100, "ner_tags": [["O"] * 100] * 100})
    with pq.ParquetWriter(path, rows.schema) as writer:
        for _ in range(100):
            writer.write_table(rows)


def read_in_little_memory(path: Path, how: str = "train", *, max_file_gb: float = 4.0) -> str:
    """What reading prints, in a process that may take `MEMORY`."""
    command = [sys.executable, "-c", READ, str(path), str(MEMORY), how, str(max_file_gb)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.removeprefix(str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
@pytest.mark.parametrize(
    ("make", "name", "expected"),
    [
        (sparse, "train.jsonl", ":1: the line holds more than 0.0625 GB; cut it into several, or raise"),
        pytest.param(sparse, "train.conll", ":1: the line holds more than 0.0625 GB", marks=pytest.mark.soak),
        pytest.param(
            long_line, "train.jsonl", ":1: the line holds more than 0.0625 GB", marks=pytest.mark.soak
        ),
        (
            bomb,
            "train.json.gz",
            ": the file holds more than 0.2 GB; cut it into several, or raise data.max_f",
        ),
        pytest.param(bomb, "train.conll.gz", ": the file holds more than 0.2 GB", marks=pytest.mark.soak),
        pytest.param(spacy_bomb, "train.spacy", ": the file holds more than 0.2 GB", marks=pytest.mark.soak),
        (table_bomb, "train.parquet", ": the table holds more than 0.2 GB"),
    ],
)
def test_refused_before_the_memory_is_full(tmp_path, make, name, expected):
    path = tmp_path / name
    make(path)
    limit = 4.0 if "line" in expected else 0.2
    assert expected in read_in_little_memory(path, max_file_gb=limit)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
def test_a_limit_above_the_memory_is_still_one_error(tmp_path):
    path = tmp_path / "train.json.gz"
    bomb(path)
    assert ": it does not fit into the memory; " in read_in_little_memory(path, max_file_gb=100)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
@pytest.mark.parametrize(
    ("make", "name"), [(sparse, "in.txt"), pytest.param(long_line, "in.jsonl", marks=pytest.mark.soak)]
)
def test_a_line_to_tag(tmp_path, make, name):
    path = tmp_path / name
    make(path)
    assert ":1: the line holds more than 67,108,864 bytes" in read_in_little_memory(path, "tag")


def test_the_limit_can_be_raised(tmp_path):
    from tests.data.hostile.reading import read

    path = tmp_path / "train.jsonl"
    path.write_text(seeds.TEXTS["rows.jsonl"])
    assert "raise data.max_file_gb (1e-07)" in str(read(path, max_file_gb=1e-7))
    assert read(path, max_file_gb=1e-4).labels.types == ("PER", "LOC")
