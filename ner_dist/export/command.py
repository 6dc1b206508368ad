"""`ner-dist export`: write a trained model as a folder that predicts without torch."""

from __future__ import annotations

import logging
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from transformers import PreTrainedTokenizerFast

from ner_dist import __version__
from ner_dist.errors import UserError
from ner_dist.evaluation.operating_curve import read_curve, write_curve
from ner_dist.export.check import check_logits, check_sentences, check_tokenizer, largest_difference
from ner_dist.export.graph import check_packages, write_onnx
from ner_dist.export.quantise import ALLOWED_LOSS, quantise_int8
from ner_dist.files import atomic_folder, check_folder, printable, typed
from ner_dist.formatting import counted
from ner_dist.model.exported import FP32, ExportedModel, Manifest, is_exported
from ner_dist.prediction.scorers import OnnxScorer, TorchScorer
from ner_dist.prediction.tagger import load_tagger
from ner_dist.run.directory import Run

if TYPE_CHECKING:
    from ner_dist.prediction.tagger import Tagger

log = logging.getLogger(__name__)

RUNTIME = (
    "icu4py", "numpy", "onnxruntime", "pydantic", "pyyaml", "rich", "tokenizers", "typer",
)  # fmt: skip
"""Packages that tagging with an exported model needs."""


def export(
    model: str,
    out: Path,
    *,
    quantise: Literal["int8"] | None = None,
    allow_loss: float = ALLOWED_LOSS,
    data: str | None = None,
) -> Manifest:
    """Write a model with its tokenizer, labels and decoding as a folder; complete, or not at all.

    Args:
        model: a run's directory, a folder with a model, or a hub name.
        out: the folder, which must not exist.
        quantise: `int8` for int8 weights; None keeps fp32.
        allow_loss: F1 on validation that int8 may lose.
        data: what int8 is scored on, its validation split; None is the run's own.

    Returns:
        What the folder's export.json says.

    Raises:
        UserError: `out` exists, a package is missing, the model cannot be loaded or exported, its logits
            differ from torch's, or int8 loses too much.
    """
    _check_out(out)
    check_packages()
    if is_exported(model):
        raise UserError("is exported already", where=printable(model), fix="name the run behind it")
    began = time.perf_counter()
    tagger = load_tagger(model, precision="fp32", device="cpu")
    log.info("exporting %s, %s, to ONNX", printable(model), tagger.config.model_type)
    with atomic_folder(out) as aside:
        exported = _write_fp32(model, tagger, aside)
        if quantise is not None:
            exported = quantise_int8(model, exported, allowed=allow_loss, data=data)
        exported.write()
        (aside / "requirements.txt").write_text(_requirements(), encoding="utf-8")
    size = sum(path.stat().st_size for path in out.rglob("*")) / 1e6
    log.info("written to %s in %.0f s: %.1f MB", printable(out), time.perf_counter() - began, size)
    log.info("find entities with it: ner-dist predict %s INPUT", typed(out))
    return exported.manifest


def _check_out(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise UserError("exists already", where=printable(out), fix="name another folder, or delete it")
    check_folder(out, where="OUT")


def _write_fp32(model: str, tagger: Tagger, folder: Path) -> ExportedModel:
    """Write the folder with fp32 weights, and check that it computes what torch computes."""
    assert isinstance(tagger.scorer, TorchScorer)
    assert isinstance(tagger.tokenizer, PreTrainedTokenizerFast)
    pad_id = tagger.scorer.pad_id
    tagger.config.save_pretrained(folder)
    tagger.tokenizer.save_pretrained(folder)
    tagger.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    run = Run(Path(model))
    if (curve := read_curve(run.model if run.model.is_dir() else model)) is not None:
        write_curve(folder, curve)
    (folder / FP32).parent.mkdir()
    write_onnx(tagger.scorer.model, folder / FP32, family=tagger.config.model_type, pad_id=pad_id)
    sentences, origin = check_sentences(run)
    manifest = Manifest(
        ner_dist=__version__,
        model=FP32,
        precision="fp32",
        max_length=tagger.max_length,
        overlap=tagger.overlap,
        batch_tokens=tagger.batch_tokens,
        pad_id=pad_id,
        iob2=tagger.decoder.iob2,
        checked_sentences=len(sentences),
        largest_difference=0.0,
    )
    exported = ExportedModel(folder, manifest)
    encoded = check_tokenizer(exported.tokenizer(), tagger, sentences)
    difference = largest_difference(tagger, OnnxScorer(exported.session(), pad_id), encoded)
    check_logits(difference, len(sentences))
    log.info(
        "checked on %s of %s: its logits differ from torch's by at most %.1e",
        *(counted(len(sentences), "sentence"), origin, difference),
    )
    return exported.changed(largest_difference=difference)


def _requirements() -> str:
    """What a machine needs that tags with the folder: the versions with which it was checked."""
    lines = [
        "# What `ner-dist predict` needs to tag with this folder, in the versions with which it was checked:",
        "#     pip install -r requirements.txt",
        "#     pip install --no-deps ner_dist",
    ]
    return "\n".join([*lines, *(f"{name}=={version(name)}" for name in RUNTIME), ""])
