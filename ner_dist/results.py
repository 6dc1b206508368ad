"""The end of a run: the saved model, its predictions, and figures that were computed twice.

What is scored is the model as it was saved, loaded the way any user would. The headline figures come from
counts over all ranks; they are recomputed with seqeval from the predictions as written, and a run whose two
answers differ in any digit fails.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ner_dist.data.readers import json_lines, read_text
from ner_dist.errors import UserError
from ner_dist.labels import LabelSet
from ner_dist.model import load_whole, max_length
from ner_dist.run import Run
from ner_dist.shards import sync, write_tensors

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from ner_dist.data.prepare import Prepared, PreparedSplit

log = logging.getLogger(__name__)


class Tagger(torch.nn.Module):
    """A saved model, computing in a given precision."""

    def __init__(self, model: torch.nn.Module, *, precision: str) -> None:
        super().__init__()
        self.model, self.precision = model, precision

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        with torch.autocast(input_ids.device.type, dtype=kind, enabled=kind is not None):
            return self.model(input_ids=input_ids, attention_mask=attention_mask)


def load_tagger(folder: str | Path, *, precision: str, device: torch.device) -> tuple[Tagger, list[str]]:
    """A trained token-classification model and its labels by id, as its config writes them.

    Args:
        folder: a local folder or a hub name.
        precision: `fp32`, `bf16` or `fp16`.
        device: where it computes.
    """
    from transformers import AutoModelForTokenClassification

    load_whole()
    try:
        model, info = AutoModelForTokenClassification.from_pretrained(
            str(folder), dtype=torch.float32, output_loading_info=True
        )
    # Broken files raise whatever their readers, or the model's own check of its config, do.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"cannot load the model: {reason}", where=str(folder), fix="name a run or a model"
        ) from None
    if info["missing_keys"]:
        # What is missing would be random, and so would the scores.
        raise UserError(
            f"the model lacks weights: {', '.join(sorted(info['missing_keys'])[:3])}",
            where=str(folder),
            fix="name a model that was trained to tag",
        )
    names = model.config.id2label
    if sorted(names) != list(range(len(names))):
        raise UserError("the label ids do not run from 0 up", where=f"{folder}: id2label")
    tags = [str(names[i]) for i in range(len(names))]
    return Tagger(model, precision=precision).to(device), tags


def save_model(
    run: Run, *, weights: dict[str, torch.Tensor], config: PretrainedConfig, data: Prepared, card: str
) -> None:
    """Write RUN/model/ in Hugging Face format, from fp32 weights by parameter name."""
    aside = run.folder / ".model.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    write_tensors(aside / "model.safetensors", weights)
    config.dtype = torch.float32
    if config.pad_token_id is None:
        config.pad_token_id = data.tokenizer.pad_token_id
    config.save_pretrained(aside)
    # Some say nothing of what the model can take, and a pipeline then gives it more.
    data.tokenizer.model_max_length = min(data.tokenizer.model_max_length, max_length(config))
    data.tokenizer.save_pretrained(aside)
    (aside / "README.md").write_text(card, encoding="utf-8")
    for path in (*aside.iterdir(), aside):
        sync(path)
    # Made anew from the best weights whenever a run comes to its end.
    shutil.rmtree(run.model, ignore_errors=True)
    aside.rename(run.model)


def write_predictions(
    path: Path,
    split: PreparedSplit,
    gold: np.ndarray,
    predicted: np.ndarray,
    *,
    labels: LabelSet,
    confidence: np.ndarray | None = None,
) -> None:
    """One JSON object a sentence, in the order of the data.

    Args:
        path: the file.
        split: the sentences.
        gold: label id of every word, int [W].
        predicted: likewise.
        labels: what the ids mean.
        confidence: as in `Evaluation`; None leaves it out.
    """
    names = np.array(labels.tags, dtype=object)
    gold_tags, predicted_tags = names[gold].tolist(), names[predicted].tolist()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    with aside.open("w", encoding="utf-8") as file:
        for i, tokens in enumerate(split.tokens()):
            start, end = int(split.offsets[i]), int(split.offsets[i + 1])
            line = {
                "id": i,
                "tokens": tokens,
                "gold": gold_tags[start:end],
                "predicted": predicted_tags[start:end],
            }
            if confidence is not None:
                line["confidence"] = confidence[start:end].tolist()
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def verify(path: Path, figures: dict[str, Any]) -> None:
    """Recompute the headline figures with seqeval from the written predictions.

    Raises:
        AssertionError: the two differ.
    """
    import warnings

    from seqeval.metrics import sequence_labeling, v1
    from seqeval.scheme import IOB2

    lines = [line for _, line in json_lines(read_text(path), path)]
    gold, predicted = [line["gold"] for line in lines], [line["predicted"] for line in lines]
    with warnings.catch_warnings():
        # seqeval warns where a figure is 0/0; it is 0 here and there.
        warnings.simplefilter("ignore")
        answers = {
            "strict": v1.precision_recall_fscore_support(gold, predicted, average="micro", scheme=IOB2),
            "lenient": sequence_labeling.precision_recall_fscore_support(gold, predicted, average="micro"),
        }
    for mode, ours in (("strict", figures), ("lenient", figures["lenient"])):
        theirs = dict(zip(("precision", "recall", "f1"), map(float, answers[mode]), strict=False))
        differing = {name: (ours[name], value) for name, value in theirs.items() if ours[name] != value}
        assert not differing, f"{path}: {mode} figures differ from seqeval's: {differing}"
    words = sum(len(line["gold"]) for line in lines)
    correct = sum(a == b for line in lines for a, b in zip(line["gold"], line["predicted"], strict=True))
    assert figures["accuracy"] == correct / max(words, 1), f"{path}: accuracy differs"
