"""The method of a comparison in words, for readers of its report."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from ner_dist.comparison.seeds import same_seeds
from ner_dist.formatting import joined

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.claims import SeedSpread


def method(
    aligned: AlignedPredictions, *, resamples: int, needed: int, level: float, known: SeedSpread | None
) -> str:
    """Describe how intervals and p-values were computed.

    Args:
        aligned: the predictions.
        resamples: number of resamples.
        needed: the fewest with which a difference on a type can be significant.
        level: level of the intervals.
        known: how F1 varies between seeds, if that is known from elsewhere.
    """
    parts = [_sentences(aligned, resamples=resamples, level=level)]
    if resamples < needed:
        parts.append(f"To show a difference on any type, {needed:,} resamples are needed: these are too few.")
    if not aligned.draws_documents:
        parts.append(_independence(aligned.documents))
    return " ".join([*parts, *_seeds(aligned, known)])


def _independence(documents: int | None) -> str:
    """What drawing sentences leaves out, as a sentence, of a test split with so many documents."""
    why = (
        "The files do not name documents"
        if documents is None
        else f"There are too few documents to draw ({documents})"
    )
    return f"{why}: that sentences of one document are alike is not covered, so intervals may be too narrow."


def _sentences(aligned: AlignedPredictions, *, resamples: int, level: float) -> str:
    if aligned.draws_documents:
        number, what, unit = aligned.documents or 0, "documents", "document"
        together = "all its sentences"
    else:
        number, what, unit, together = aligned.units, "distinct sentences", "sentence", "all its copies"
    return (
        f"Trained models: {resamples:,} times, {number:,} of the {number:,} {what} "
        f"are drawn with replacement, each with {together}, the same for all models; percentile "
        f"intervals ({100 * level:g} %). p: bootstrap, two-sided. p_randomisation: approximate "
        f"randomisation, which swaps what two models said about a {unit}. The larger of the two decides. "
        "p_holm is corrected after Holm over all pairs of models and the figures of a family: F1; the other "
        "figures over all types; the F1 of types; their precision and recall. A difference is significant if "
        f"p_holm is below {1 - level:.2g}. Intervals are not corrected."
    )


def _seeds(aligned: AlignedPredictions, known: SeedSpread | None) -> list[str]:
    several = [model for model, runs in aligned.predicted.items() if len(runs) > 1]
    single = [model for model in aligned.models if model not in several]
    if known is not None:
        by = "as given" if known.runs is None else f"as between {known.runs} earlier runs"
        return [
            f"Recipes: F1 is taken to vary between seeds with a standard deviation of {known.sd:.2g}, {by}, "
            "besides its variation with the sentences."
        ]
    if not several:
        return ["There is one run of each model: nothing is said about other seeds."]
    parts = [
        "Recipes: a model's figure is the mean over its runs. Runs and sentences are crossed random effects; "
        "the luck of seeds is taken to be equally large for two models; Student's t with Satterthwaite's "
        "degrees of freedom."
    ]
    pairs = [
        f"{to} and {of}"
        for to, of in combinations(several, 2)
        if same_seeds(aligned.seeds[of], aligned.seeds[to])
    ]
    if pairs:
        parts.append(
            f"Of three and more runs with the same seeds ({joined(pairs)}) F1 over all types is tested by "
            "pairs and by independent runs, and the smaller p-value, after weighting, counts."
        )
    if single:
        parts.append(f"There is one run of {joined(single)}, which is taken to vary as the others do.")
    return parts
