"""Read and write a checkpoint folder: named tensors and a JSON state, with checksums.

    tensors-00001.safetensors …   fp32 tensors, at most 2 GiB a file unless one tensor is larger
    state.json                    all other state
    SHA256SUMS                    checksum of every other file, as `sha256sum -c` reads it

The folder is written under a temporary name, synced and renamed. Nothing is unpickled on load. The files are
in the safetensors format (https://huggingface.co/docs/safetensors/index#format), but not written by the
library: its writer needs a second copy of the tensors, and cannot compute a checksum while writing.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ner_dist.errors import UserError
from ner_dist.files import aside, digest, sync, write_parts, write_tensors
from ner_dist.run.checksums import SUMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ner_dist.training.host_buffer import HostBuffer

SHARD_BYTES = 2 << 30
STATE = "state.json"


class CheckpointWriter:
    """Writes one folder, a shard at a time; disk errors are stored in `error`, never raised.

    At most one shard is held in memory beside the tensors: the next one is collected when the previous is on
    disk. The last shard is written in the background, so that a model of one shard never waits.
    """

    def __init__(
        self, folder: Path, *, shard_bytes: int = SHARD_BYTES, buffer: HostBuffer | None = None
    ) -> None:
        """
        Args:
            folder: the folder that is to appear.
            shard_bytes: size of a shard, unless one tensor is larger.
            buffer: where to copy tensors; None for new memory each time.
        """
        self.folder, self.shard_bytes, self.buffer = folder, shard_bytes, buffer
        self.aside = aside(folder)
        self.error: OSError | None = None
        self.bytes = 0
        """Number of bytes written or to be written."""
        self._sums: dict[str, str] = {}
        self._shard: dict[str, torch.Tensor] = {}
        self._held = 0
        self._attempt(self._begin)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Add a tensor; it is copied, so that training may modify it."""
        size = 4 * tensor.numel()
        self.bytes += size
        if self.error is not None:
            return
        if self._shard and self._held + size > self.shard_bytes:
            self._queued()
            self._attempt(self._write_shard)
        if self.buffer is None:
            self._shard[name] = tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
        else:
            self._shard[name] = self.buffer.copy(tensor.detach())
        self._held += size

    def finish(self, state: dict[str, Any], *, then: Callable[[CheckpointWriter], None]) -> Future[None]:
        """Write the rest and rename the folder, in the background.

        Args:
            state: contents of `state.json`.
            then: called in the background when the folder is complete or has failed.
        """

        def rest() -> None:
            self._attempt(lambda: self._complete(state))
            then(self)

        self._queued()
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        job = pool.submit(rest)
        pool.shutdown(wait=False)
        return job

    def _attempt(self, work: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            work()
        except OSError as error:
            self.error = error
            self._shard = {}
            shutil.rmtree(self.aside, ignore_errors=True)

    def _begin(self) -> None:
        shutil.rmtree(self.aside, ignore_errors=True)
        self.aside.mkdir(parents=True)

    def _complete(self, state: dict[str, Any]) -> None:
        self._write_shard()
        self._write(STATE, json.dumps(state, indent=1, allow_nan=False))
        sums = "".join(f"{digest}  {name}\n" for name, digest in self._sums.items())
        self._write(SUMS, sums)
        sync(self.aside)
        shutil.rmtree(self.folder, ignore_errors=True)  # one that was found to be damaged
        self.aside.rename(self.folder)
        sync(self.folder.parent)

    def _write_shard(self) -> None:
        name = f"tensors-{len(self._sums) + 1:05d}.safetensors"
        if self.buffer is not None:
            self.buffer.wait()
        self._sums[name] = write_tensors(self.aside / name, self._shard)
        self._shard, self._held = {}, 0
        if self.buffer is not None:
            self.buffer.clear()

    def _queued(self) -> None:
        if self.buffer is not None:
            self.buffer.queued()

    def _write(self, name: str, text: str) -> None:
        self._sums[name] = write_parts(self.aside / name, [text.encode()])


def find_corruption(folder: Path) -> str | None:
    """Describe the corruption of a checkpoint folder; None if it is intact. Reads every byte."""
    try:
        text = (folder / SUMS).read_text(encoding="ascii")
        # Not `splitlines`: a newline with a flipped bit ends a line, too.
        lines = text.removesuffix("\n").split("\n")
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        return f"{SUMS} is missing"
    except (OSError, ValueError):
        return f"{SUMS} cannot be read"
    if STATE not in sums or not text.endswith("\n"):
        return f"{SUMS} is cut short"
    for name, expected in sums.items():
        try:
            found = digest(folder / name)
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        if found != expected:
            return f"{name} differs from its checksum"
    return None


class CheckpointReader:
    """A complete folder: its state, and its tensors, read one by one."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            UserError: the folder is not a checkpoint, or cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        self.folder = folder
        try:
            self.state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
            files = [safe_open(path, framework="pt") for path in sorted(folder.glob("tensors-*.safetensors"))]
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(
                f"the checkpoint cannot be read: {error}", where=str(folder), fix="remove it"
            ) from None
        self._place = {name: file for file in files for name in file.keys()}  # noqa: SIM118

    def __contains__(self, name: str) -> bool:
        return name in self._place

    def weights(self) -> dict[str, torch.Tensor]:
        """All weights by their names in the model."""
        return {
            name.removeprefix("weight/"): self.tensor(name)
            for name in self._place
            if name.startswith("weight/")
        }

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, fp32 on the CPU."""
        result: torch.Tensor = self._place[name].get_tensor(name)
        return result
