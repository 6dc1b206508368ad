"""The encoder with a tagging head: its configuration, its weights, and its training loss."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ner_dist.data.tokenizer import check_model_name
from ner_dist.errors import UserError
from ner_dist.recipe import SCRATCH

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Model, Train

log = logging.getLogger(__name__)

# Their position ids start behind the padding id, so that a table of 514 positions takes 512 subwords.
_POSITIONS_AFTER_PADDING = {
    "camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm",
    "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip


def load_config(settings: Model, *, vocab_size: int | None = None) -> PretrainedConfig:
    """The encoder's configuration, from the hub, a local folder, or the recipe's `model.scratch`.

    Args:
        settings: the recipe's `model`.
        vocab_size: number of subwords, for a model from scratch only.
    """
    from transformers import AutoConfig, RobertaConfig

    if settings.name == SCRATCH:
        shape = settings.scratch
        return RobertaConfig(
            vocab_size=vocab_size or shape.vocab_size,
            hidden_size=shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.hidden_size,
            max_position_embeddings=shape.max_length + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
    check_model_name(settings.name)
    folder = Path(settings.name)
    if folder.is_dir() and not (folder / "config.json").exists():
        raise UserError(
            f"the folder `{folder}` holds no model (config.json is missing)",
            where="model.name",
            fix="name the folder that holds one, such as RUN/model",
        )
    try:
        return AutoConfig.from_pretrained(settings.name, revision=settings.revision)
    # A broken config.json raises whatever the model's own check of it does.
    except Exception as error:
        raise cannot_load(settings, error) from None


def max_length(config: PretrainedConfig) -> int:
    """Longest input of the encoder in subwords, special tokens included, as far as its configuration says."""
    positions = getattr(config, "max_position_embeddings", None) or 512
    if config.model_type in _POSITIONS_AFTER_PADDING:
        positions -= config.pad_token_id + 1
    return positions


def load_model(settings: Model, labels: LabelSet, *, seed: int, vocab_size: int) -> PreTrainedModel:
    """A tagging model in fp32, the same on every rank; what is new in it is drawn from `seed`."""
    from transformers import AutoModelForTokenClassification

    load_whole()
    config = load_config(settings, vocab_size=vocab_size)
    labels_before = config.id2label or {}
    config.num_labels = len(labels)
    config.id2label, config.label2id = labels.id2label, dict(labels.label2id)
    if settings.dropout is not None:
        # Every family has names of its own for them.
        for name in [name for name in config.to_dict() if "dropout" in name]:
            setattr(config, name, settings.dropout)
    torch.manual_seed(seed)
    if settings.name == SCRATCH:
        model = AutoModelForTokenClassification.from_config(config)
    else:
        model = _pretrained(settings, config)
        if len(labels_before) == len(labels) and labels_before != config.id2label:
            _renew_head(model)
    # What is saved with the weights; a pretrained encoder's own says what it was before.
    model.config.architectures = [type(model).__name__]
    if settings.gradient_checkpointing:
        # Its name from transformers 5.20 or so on; the old one still works, with a warning.
        enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
        enable({"use_reentrant": False})
    return model


def _pretrained(settings: Model, config: PretrainedConfig) -> PreTrainedModel:
    from safetensors import SafetensorError
    from transformers import AutoModelForTokenClassification

    try:
        model, info = AutoModelForTokenClassification.from_pretrained(
            settings.name,
            revision=settings.revision,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            # A tagging head of another label set is replaced; everything else must fit.
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise cannot_load(settings, error) from None
    body = f"{model.base_model_prefix}."
    new = [name for name in info["missing_keys"] if name.startswith(body)]
    new += [str(entry[0]) for entry in info["mismatched_keys"] if str(entry[0]).startswith(body)]
    if new:
        log.warning(
            "%s lacks %d weights of the encoder, which start at random (%s): is it the right model?",
            settings.name,
            len(new),
            ", ".join(new[:3]) + (", …" if len(new) > 3 else ""),
        )
    return model


def _renew_head(model: PreTrainedModel) -> None:
    """Draw the output layer anew: one of as many labels has been loaded, though its rows mean others."""
    body = f"{model.base_model_prefix}."
    for name, module in model.named_modules():
        outside = not name.startswith(body)
        if outside and isinstance(module, nn.Linear) and module.out_features == model.num_labels:
            nn.init.normal_(module.weight, std=getattr(model.config, "initializer_range", 0.02))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def load_whole() -> None:
    """Have transformers load whole models on every rank, under ZeRO-3 too, and without a word.

    Otherwise it partitions whatever is loaded while a ZeRO-3 engine lives: a model that is only to be scored
    then has empty weights, and encoders gain nothing from it.
    """
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config
    from transformers.utils import logging

    unset_hf_deepspeed_config()
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def cannot_load(settings: Model, error: Exception) -> UserError:
    """The error for a model that is neither in the folder, nor in the cache, nor within reach."""
    log.debug("loading %s failed", settings.name, exc_info=error)
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(
        f"cannot load the model `{settings.name}`: {reason.rstrip('.')}",
        where="model.name",
        fix="name a hub model (with a network, or after `ner-dist prepare`) or a folder that holds one",
    )


class TaggingLoss(nn.Module):
    """Cross-entropy summed over labelled words, and the number to divide it by.

    The gradient of a step is that of (sum over all its words, on all ranks and in all micro-batches) divided
    by (the sum of the words' weights), so neither padding nor the split into micro-batches changes it.
    With class weights both sums are weighted, as in `torch.nn.CrossEntropyLoss(reduction="mean")`.
    """

    def __init__(self, weights: torch.Tensor | None = None, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.weights: torch.Tensor | None
        self.register_buffer("weights", weights)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The summed loss: fp32 scalar, from logits [n, labels] and targets int64 [n]."""
        return nn.functional.cross_entropy(
            logits.float(), targets, self.weights, reduction="sum", label_smoothing=self.label_smoothing
        )


def class_weights(settings: Train, labels: LabelSet, tags: Any) -> torch.Tensor | None:
    """Weight of each label id, fp32 [labels], or None where every word counts the same.

    `balanced` weighs each type (its B- and I- alike) and `O` by the inverse of its share of the words,
    scaled so that the mean weight of a training word is 1.

    Args:
        settings: the recipe's `train`.
        labels: what is learnt.
        tags: label id of every training word, int [W].
    """
    if settings.class_weights is None:
        return None
    _, types = labels.coded()
    group = torch.as_tensor(types, dtype=torch.int64) + 1  # 0 is O, the rest types
    if settings.class_weights == "balanced":
        counts = torch.bincount(
            group[torch.as_tensor(tags, dtype=torch.int64)], minlength=len(labels.types) + 1
        )
        weights = counts.sum() / (counts.clamp(min=1) * (counts > 0).sum())
        return weights.float()[group]
    unknown = settings.class_weights.keys() - {"O", *labels.types}
    if unknown:
        raise UserError(
            f"`{sorted(unknown)[0]}` is not a type that is learnt",
            where="train.class_weights",
            fix=f"the types are O, {', '.join(labels.types)}",
        )
    named = [settings.class_weights.get(name, 1.0) for name in ("O", *labels.types)]
    return torch.tensor(named, dtype=torch.float32)[group]
