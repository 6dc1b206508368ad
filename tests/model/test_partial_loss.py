"""Cross-entropy where a source annotates some types only: marginal, and the usual one where it has all."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from ner_dist.model.partial_loss import summed_cross_entropy

IGNORED = -100
# O, B-PER, I-PER, B-LOC, I-LOC; the last row is of a source that annotates persons only.
ALL, PERSONS = [True] * 5, [True, True, True, False, False]


def logits(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 3.0, 1.0])])
def test_a_source_that_annotates_everything_has_the_usual_loss(smoothing, weights):
    targets = torch.tensor([0, 1, 2, 3, IGNORED, 0])
    settings = {"label_smoothing": smoothing}
    expected = cross_entropy(logits(), targets, weights, reduction="sum", **settings)
    got = summed_cross_entropy(
        logits(), targets, torch.tensor([ALL] * 6), outside=0, ignore_index=IGNORED,
        class_weights=weights, **settings,
    )  # fmt: skip
    torch.testing.assert_close(got, expected)


def test_outside_is_outside_or_what_is_not_annotated():
    scores, targets = logits(2), torch.tensor([0, 1])
    loss = summed_cross_entropy(scores, targets, torch.tensor([PERSONS] * 2), outside=0, ignore_index=IGNORED)
    p = scores.softmax(-1)
    torch.testing.assert_close(loss, -(p[0, [0, 3, 4]].sum().log() + p[1, 1].log()))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_type_that_is_not_annotated_is_no_negative(smoothing):
    """A city that the model is sure of costs nothing, and no gradient is lost to nan."""
    sure = torch.tensor([[-9.0, -9.0, -9.0, 9.0, -9.0]]).requires_grad_()
    loss = summed_cross_entropy(
        sure, torch.tensor([0]), torch.tensor([PERSONS]), outside=0, ignore_index=IGNORED,
        label_smoothing=smoothing,
    )  # fmt: skip
    loss.backward()
    assert torch.isfinite(sure.grad).all()
    if not smoothing:
        assert loss.item() < 1e-6
        negative = cross_entropy(sure.detach(), torch.tensor([0]))
        assert negative.item() > 17


def test_words_count_by_their_weight_and_unlabelled_ones_not_at_all():
    scores, annotated = logits(3), torch.tensor([PERSONS, ALL, PERSONS])
    targets = torch.tensor([0, 3, IGNORED])
    each = [
        summed_cross_entropy(
            scores[i : i + 1], targets[i : i + 1], annotated[i : i + 1], outside=0, ignore_index=IGNORED
        )
        for i in range(3)
    ]
    weighted = summed_cross_entropy(
        scores, targets, annotated, outside=0, ignore_index=IGNORED,
        word_weights=torch.tensor([2.0, 0.5, 7.0]),
    )  # fmt: skip
    assert each[2] == 0
    torch.testing.assert_close(weighted, 2 * each[0] + 0.5 * each[1])
