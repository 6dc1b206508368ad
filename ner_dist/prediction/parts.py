"""Tag an input in chunks: on any number of processes, in the order of the input, and resumable.

The input is cut into chunks by its contents alone. Process r of W tags the chunks r, r + W, …; each becomes a
file in a folder beside the output, complete or not there. When all are there, the first process joins them.
So the output does not depend on the number of processes, an interrupted run goes on with the chunks that are
missing, and memory holds one chunk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ner_dist.files import atomic_file, read_json, write_atomically
from ner_dist.prediction.items import Item

# Enough sentences that batches of equal length are full, and few enough that little is lost.
_CHUNK = 200_000
"""Characters of a chunk, about; one item may be longer."""


def chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Cut the input into chunks of about equal size."""
    chunk: list[Item] = []
    size = 0
    for item in items:
        chunk.append(item)
        size += len(item.text) if item.text is not None else sum(len(word) + 1 for word in item.words or ())
        size += 1
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@dataclass(frozen=True)
class Parts:
    """The folder of finished chunks beside an output."""

    output: Path

    @property
    def folder(self) -> Path:
        return self.output.with_name(f".{self.output.name}.parts")

    def open(self, about: dict[str, object]) -> bool:
        """Make the folder, or keep it if it is of the same work; returns whether it was kept.

        Args:
            about: what decides the output: the model, the input, the settings.
        """
        described = self.folder / "about.json"
        known = json.loads(json.dumps(about))
        if self.folder.is_dir() and read_json(described) == known:
            return True
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_atomically(described, json.dumps(about))
        return False

    def part(self, number: int) -> Path:
        return self.folder / f"{number:08}"

    def join(self, count: int, *, head: str, between: str, tail: str) -> None:
        """Write the output from its chunks, and remove their folder.

        Args:
            count: number of chunks.
            head: what the output begins with.
            between: what comes between two items.
            tail: what the output ends with.
        """
        with atomic_file(self.output) as file:
            file.write(head)
            first = True
            for number in range(count):
                with self.part(number).open(encoding="utf-8", newline="") as part:
                    if part.seek(0, 2):
                        part.seek(0)
                        file.write("" if first else between)
                        shutil.copyfileobj(part, file)
                        first = False
            file.write(tail)
        self.remove()

    def remove(self) -> None:
        """Remove the folder, once the output is there."""
        shutil.rmtree(self.folder, ignore_errors=True)


def tag_parts(
    parts: Parts,
    items: Iterator[Item],
    tag: Callable[[list[Item]], str],
    *,
    rank: int = 0,
    world: int = 1,
    passed: Callable[[list[Item]], None],
) -> int:
    """Tag the chunks of one process; returns the number of chunks of the whole input.

    Args:
        parts: where finished chunks lie.
        items: the whole input; the chunks of other processes are read and left.
        tag: makes the output of a chunk.
        rank: this process.
        world: number of processes.
        passed: called with each chunk that this process has tagged or left to others.
    """
    count = 0
    for number, chunk in enumerate(chunks(items)):
        count += 1
        path = parts.part(number)
        if number % world == rank and not path.exists():
            with atomic_file(path) as file:
                file.write(tag(chunk))
        passed(chunk)
    return count
