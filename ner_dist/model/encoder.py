"""The encoder with a tagging head: its configuration and its weights."""

from __future__ import annotations

import copy
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ner_dist.errors import UserError
from ner_dist.model.head import copy_rows, draw_head, output_layer, report_head
from ner_dist.model.model_files import cannot_load, check_files, read_config
from ner_dist.model.padding_mask import build_masks_without_waiting
from ner_dist.model.size_limit import at_most_known, check_counts, check_size
from ner_dist.model.tokenizer import check_model_name
from ner_dist.recipe import SCRATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PretrainedConfig, PreTrainedModel

    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Model

log = logging.getLogger(__name__)

# Their position ids start after the padding id, so that a table of 514 positions holds 512 subwords.
_POSITIONS_AFTER_PADDING = {
    "camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm",
    "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip


def load_config(settings: Model) -> PretrainedConfig:
    """The encoder's configuration, from the hub, a local folder, or the recipe's `model.scratch`."""
    from transformers import AutoConfig, RobertaConfig

    if settings.name == SCRATCH:
        shape = settings.scratch
        config = RobertaConfig(
            vocab_size=shape.vocab_size,
            hidden_size=shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.hidden_size,
            max_position_embeddings=shape.max_length + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
        check_size(config, name=SCRATCH, where="model.scratch")
        return config
    check_model_name(settings.name)
    folder = Path(settings.name)
    if folder.is_dir() and not (folder / "config.json").exists():
        raise UserError(
            f"the folder `{folder}` contains no model (config.json is missing)",
            where="model.name",
            fix="name a folder that contains one, such as RUN/model",
        )
    check_files(settings.name)
    try:
        check_counts(read_config(settings.name, settings.revision), name=settings.name)
        result: PretrainedConfig = AutoConfig.from_pretrained(
            settings.name, revision=settings.revision, trust_remote_code=False
        )
        check_size(result, name=settings.name)
    # A broken config.json raises whatever the model's validation raises.
    except Exception as error:
        raise cannot_load(settings.name, error) from None
    return result


def max_length(config: PretrainedConfig) -> int:
    """Longest input of the encoder in subwords, special tokens included, according to its configuration."""
    # XLNet uses -1 for no limit.
    positions = max(getattr(config, "max_position_embeddings", None) or 0, 0) or 512
    return positions - first_position(config)


def first_position(config: PretrainedConfig) -> int:
    """Position id of the first subword of an input."""
    if config.model_type in _POSITIONS_AFTER_PADDING:
        return int(config.pad_token_id) + 1
    return 0


def width(config: PretrainedConfig) -> int:
    """Hidden size of the encoder; multimodal models keep it in a separate text configuration."""
    return int(config.get_text_config().hidden_size)


@contextmanager
def whole_models() -> Iterator[None]:
    """Disable transformers' ZeRO-3 partitioned loading, its warnings and its progress bars in the block.

    Otherwise transformers partitions every model that is loaded while a ZeRO-3 engine exists: a model that is
    only scored would have empty weights, and encoders gain nothing from it.
    """
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config
    from transformers.utils import logging

    unset_hf_deepspeed_config()
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@whole_models()
def load_model(
    settings: Model, config: PretrainedConfig, labels: LabelSet, *, seed: int, vocab_size: int
) -> PreTrainedModel:
    """Load or initialise a tagging model in fp32, the same on every rank.

    Args:
        settings: the recipe's `model`.
        config: configuration from `load_config`; it is not modified.
        labels: the label set, with one row of the output layer for each label.
        seed: seed for new weights.
        vocab_size: number of subwords in the tokenizer's vocabulary.
    """
    from transformers import AutoModelForTokenClassification

    config = copy.deepcopy(config)
    if settings.dropout is not None:
        # Every model family uses other names for them.
        for name in [name for name in config.to_dict() if "dropout" in name]:
            setattr(config, name, settings.dropout)
    torch.manual_seed(seed)
    if settings.name == SCRATCH:
        config.vocab_size = vocab_size
        _set_labels(config, labels)
        check_size(config, name=SCRATCH, where="model.scratch", loads=True)
        model: PreTrainedModel = AutoModelForTokenClassification.from_config(config, trust_remote_code=False)
    else:
        check_size(at_most_known(config, vocab_size), name=settings.name, loads=True)
        try:
            model = _pretrained(settings, config, labels)
            _fit_vocabulary(model, settings.name, vocab_size)
            causal = _is_causal(model)
        # Sizes that contradict each other raise whatever the encoder's code raises.
        except Exception as error:
            raise cannot_load(settings.name, error) from None
        if causal:
            # Nothing is generated: keys and values need not be cached.
            model.config.use_cache = False
            log.info(
                "%s is a causal model: the first subword of a word, which represents it, sees only "
                "the text before it",
                settings.name,
            )
    # Saved with the weights; a pretrained encoder's value names its former class.
    model.config.architectures = [type(model).__name__]
    if settings.gradient_checkpointing:
        # The name since about transformers 5.20; the old one still works, with a warning.
        enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
        enable({"use_reentrant": False})
    build_masks_without_waiting(model)
    return model


def _pretrained(settings: Model, config: PretrainedConfig, labels: LabelSet) -> PreTrainedModel:
    """Load the encoder with a head for the labels; copy rows of a trained head by label name."""
    as_trained = copy.deepcopy(config)
    labels_before = {int(row): str(tag) for row, tag in (config.id2label or {}).items()}
    _set_labels(config, labels)
    model, missing, misfits = _from_pretrained(settings, config)
    body = f"{model.base_model_prefix}."
    new = [name for name in (*missing, *misfits) if name.startswith(body)]
    if new:
        log.warning(
            "%s lacks %d weights of the encoder, initialised at random (%s): is it the right model?",
            settings.name,
            len(new),
            ", ".join(new[:3]) + (", …" if len(new) > 3 else ""),
        )
    head = f"{output_layer(model)[0]}.weight"
    same, fits = labels_before == labels.id2label, head not in (*missing, *misfits)
    if not same and (fits or len(labels_before) == len(labels)):
        # The right number of rows, but for other labels.
        draw_head(model)
    if head not in missing:
        copied: list[str] = list(labels.tags) if same and fits else []
        if not copied and set(labels_before.values()) & set(labels.tags):
            # Load it again as it was trained: transformers drops weights that do not fit.
            trained, _, misfits = _from_pretrained(settings, as_trained)
            if head not in misfits:
                copied = copy_rows(trained, labels_before, model, labels)
        report_head(model, settings.name, labels=labels, copied=copied, before=labels_before)
    return model


def _set_labels(config: PretrainedConfig, labels: LabelSet) -> None:
    config.num_labels = len(labels)
    config.id2label, config.label2id = dict(labels.id2label), dict(labels.label2id)


def _from_pretrained(
    settings: Model, config: PretrainedConfig
) -> tuple[PreTrainedModel, list[str], list[str]]:
    """Load the model; also return the names of missing weights and of weights with another shape."""
    from safetensors import SafetensorError
    from transformers import AutoModelForTokenClassification

    try:
        model, info = AutoModelForTokenClassification.from_pretrained(
            settings.name,
            revision=settings.revision,
            trust_remote_code=False,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            # The output layer of another label set is drawn, then filled by name; everything else must fit.
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise cannot_load(settings.name, error) from None
    return model, list(info["missing_keys"]), [str(entry[0]) for entry in info["mismatched_keys"]]


def _fit_vocabulary(model: PreTrainedModel, name: str, vocab_size: int) -> None:
    """Add embeddings for subwords that only the tokenizer has, such as an added padding token."""
    known = _embeddings(model)
    if vocab_size > known:
        log.warning(
            "%s knows %d of its tokenizer's %d subwords: the others are initialised at random",
            name,
            known,
            vocab_size,
        )
        model.resize_token_embeddings(vocab_size, mean_resizing=False)


def _embeddings(model: PreTrainedModel) -> int:
    weight: Any = model.get_input_embeddings().weight
    return len(weight)


@torch.no_grad()
def _is_causal(model: PreTrainedModel) -> bool:
    """Whether later subwords do not affect earlier ones; found by a forward pass."""
    ids = torch.arange(8)[None] % _embeddings(model)
    ends_otherwise = torch.cat([ids[:, :-1], ids[:, :1]], dim=1)
    was_training = model.training
    model.eval()
    one, other = (
        model(input_ids=each, attention_mask=torch.ones_like(each)).logits for each in (ids, ends_otherwise)
    )
    model.train(was_training)
    return bool(torch.equal(one[:, 0], other[:, 0]) and not torch.equal(one[:, -1], other[:, -1]))
