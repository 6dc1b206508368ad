"""The operating curve of a model: what thresholds and biases give on the validation split.

It is measured once, when a training ends, and lies in the model's folder as operating_curve.json
(docs/formats.md), so that an operating point can be chosen without the data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from ner_dist import formatting
from ner_dist.errors import UserError
from ner_dist.evaluation.json_form import as_json
from ner_dist.evaluation.operating_point import OperatingPoint
from ner_dist.files import write_atomically
from ner_dist.labels import OUTSIDE, extract_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.evaluation.logit_sample import LogitSample
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Decode

FILE = "operating_curve.json"
FORMAT = 1
"""Version of the file; it changes when a key changes its name or meaning."""
_THRESHOLDS = 100
"""Most thresholds of a curve; between two of them lies the same number of entities."""
_BIAS_STEP, _MOST_BIAS = 0.25, 10.0
_PATIENCE = 4
"""Biases without a higher recall after which the curve ends, if F1 has suffered."""
_LEAST_F1 = 0.9
"""Share of the best F1 below which it has suffered."""


@dataclass(frozen=True)
class ThresholdPoint:
    """Strict scores with one threshold for all types."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class BiasPoint:
    """Strict scores with one bias for the tags of all types."""

    bias: float
    precision: float
    recall: float
    f1: float


AnyPoint = TypeVar("AnyPoint", ThresholdPoint, BiasPoint)


@dataclass(frozen=True)
class OperatingCurve:
    """Scores on the validation split by threshold, and by bias."""

    format: int
    split: str
    sentences: int
    """Those that were measured; see `logit_sample.py`."""
    entities: int
    """Their gold entities."""
    decode: Decode
    temperature: float
    """That of the probabilities which the thresholds are compared with."""
    thresholds: list[ThresholdPoint]
    """From 0 upwards, without a bias."""
    biases: list[BiasPoint]
    """From 0 upwards, without a threshold."""


def measure_curve(sample: LogitSample, *, decode: Decode, temperature: float) -> OperatingCurve:
    """Score a sample of the validation split at every point of the curve."""
    gold, _ = sample.comparable(sample.tags(decode))
    return OperatingCurve(
        format=FORMAT,
        split="validation",
        sentences=len(sample.offsets) - 1,
        entities=len(extract_spans(gold, sample.offsets, sample.labels, strict=True).start),
        decode=decode,
        temperature=temperature,
        thresholds=_by_threshold(sample, decode, temperature),
        biases=_by_bias(sample, decode),
    )


def _by_threshold(sample: LogitSample, decode: Decode, temperature: float) -> list[ThresholdPoint]:
    tags = sample.tags(decode)
    probability = sample.probabilities(tags, temperature)
    missing = np.zeros(len(tags), dtype=bool)
    missing[sample.gaps] = True
    spans = extract_spans(tags, sample.offsets, sample.labels, strict=False)
    points = []
    for threshold in [0.0, *thresholds_between(spans.products(probability))]:
        kept = tags.copy()
        point = OperatingPoint(temperature, threshold=np.full(len(sample.labels.types), threshold))
        point.drop(kept, probability, missing, sample.offsets, sample.labels)
        points.append(ThresholdPoint(threshold, **vars(sample.scores(kept))))
    return points


def thresholds_between(probability: np.ndarray) -> list[float]:
    """Thresholds that divide entities into parts of equal number; at most `_THRESHOLDS - 1`.

    Each lies between two probabilities and is as short a number as that allows: rounding in another batch
    moves no entity across it.
    """
    ordered = np.sort(probability)
    if len(ordered) < 2:
        return []
    at = np.unique(np.linspace(1, len(ordered) - 1, _THRESHOLDS - 1).round().astype(np.int64))
    bounds = [(float(ordered[i - 1]), float(ordered[i])) for i in at if ordered[i - 1] < ordered[i]]
    return list(dict.fromkeys(_between(low, high) for low, high in bounds))


def _between(low: float, high: float) -> float:
    middle = (low + high) / 2
    short = (round(middle, digits) for digits in range(2, 16))
    return next((each for each in short if low < each < high), high)


def _by_bias(sample: LogitSample, decode: Decode) -> list[BiasPoint]:
    points: list[BiasPoint] = []
    for bias in np.arange(0, _MOST_BIAS + _BIAS_STEP / 2, _BIAS_STEP).tolist():
        tags = sample.tags(decode, common_bias(sample.labels, bias))
        points.append(BiasPoint(bias, **vars(sample.scores(tags))))
        earlier, latest = points[:-_PATIENCE], points[-_PATIENCE:]
        if earlier and _stopped_rising(earlier, latest):
            break
    return points


def _stopped_rising(earlier: list[BiasPoint], latest: list[BiasPoint]) -> bool:
    recall = max(point.recall for point in earlier)
    f1 = max(point.f1 for point in earlier)
    return all(point.recall <= recall for point in latest) and latest[-1].f1 < _LEAST_F1 * f1


def common_bias(labels: LabelSet, bias: float) -> np.ndarray:
    """A bias of the tags of all entities against O, float32 [labels]."""
    return np.array([0.0 if tag == OUTSIDE else bias for tag in labels.tags], dtype=np.float32)


def write_curve(folder: Path, curve: OperatingCurve) -> None:
    """Write the curve into a model's folder."""
    write_atomically(folder / FILE, json.dumps(as_json(curve), indent=1, allow_nan=False) + "\n")


def read_curve(model: str | Path) -> OperatingCurve | None:
    """The curve of a model: a folder, or a hub name; None if it has none.

    Raises:
        UserError: the file is damaged, or of a later version.
    """
    path: Path | None = Path(model) / FILE
    if not Path(model).is_dir():
        from transformers.utils.hub import cached_file

        found = cached_file(
            str(model),
            FILE,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        path = None if found is None else Path(found)
    if path is None or not path.exists():
        return None
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        curve = OperatingCurve(
            **{
                **known,
                "thresholds": [ThresholdPoint(**each) for each in known["thresholds"]],
                "biases": [BiasPoint(**each) for each in known["biases"]],
            }
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"cannot be read: {error}"
        raise UserError(what, where=str(path), fix="copy it again, or pass --threshold") from None
    if curve.format != FORMAT:
        what = f"has format {curve.format}, and this version reads {FORMAT}"
        raise UserError(what, where=str(path), fix="use the version of ner_dist that wrote it")
    return curve


def threshold_for(curve: OperatingCurve, precision: float) -> ThresholdPoint:
    """The smallest threshold whose precision is at least the wanted one; its recall is the largest of these.

    Raises:
        UserError: the curve does not reach it.
    """
    return _first_reaching("precision", precision, curve.thresholds)


def bias_for(curve: OperatingCurve, recall: float) -> BiasPoint:
    """The smallest bias whose recall is at least the wanted one.

    Raises:
        UserError: the curve does not reach it.
    """
    return _first_reaching("recall", recall, curve.biases)


def _first_reaching(
    name: Literal["precision", "recall"], wanted: float, points: Sequence[AnyPoint]
) -> AnyPoint:
    for point in points:
        if getattr(point, name) >= wanted:
            return point
    highest = max(getattr(point, name) for point in points)
    # Rounded down: a value that is asked for has to be reached.
    raise UserError(
        f"no {name} of {wanted:g} is reached on validation: the highest is {formatting.score(highest)}",
        where=f"--target-{name}",
        fix=f"ask for at most {int(highest * 10_000) / 10_000:g}",
    )
