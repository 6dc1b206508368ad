"""MUC-style scores with credit for partly correct entities, as defined by SemEval-2013 task 9.1.

Each entity is correct (COR), incorrect (INC), partial (PAR), missing (MIS) or spurious (SPU):

| measure | COR                  | INC                        | PAR                                |
|---------|----------------------|----------------------------|------------------------------------|
| strict  | same words and type  | any other matched pair     |                                    |
| exact   | same words           | matched, other words       |                                    |
| partial | same words           |                            | matched, other words               |
| type    | matched, same type   | matched, other type        |                                    |

MIS are gold entities without a partner, SPU predicted ones. `exact` and `partial` ignore types. Entities are
matched one to one (`matching.py`). With the numbers of gold and of predicted entities

    POS = COR + INC + PAR + MIS        ACT = COR + INC + PAR + SPU

    precision = (COR + PAR / 2) / ACT        recall = (COR + PAR / 2) / POS

Sources: Chinchor and Sundheim, MUC-5 Evaluation Metrics (MUC-5, 1993); Segura-Bedmar, Martínez and
Herrero-Zazo, SemEval-2013 Task 9: Extraction of Drug-Drug Interactions from Biomedical Texts (SemEval 2013).
"""

from __future__ import annotations

import numpy as np

from ner_dist.comparison.matching import CORRECT, MISSED, SPURIOUS, WRONG_BOTH, WRONG_BOUNDARY, WRONG_TYPE
from ner_dist.evaluation.metrics import PrecisionRecallF1, precision_recall_f1

# Kinds of matched pairs that are correct, and those that are partial; all others are incorrect.
_CREDIT: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "strict": ((CORRECT,), ()),
    "exact": ((CORRECT, WRONG_TYPE), ()),
    "partial": ((CORRECT, WRONG_TYPE), (WRONG_BOUNDARY, WRONG_BOTH)),
    "type": ((CORRECT, WRONG_BOUNDARY), ()),
}


def muc(kinds: np.ndarray) -> dict[str, PrecisionRecallF1[float]]:
    """Precision, recall and F1 of each measure; 0/0 is 0.

    Args:
        kinds: number of entities of each of `matching.KINDS`, int64 [kinds].
    """
    matched = kinds.sum() - kinds[MISSED] - kinds[SPURIOUS]
    actual, possible = matched + kinds[SPURIOUS], matched + kinds[MISSED]
    figures = {}
    for measure, (correct, partial) in _CREDIT.items():
        credit = kinds[list(correct)].sum() + kinds[list(partial)].sum() / 2
        each = precision_recall_f1(*(np.array([value]) for value in (credit, actual, possible)))
        figures[measure] = PrecisionRecallF1(**{name: float(value[0]) for name, value in each.items()})
    return figures
