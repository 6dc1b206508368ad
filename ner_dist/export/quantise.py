"""Quantise the weights of an ONNX model to int8, and refuse a model that loses too much by it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.evaluation.command import evaluate
from ner_dist.model.exported import FP32, INT8, Scores

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.model.exported import ExportedModel

log = logging.getLogger(__name__)

ALLOWED_LOSS = 0.005
"""F1 on validation that a model may lose by quantisation unless more is allowed."""


def quantise_int8(model: str, exported: ExportedModel, *, allowed: float, data: str | None) -> ExportedModel:
    """Replace an exported model's fp32 by int8 weights, and check what its scores lose.

    Args:
        model: the run, model's folder or hub name that was exported.
        exported: its folder, with fp32 weights.
        allowed: F1 on validation that it may lose.
        data: as in `evaluate`; None is the run's own.

    Raises:
        UserError: it loses more, or there is no data to score it on.
    """
    log.info("scoring fp32 and int8 on validation")
    before = _validation_f1(model, exported, data)
    _write_int8(exported.folder / FP32, exported.folder / INT8)
    quantised = exported.changed(model=INT8, precision="int8")
    scores = Scores(fp32=before, int8=_validation_f1(model, quantised, data))
    log.info("F1 on validation: %.4f in int8, %.4f in fp32", scores.int8, scores.fp32)
    _check_loss(scores, allowed)
    for path in exported.folder.glob(f"{FP32}*"):
        path.unlink()
    return quantised.changed(validation_f1=scores)


def _validation_f1(model: str, exported: ExportedModel, data: str | None) -> float:
    exported.write()
    return evaluate(model, data, "validation", precision="fp32", weights=exported.folder).scores.f1


def _write_int8(source: Path, target: Path) -> None:
    """Quantise the weights of an ONNX model's matrix products; activations are quantised as they come.

    Each output channel of a weight has a scale of its own. Weights use 7 of the 8 bits: on processors
    without VNNI, sums of products of full 8 bits saturate.

    Args:
        source: the fp32 model.
        target: the file to write.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    before = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it advises to preprocess models of older exporters
    try:
        quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=source.with_name(f"{source.name}.data").exists(),
            extra_options={"MatMulConstBOnly": True},
        )
    finally:
        logging.root.setLevel(before)


def _check_loss(scores: Scores, allowed: float) -> None:
    """Refuse a quantised model that loses too much.

    Raises:
        UserError: its F1 falls by more than `allowed`.
    """
    log.info("F1 on validation: %.4f in int8, %.4f in fp32", scores.int8, scores.fp32)
    loss = scores.fp32 - scores.int8
    if loss > allowed:
        raise UserError(
            f"int8 loses {loss:.4f} of F1 on validation ({scores.fp32:.4f} in fp32, {scores.int8:.4f} in "
            f"int8), more than {allowed:g}",
            where="--quantise int8",
            fix=f"leave --quantise out, or pass --allow-loss {loss + 0.001:.3f}",
        )
