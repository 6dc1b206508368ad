"""The output layer: re-initialise it, or copy rows of a trained one by label name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import nn

from ner_dist.labels import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedModel

    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)

# Most labels that one log line names.
_LISTED = 12


def output_layer(model: PreTrainedModel) -> tuple[str, nn.Linear]:
    """The name and the module of the layer with a row for each label: the last linear one of the head.

    Some heads have a dense layer before it, whose rows are not labels.
    """
    body = f"{model.base_model_prefix}."
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and not name.startswith(body)
        and module.out_features == model.num_labels
    ][-1]


def draw_head(model: PreTrainedModel) -> None:
    """Re-initialise the output layer."""
    _, layer = output_layer(model)
    nn.init.normal_(layer.weight, std=getattr(model.config, "initializer_range", 0.02))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def copy_rows(
    trained: PreTrainedModel, before: dict[int, str], model: PreTrainedModel, labels: LabelSet
) -> list[str]:
    """Copy the output rows of labels that a trained model of the same kind has under the same name.

    Args:
        trained: model to copy from.
        before: its label of each row.
        model: model to copy to.
        labels: the label set of its rows.

    Returns:
        The labels whose rows were copied.
    """
    rows: dict[str, int] = {}
    for row, tag in before.items():
        rows.setdefault(tag, row)
    copied = [tag for tag in labels.tags if tag in rows]
    source, target = output_layer(trained)[1], output_layer(model)[1]
    with torch.no_grad():
        for tag in copied:
            target.weight[labels.label2id[tag]] = source.weight[rows[tag]]
            if target.bias is not None and source.bias is not None:
                target.bias[labels.label2id[tag]] = source.bias[rows[tag]]
    return copied


def report_head(
    model: PreTrainedModel, name: str, *, labels: LabelSet, copied: list[str], before: dict[int, str]
) -> None:
    """Log which rows of a trained head were copied, which are new, and which are not used."""
    drawn = [tag for tag in labels.tags if tag not in copied]
    unused = [tag for tag in before.values() if tag not in copied]
    says = f"head: {len(copied)} of {len(labels)} labels copied from {name}"
    if copied:
        says += f": {_listed(copied)}"
    for what, tags in (("drawn", drawn), ("not learnt here", unused)):
        if tags:
            says += f"; {what}: {_listed(tags)}"
    was_tagger = any("TokenClassification" in kind for kind in model.config.architectures or ())
    if was_tagger and drawn and not set(copied) - {OUTSIDE}:
        log.warning("%s (labels are matched by name: do they mean the same in the data?)", says)
    else:
        log.info("%s", says)


def _listed(tags: Iterable[str]) -> str:
    shown = list(tags)
    more = len(shown) - _LISTED
    return ", ".join(shown[:_LISTED]) + (f" and {more} more" if more > 0 else "")
