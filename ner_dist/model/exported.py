"""A folder with an exported model: its settings, its tokenizer, and the ONNX session that computes logits.

Nothing here imports torch or transformers: the folder is used where neither is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ner_dist.errors import UserError
from ner_dist.files import printable, read_json
from ner_dist.runtime.threads import load, thread_count

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

MANIFEST = "export.json"
"""File by which an exported folder is recognised."""
FP32, INT8 = "onnx/model.onnx", "onnx/model_quantized.onnx"
"""Where transformers.js looks for a graph."""
_AGAIN = "export the model again with `ner-dist export`"


class Scores(BaseModel):
    """F1 on validation of the model before and after quantisation."""

    fp32: float
    int8: float


class Manifest(BaseModel):
    """What export.json says: how the folder's model predicts as the one it was made from."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    ner_dist: str
    """Version that wrote the folder."""
    model: str
    """ONNX file, below the folder."""
    precision: Literal["fp32", "int8"]
    max_length: int
    """Longest window in subwords, special tokens included."""
    overlap: int
    """Subwords that neighbouring windows of one long sentence share."""
    batch_tokens: int
    """Padded subwords a forward pass holds."""
    pad_id: int
    """Subword id for padding."""
    iob2: bool
    """Whether the model is known to predict IOB2."""
    checked_sentences: int
    """Sentences on which the fp32 logits were compared with torch's."""
    largest_difference: float
    """Largest absolute difference of these logits."""
    validation_f1: Scores | None = None
    """Of a quantised model."""


@dataclass(frozen=True)
class PlainTokenizer:
    """A tokenizer.json, read without transformers."""

    backend_tokenizer: Tokenizer
    pad_token_id: int


@dataclass(frozen=True)
class ExportedModel:
    """An exported folder."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> ExportedModel:
        """Read the folder's export.json.

        Raises:
            UserError: it is damaged, or was written by a newer version.
        """
        path = folder / MANIFEST
        try:
            return cls(folder, Manifest.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            first = error.errors()[0]
            what = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
            raise UserError(what, where=printable(path), fix=_AGAIN) from None

    def write(self) -> None:
        """Write export.json."""
        text = self.manifest.model_dump_json(indent=1, exclude_none=True)
        (self.folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")

    def changed(self, **fields: Any) -> ExportedModel:
        """The folder with other fields of its manifest."""
        return ExportedModel(self.folder, self.manifest.model_copy(update=fields))

    @cached_property
    def config(self) -> SimpleNamespace:
        """The model's config.json, its keys as attributes as transformers has them."""
        return SimpleNamespace(**read_json(self.folder / "config.json"))

    @cached_property
    def tags(self) -> list[str]:
        """The model's tags by id, as its config names them.

        Raises:
            UserError: the config names none.
        """
        names = getattr(self.config, "id2label", None)
        if not isinstance(names, dict) or sorted(names) != sorted(map(str, range(len(names)))):
            where = printable(self.folder / "config.json")
            raise UserError("id2label does not name the labels 0, 1, 2, …", where=where, fix=_AGAIN)
        return [str(names[str(i)]) for i in range(len(names))]

    def tokenizer(self) -> PlainTokenizer:
        """The tokenizer.

        Raises:
            UserError: its file is missing or damaged.
        """
        from tokenizers import Tokenizer

        path = self.folder / "tokenizer.json"
        try:
            backend = Tokenizer.from_file(str(path))
        # The library raises a bare Exception.
        except Exception as error:
            raise UserError(f"cannot be read: {error}", where=printable(path), fix=_AGAIN) from None
        backend.no_padding()
        backend.no_truncation()
        return PlainTokenizer(backend, self.manifest.pad_id)

    def session(self) -> OnnxSession:
        """The session that computes its logits; see `OnnxSession`."""
        return OnnxSession(self.folder / self.manifest.model)


def is_exported(folder: str | Path) -> bool:
    """Whether a folder holds an exported model."""
    return (Path(folder) / MANIFEST).is_file()


class OnnxSession:
    """Computes logits with ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        """Load an ONNX file.

        Args:
            path: the file.

        Raises:
            UserError: ONNX Runtime is not installed, or cannot load the file.
        """
        try:
            import onnxruntime
        except ImportError:
            fix = "pip install 'ner_dist[onnx]'"
            raise UserError("ONNX Runtime is not installed", where=printable(path), fix=fix) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count()
        # Threads that spin while they wait starve whatever shares the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0" if load() else "1")
        # Its warnings are about nodes that it left as they are.
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        # Its exceptions have no common class below Exception.
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"cannot be loaded: {reason}", where=printable(path), fix=_AGAIN) from None

    def logits(self, input_ids: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Logits of every subword, float32 [examples, longest, labels].

        Args:
            input_ids: int64 [examples, longest].
            filled: bool or int [examples, longest]: what is not padding.
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": filled.astype("int64")}
        result: np.ndarray = self._session.run(["logits"], inputs)[0]
        return result
