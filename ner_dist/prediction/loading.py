"""Load what a tagger needs: from a run, a folder or hub name with a model, or an exported folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.prepare import ANY_TRAINING, window_sizes
from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.model.exported import ExportedModel
from ner_dist.model.own_settings import precision_of, windows_of
from ner_dist.model.tokenizer import load_tokenizer, padding_id
from ner_dist.prediction.scorers import OnnxScorer, Scorer, TorchScorer
from ner_dist.recipe import Model, Precision, Recipe
from ner_dist.recipe_data import Data
from ner_dist.run.checksums import check_model
from ner_dist.run.directory import Run, model_of, predicts_iob2, read_recipe, scored_precision
from ner_dist.runtime import gpu
from ner_dist.runtime.precision import Device, resolve_precision

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

    from ner_dist.model.tokenizer import WordTokenizer

_ANY_RECIPE = Recipe(name="tagging", output_dir=".", data=Data(path="words"), train=ANY_TRAINING)


@dataclass(frozen=True)
class Loaded:
    """A model that was loaded to tag with."""

    folder: str
    """The folder or hub name of the model itself."""
    scorer: Scorer
    """Computes the logits."""
    config: Any
    """The model's configuration: that of transformers, or the same keys as attributes."""
    tokenizer: WordTokenizer
    id2tag: list[str]
    """The model's tags by id, as its config names them."""
    precision: str
    """Number format of the computation: `fp32`, `bf16`, `fp16` or `int8`."""
    max_length: int
    """Longest window in subwords, special tokens included."""
    overlap: int
    """Subwords that neighbouring windows of one long sentence share."""
    batch_tokens: int
    """Padded subwords a forward pass holds."""
    iob2: bool
    """Whether the model is known to predict IOB2."""


def load_trained(path: str | Path, precision: Precision, device: str | torch.device | None) -> Loaded:
    """Load a model with torch; see `load_tagger`."""
    import torch

    from ner_dist.model.encoder import load_config
    from ner_dist.model.tagger import load_tagging_model

    run = Run(Path(path))
    folder = model_of(path)
    check_model(path)
    recipe = read_recipe(run) or _ANY_RECIPE
    recipe = recipe.model_copy(update={"model": Model(name=folder)})
    if device is None:
        gpu.check_usable()
    own = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.device(device) if device is not None else own
    gpu.set_up()
    config = load_config(recipe.model)
    settled = _precision(precision, where, config, run)
    tokenizer = load_tokenizer(folder)
    model, tags = load_tagging_model(folder, precision=settled, device=where)
    longest, overlap = windows_of(config) or window_sizes(recipe, config, tokenizer)
    return Loaded(
        folder=folder,
        scorer=TorchScorer(model.eval(), where, padding_id(tokenizer)),
        config=config,
        tokenizer=tokenizer,
        id2tag=tags,
        precision=settled,
        max_length=longest,
        overlap=overlap,
        batch_tokens=recipe.evaluation.batch_tokens,
        iob2=predicts_iob2(run),
    )


def _precision(asked: Precision, device: torch.device, config: PretrainedConfig, run: Run) -> str:
    """`fp32`, `bf16` or `fp16`."""
    here = Device.here()
    if here.is_gpu != (device.type == "cuda"):
        here = Device(device.type, is_gpu=False, native_bf16=False)
    # The model of an older version does not say it, its run does.
    scored = precision_of(config) or scored_precision(run)
    if asked == "auto" and scored is not None and here.computes(scored):
        return scored
    return resolve_precision(asked, None, here, model_type=config.model_type)[0]


def load_exported(path: str | Path, precision: Precision, device: str | torch.device | None) -> Loaded:
    """Load an exported model, without torch; see `load_tagger`."""
    exported = ExportedModel.open(Path(path))
    manifest, where = exported.manifest, printable(path)
    if precision not in ("auto", manifest.precision):
        what = f"the exported model computes in {manifest.precision}, not in {precision}"
        raise UserError(what, where=where, fix="leave the precision at auto, or name the run")
    if device is not None and str(device) != "cpu":
        fix = "leave the device out, or name the run"
        raise UserError(f"an exported model computes on the CPU, not on {device}", where=where, fix=fix)
    return Loaded(
        folder=str(path),
        scorer=OnnxScorer(exported.session(), manifest.pad_id),
        config=exported.config,
        tokenizer=exported.tokenizer(),
        id2tag=exported.tags,
        precision=manifest.precision,
        max_length=manifest.max_length,
        overlap=manifest.overlap,
        batch_tokens=manifest.batch_tokens,
        iob2=manifest.iob2,
    )
