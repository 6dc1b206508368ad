"""Write a model as an ONNX graph, through torch.export."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""Packages that exporting needs beside torch."""
# A file of protocol buffers holds less than 2 GiB: weights beyond that lie beside it.
_MOST_INSIDE = 1_800_000_000


class _Logits(torch.nn.Module):
    """The model with tensors in and a tensor out."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def check_packages() -> None:
    """Check that exporting is possible, before the model is loaded.

    Raises:
        UserError: a package is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} not installed", fix="pip install 'ner_dist[onnx]'")


def write_onnx(model: torch.nn.Module, path: Path, *, family: str, pad_id: int) -> None:
    """Write a model whose batch and length are free; the inputs are `input_ids` and `attention_mask`.

    Args:
        model: a token-classification model in fp32 on the CPU, called as
            `model(input_ids=, attention_mask=).logits`.
        path: the file; weights that do not fit into it lie beside it, in `NAME.data`.
        family: `config.model_type`.
        pad_id: subword id for padding.

    Raises:
        UserError: torch cannot export models of this kind.
    """
    # Two sentences, the second padded: sizes of 1, or a mask without zeros, might be taken for constants.
    ids = torch.full((2, 8), 5 if pad_id != 5 else 6)
    filled = torch.ones_like(ids)
    ids[1, 6:], filled[1, 6:] = pad_id, 0
    free = {0: "batch", 1: "length"}
    size = sum(parameter.nbytes for parameter in model.parameters())
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                _Logits(model).eval(),
                (),
                str(path),
                kwargs={"input_ids": ids, "attention_mask": filled},
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_shapes={"input_ids": free, "attention_mask": free},
                dynamo=True,
                external_data=size > _MOST_INSIDE,
                verbose=False,
            )
    # What torch.export, the model's own code and onnxscript raise has no common class.
    except Exception as error:
        log.debug("the export failed", exc_info=error)
        cause = error.__cause__ or error
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise UserError(
            f"torch {torch.__version__} cannot export a model of the family {family}: {reason}",
            where="--format onnx",
            fix="use the run itself, or train an encoder of another family, such as RoBERTa",
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what the exporter prints about its own passes."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
