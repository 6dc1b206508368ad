"""Load a trained tagger from a folder or the hub, and save one in Hugging Face format."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from ner_dist.errors import UserError
from ner_dist.files import atomic_folder, write_tensors
from ner_dist.model import own_settings
from ner_dist.model.encoder import max_length, whole_models
from ner_dist.model.exported import ExportedModel, OnnxSession, is_exported
from ner_dist.model.model_files import cannot_load, check_files
from ner_dist.model.padding_mask import build_masks_without_waiting

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from ner_dist.run.directory import Run


class TaggingModel(torch.nn.Module):
    """A saved model that computes in a given precision."""

    def __init__(self, model: torch.nn.Module, *, precision: str) -> None:
        super().__init__()
        self.model, self.precision = model, precision

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        with torch.autocast(input_ids.device.type, dtype=kind, enabled=kind is not None):
            return self.model(input_ids=input_ids, attention_mask=attention_mask)


class _OnnxModel(torch.nn.Module):
    """An exported model, called like one of transformers."""

    def __init__(self, session: OnnxSession) -> None:
        super().__init__()
        self._session = session

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> SimpleNamespace:
        filled = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        logits = self._session.logits(input_ids.cpu().numpy(), filled.cpu().numpy())
        return SimpleNamespace(logits=torch.from_numpy(logits).to(input_ids.device))


@whole_models()
def load_tagging_model(
    folder: str | Path, *, precision: str, device: torch.device
) -> tuple[TaggingModel, list[str]]:
    """Load a trained token-classification model and its labels by id, as written in its config.

    Args:
        folder: a local folder or a hub name. An exported model computes on the CPU, in its own precision.
        precision: `fp32`, `bf16` or `fp16`.
        device: device to load it to.
    """
    from transformers import AutoModelForTokenClassification

    if is_exported(folder):
        exported = ExportedModel.open(Path(folder))
        return TaggingModel(_OnnxModel(exported.session()), precision="fp32"), exported.tags
    check_files(str(folder))
    try:
        model, info = AutoModelForTokenClassification.from_pretrained(
            str(folder), dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
        _try(model)
    # Broken files raise whatever their readers, or the model's validation of its config, raise.
    except Exception as error:
        raise cannot_load(str(folder), error, where=str(folder)) from None
    if info["missing_keys"]:
        # Missing weights would be random, and so would the scores.
        raise UserError(
            f"the model lacks weights: {', '.join(sorted(info['missing_keys'])[:3])}",
            where=str(folder),
            fix="name a trained token-classification model",
        )
    names = model.config.id2label
    if sorted(names) != list(range(len(names))):
        raise UserError("the label ids are not 0, 1, 2, …", where=f"{folder}: id2label")
    tags = [str(names[i]) for i in range(len(names))]
    build_masks_without_waiting(model)
    return TaggingModel(model, precision=precision).to(device), tags


@torch.no_grad()
def _try(model: torch.nn.Module) -> None:
    """Pass two subwords through the model: sizes may contradict each other, which loading does not notice."""
    ids = torch.zeros(1, 2, dtype=torch.int64)
    model.eval()
    if not hasattr(model(input_ids=ids, attention_mask=torch.ones_like(ids)), "logits"):
        raise ValueError("config.json asks for another output (return_dict)")


def save_model(
    run: Run,
    *,
    weights: dict[str, torch.Tensor],
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    card: str,
    settings: dict[str, Any],
) -> None:
    """Write RUN/model/ in Hugging Face format, from fp32 weights by parameter name.

    `settings` are what `own_settings` returns.
    """
    setattr(config, own_settings.KEY, settings)
    config.dtype = torch.float32
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    # Some tokenizers have no limit, and a pipeline would then exceed that of the model.
    tokenizer.model_max_length = min(tokenizer.model_max_length, max_length(config))
    with atomic_folder(run.model) as folder:
        write_tensors(folder / "model.safetensors", weights)
        config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
