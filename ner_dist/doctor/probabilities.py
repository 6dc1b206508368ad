"""The probability of every label for every word, by models that have not seen the sentence."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.doctor.folds import HELD_OUT
from ner_dist.files import write_bytes
from ner_dist.recipe_file import load_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from accelerate import Accelerator

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.doctor.folds import Fold
    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)


def out_of_fold(folds: Sequence[Fold], *, labels: LabelSet, offsets: np.ndarray) -> np.ndarray:
    """Probabilities of all words of the split that was cut into folds, each by the model of its fold.

    Args:
        folds: trained.
        labels: that the models learned.
        offsets: int64 [N+1] of the split.

    Returns:
        float32 [W, labels]; a row of zeros for a word without subwords.
    """
    whole = np.zeros((offsets[-1], len(labels)), dtype=np.float32)
    for fold in folds:
        own = _of_fold(fold, labels)
        lengths = np.diff(offsets)[fold.sentences]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        whole[np.repeat(offsets[fold.sentences], lengths) + within] = own
    return whole


def _of_fold(fold: Fold, labels: LabelSet) -> np.ndarray:
    """Those of the held-out words of one fold; computed once, then read from its folder."""
    if fold.probabilities.exists():
        with np.load(fold.probabilities) as stored:
            result: np.ndarray = stored["probabilities"]
            return result
    log.info("fold %d: scoring %d sentences that its model has not seen", fold.number, len(fold.sentences))
    # These imports take seconds.
    from ner_dist.data.labelled import label_splits
    from ner_dist.data.prepare import prepare
    from ner_dist.model.encoder import load_config
    from ner_dist.model.tagger import load_tagging_model
    from ner_dist.runtime.accelerator import precision_of, running

    recipe = load_recipe(fold.recipe)
    config = load_config(recipe.model)
    with running(recipe, model_type=config.model_type) as accelerator:
        model, _ = load_tagging_model(
            fold.run.model, precision=precision_of(accelerator), device=accelerator.device
        )
        split = label_splits(prepare(recipe, config), labels)[HELD_OUT]
        found = probabilities(
            model, split, accelerator=accelerator, batch_tokens=recipe.evaluation.batch_tokens
        )
    content = io.BytesIO()
    np.savez_compressed(content, probabilities=found)
    write_bytes(fold.probabilities, content.getvalue())
    return found


def probabilities(
    model: torch.nn.Module, split: LabelledSplit, *, accelerator: Accelerator, batch_tokens: int
) -> np.ndarray:
    """Probabilities of the labels of every word of a split, float32 [W, labels].

    Args:
        model: called as `model(input_ids=, attention_mask=).logits`.
        split: the sentences.
        accelerator: its device computes.
        batch_tokens: padded subwords a forward pass holds.

    Returns:
        A row of zeros for a word without subwords.
    """
    from ner_dist.data.batch_plan import plan_evaluation
    from ner_dist.evaluation.forward import word_logits
    from ner_dist.runtime.progress import progress

    found = np.zeros((len(split.tags), len(split.labels)), dtype=np.float32)
    plan = plan_evaluation(split.encoded.lengths, split.encoded.sentence, batch_tokens=batch_tokens)
    batches = plan.rank_micro_batches(0, 1)
    model.eval()
    passes = word_logits(
        model, split.encoded, split.tags, batches, pad_id=split.pad_id, device=accelerator.device
    )
    with progress("scoring", len(batches)) as show:
        for done, (batch, logits) in enumerate(passes, start=1):
            found[batch.words] = logits.softmax(-1).cpu().numpy()
            show(done)
    return found
