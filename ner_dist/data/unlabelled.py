"""Words without a label: nobody said what they are, so they are neither trained on nor scored.

Files write null, `?`, `-100` or nothing in the place of the tag. Rows hold the code -1 there, splits
`labels.UNLABELLED`, files of predictions null. Everything that counts leaves such words out, as if the
sentence did not have them: entities on either side of one become neighbours, in gold and prediction alike,
which is what the usual filtering by -100 before seqeval does. The model reads them as context.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NO_CODE = -1
NO_LABEL = "?"
"""What is written in the place of the tag where a format has no null."""
_TEXTS = ("", NO_LABEL, "-100")


def is_no_label(value: Any) -> bool:
    """Whether a file's tag says that the word has none."""
    if isinstance(value, str):
        return value.strip() in _TEXTS
    return value is None or (type(value) is int and value == -100)


def without_no_label(codes: np.ndarray, values: tuple[Any, ...]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Give words without a label the code -1, and drop what the file writes there from the distinct tags.

    Args:
        codes: index into `values` of every word's tag, int64 [W]; -1 stays.
        values: the distinct tags.
    """
    none = np.array([is_no_label(value) for value in values], dtype=bool)
    if not none.any():
        return codes, values
    new = np.where(none, NO_CODE, np.cumsum(~none) - 1)
    kept = tuple(value for value, gone in zip(values, none.tolist(), strict=True) if not gone)
    return np.where(codes < 0, NO_CODE, new[codes]), kept
