"""Calibration of probabilities: reliability, and the expected calibration error.

A model is calibrated if, of all answers given with confidence c, the share c is right. Confidences are put
into M = 10 bins of equal width, B_m = ((m - 1) / M, m / M]. With acc(B_m) the share of right answers and
conf(B_m) the mean confidence in a bin, and n the number of answers, the expected calibration error is

    ECE = sum over m of |B_m| / n * |acc(B_m) - conf(B_m)|

Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers with a confidence in (low, high]; the first bin includes 0."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Mean confidence; None without answers."""
    accuracy: float | None
    """Share of right answers; None without answers."""


@dataclass(frozen=True)
class Reliability:
    """Accuracy of answers by their confidence."""

    ece: float | None
    """Expected calibration error; None without answers."""
    bins: list[ReliabilityBin]


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Expected calibration error and reliability bins.

    Args:
        confidence: of each answer, float [n], from 0 to 1.
        right: whether each answer is right, bool [n].
    """
    # Neither 0.3 in single precision nor 3 * 0.1 is 0.3, and each would end up in the next bin.
    confidence = np.round(np.asarray(confidence, dtype=np.float64), 6)
    ends = np.arange(1, BINS) / BINS
    bin_of = np.searchsorted(ends, confidence, side="left")
    count = np.bincount(bin_of, minlength=BINS)
    confident = np.bincount(bin_of, weights=confidence, minlength=BINS)
    accurate = np.bincount(bin_of, weights=right, minlength=BINS)
    bins = [
        ReliabilityBin(
            low=i / BINS,
            high=(i + 1) / BINS,
            count=int(count[i]),
            confidence=float(confident[i] / count[i]) if count[i] else None,
            accuracy=float(accurate[i] / count[i]) if count[i] else None,
        )
        for i in range(BINS)
    ]
    ece = float(np.abs(accurate - confident).sum() / len(confidence)) if len(confidence) else None
    return Reliability(ece, bins)
