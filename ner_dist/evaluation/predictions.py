"""The end of a run: the saved model, its predictions, and figures that were computed twice.

What is scored is the model as it was saved, loaded the way any user would. The headline figures come from
counts over all ranks; they are recomputed with seqeval from the predictions as written, and a run whose two
answers differ in any digit fails.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.file_text import read_text
from ner_dist.data.json_text import json_lines
from ner_dist.data.training_text import entities
from ner_dist.files import atomic_file

if TYPE_CHECKING:
    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.data.training_text import TrainingText
    from ner_dist.evaluation.figures import SplitFigures

log = logging.getLogger(__name__)


def write_predictions(
    path: Path,
    split: LabelledSplit,
    predicted: np.ndarray,
    *,
    confidence: np.ndarray | None = None,
    training: TrainingText | None = None,
) -> None:
    """One JSON object a sentence, in the order of the data; the gold of a word without a label is null.

    Args:
        path: the file.
        split: the sentences, with gold tags.
        predicted: label id of every word, int [W].
        confidence: as in `EvaluationResult`; None leaves it out.
        training: what the model was trained on; None leaves out what it has seen.
    """
    gold_tags, predicted_tags = split.labels.tags_of(split.tags), split.labels.tags_of(predicted)
    words, documents, chars = split.prepared.tokens(), split.prepared.documents(), split.prepared.chars
    of_gold = entities(words, split.tags, split.offsets, split.labels)
    with atomic_file(path) as file:
        for i, (tokens, own_entities) in enumerate(zip(words, of_gold, strict=True)):
            start, end = int(split.offsets[i]), int(split.offsets[i + 1])
            line: dict[str, Any] = {
                "id": i,
                "tokens": tokens,
                "gold": gold_tags[start:end],
                "predicted": predicted_tags[start:end],
            }
            if documents is not None:
                line["document"] = documents[i]
            if chars is not None:
                line["offsets"] = chars[start:end].tolist()
            if confidence is not None:
                line["confidence"] = confidence[start:end].tolist()
            if training is not None:
                seen = training.seen(form for form, _ in own_entities)
                line["in_train"] = training.holds(tokens)
                line["seen"] = {form: sorted(types) for form, types in seen.items()}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def verify(path: Path, figures: SplitFigures) -> None:
    """Recompute the headline figures with seqeval from the written predictions.

    Raises:
        AssertionError: the two differ.
    """
    import warnings

    from seqeval.metrics import sequence_labeling, v1
    from seqeval.scheme import IOB2

    lines = [line for _, line in json_lines(read_text(path), path)]
    pairs = [
        [pair for pair in zip(line["gold"], line["predicted"], strict=True) if pair[0] is not None]
        for line in lines
    ]
    gold, predicted = ([[pair[side] for pair in each] for each in pairs] for side in (0, 1))
    with warnings.catch_warnings():
        # seqeval warns where a figure is 0/0; it is 0 here and there.
        warnings.simplefilter("ignore")
        answers = {
            "strict": v1.precision_recall_fscore_support(gold, predicted, average="micro", scheme=IOB2),
            "lenient": sequence_labeling.precision_recall_fscore_support(gold, predicted, average="micro"),
        }
    for mode, ours in (("strict", figures), ("lenient", figures.lenient)):
        theirs = dict(zip(("precision", "recall", "f1"), map(float, answers[mode]), strict=False))
        differing = {
            name: (getattr(ours, name), value)
            for name, value in theirs.items()
            if getattr(ours, name) != value
        }
        assert not differing, f"{path}: {mode} figures differ from seqeval's: {differing}"
    words = sum(map(len, pairs))
    correct = sum(a == b for each in pairs for a, b in each)
    assert figures.accuracy == correct / max(words, 1), f"{path}: accuracy differs"
