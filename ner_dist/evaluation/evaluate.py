"""Score a model on a split, on any number of ranks: count, don't gather.

The micro-batches of an evaluation do not depend on the number of ranks, and all windows of a sentence go to
one rank, which counts its spans, once the words without subwords have their tags
(`data/words_without_subwords.py`). What is exchanged is a few hundred numbers. Predictions
themselves are exchanged only when asked for, word by word, and it is checked that every word was predicted
exactly once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from ner_dist.data.batch_plan import plan_evaluation
from ner_dist.data.words_without_subwords import join_entities
from ner_dist.evaluation import exchange, metrics
from ner_dist.evaluation.answers import DIGITS, Answers
from ner_dist.evaluation.exchange import exchange_words, sum_over_ranks
from ner_dist.evaluation.figures import BothDecodings, LenientScores, SplitFigures
from ner_dist.evaluation.forward import LossSum, word_logits
from ner_dist.evaluation.operating_point import OperatingPoint
from ner_dist.labels import UNLABELLED
from ner_dist.runtime.progress import progress
from ner_dist.runtime.signals import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from accelerate import Accelerator

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.evaluation.id2label import Decoder
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Decode
    from ner_dist.runtime.signals import PreemptionFlag

_AS_TRAINED = OperatingPoint()


@dataclass(frozen=True)
class EvaluationResult:
    """The counts of one split over all ranks, and what follows from them."""

    labels: LabelSet
    strict: metrics.Counts
    lenient: metrics.Counts
    loss_sum: float
    loss_words: int
    correct_words: int
    words: int
    """Those that have a label."""
    sentences: int
    seconds: float
    scheme: str = "IOB2"
    """Scheme of the model's own tags, before conversion to IOB2."""
    predicted: np.ndarray | None = None
    """int16 [W]: predicted label id of every word of the split, if they were asked for."""
    confidence: np.ndarray | None = None
    """float64 [W]: the model's probability of the label that it predicted, rounded to 4 digits; there if
    `predicted` is. Words without subwords have their tag by rule, not by the model's choice: 1.0."""
    by_decoding: dict[str, metrics.Counts] = field(default_factory=dict)
    """The strict counts of each way of decoding, if predictions were asked for."""

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the labelled words that have subwords."""
        return self.loss_sum / max(self.loss_words, 1)

    @cached_property
    def figures(self) -> SplitFigures:
        """The entry of `results.json`."""
        strict = metrics.scores(self.strict, self.labels.types)
        lenient = metrics.scores(self.lenient, self.labels.types)
        return SplitFigures(
            loss=self.loss,
            precision=strict.precision,
            recall=strict.recall,
            f1=strict.f1,
            accuracy=self.correct_words / max(self.words, 1),
            macro=strict.macro,
            per_type=strict.per_type,
            scheme=metrics.STRICT,
            lenient=LenientScores(**vars(lenient), scheme=metrics.LENIENT),
            sentences=self.sentences,
            words=self.words,
            words_per_second=self.words / self.seconds if self.seconds else None,
            decoding=self._decoding(),
        )

    def _decoding(self) -> BothDecodings | None:
        if len(self.by_decoding) < 2:
            return None
        both = (metrics.scores(self.by_decoding[name], self.labels.types) for name in ("greedy", "viterbi"))
        return BothDecodings(
            *(metrics.PrecisionRecallF1(each.precision, each.recall, each.f1) for each in both)
        )


def evaluate(
    model: torch.nn.Module,
    split: LabelledSplit,
    *,
    accelerator: Accelerator,
    batch_tokens: int,
    decode: Decode = "greedy",
    decoder: Decoder | None = None,
    with_predictions: bool = False,
    point: OperatingPoint = _AS_TRAINED,
    keep: Callable[[np.ndarray, np.ndarray], None] | None = None,
    stop: PreemptionFlag | None = None,
) -> EvaluationResult:
    """Score the model on every sentence of a split, each exactly once.

    Args:
        model: called as `model(input_ids=, attention_mask=).logits`.
        split: the sentences, with gold tags in the label set that is scored.
        accelerator: the ranks that share the work.
        batch_tokens: padded subwords a forward pass holds.
        decode: `greedy` takes the most probable tag of each word, `viterbi` the most probable legal tags of
            each sentence. Without effect with a `decoder`.
        decoder: what the model's ids mean in the split's labels, if it is not the same; the loss is NaN
            then, unless they are one to one and its predictions are in IOB2.
        with_predictions: return the predictions of all words and their confidence, on every rank.
        point: thresholds and biases.
        keep: called with the words of each forward pass, int [n], and their logits, float32 [n, labels].
        stop: asked after every forward pass.

    Raises:
        Stopped: `stop` says so; nothing was scored.
    """
    began = time.perf_counter()
    rank, world = accelerator.process_index, accelerator.num_processes
    tags, labels = split.tags, split.labels
    plan = plan_evaluation(split.encoded.lengths, split.encoded.sentence, batch_tokens=batch_tokens)
    # Both ways of decoding are counted for the figures of record.
    legal = decoder is None and (decode == "viterbi" or with_predictions)
    answers = Answers(
        split, accelerator.device, point=point, legal=legal, with_confidence=with_predictions, keep=keep
    )
    loss_sum = torch.zeros((), dtype=torch.float64, device=accelerator.device)
    has_loss, scheme = decoder is None or decoder.one_to_one, "IOB2"
    loss_of = LossSum(split, accelerator.device)

    was_training = model.training
    model.eval()
    mine = plan.rank_micro_batches(rank, world)
    passes = word_logits(
        model,
        split.encoded,
        tags,
        mine,
        pad_id=split.pad_id,
        device=accelerator.device,
        annotation=split.annotation,
    )
    with progress("scoring", len(mine)) as show:
        for done, (batch, logits) in enumerate(passes, start=1):
            if has_loss:
                loss_sum += loss_of(logits, batch).double()
            answers.take(batch.words, logits)
            show(done)
            if stop is not None and stop.agreed():
                raise Stopped
        answers.store()
    model.train(was_training)

    if decoder is not None:
        scheme = _decode(answers, split.offsets, decoder, accelerator=accelerator)
        has_loss = has_loss and scheme == "IOB2"
    ways = {"greedy": answers.greedy} | ({"viterbi": answers.legal()} if legal else {})
    chosen = decode if decode in ways else "greedy"
    if not with_predictions:
        ways = {chosen: ways[chosen]}
    for each in ways.values():
        answers.settle(each)
    here = plan.rank_sentences(rank, world, n_sentences=split.n_sentences)
    counted = [_count(here, split.offsets, tags, each.tags, answers.scored, labels) for each in ways.values()]
    sums = sum_over_ranks(np.stack(counted), accelerator)
    loss = float(sum_over_ranks(loss_sum.cpu().numpy(), accelerator))
    unpacked = dict(zip(ways, (_unpack(totals, labels) for totals in sums), strict=True))
    strict, lenient, (correct, read, sentences, loss_words, words) = unpacked[chosen]
    if sentences != split.n_sentences or read != len(tags):
        raise AssertionError(
            f"scored {sentences} of {split.n_sentences} sentences, {read} of {len(tags)} words"
        )
    answered = {}
    if with_predictions:
        own = np.array([ways[chosen].tags, ways[chosen].confidence], dtype=np.int16)
        predicted, confidence = exchange_words(own, answers.scored, split, accelerator=accelerator)
        join_entities(predicted, split.without_subwords(), split.offsets, labels)
        answered = {"predicted": predicted, "confidence": confidence / 10**DIGITS}
    return EvaluationResult(
        labels=labels,
        strict=strict,
        lenient=lenient,
        loss_sum=loss if has_loss else float("nan"),
        loss_words=loss_words,
        correct_words=correct,
        words=words,
        sentences=sentences,
        seconds=time.perf_counter() - began,
        scheme=scheme,
        by_decoding={name: counts for name, (counts, *_) in unpacked.items()} if with_predictions else {},
        **answered,
    )


def _decode(answers: Answers, offsets: np.ndarray, decoder: Decoder, *, accelerator: Accelerator) -> str:
    """Turn the ids that this rank predicted into label ids, in place; returns the model's scheme."""
    words = np.flatnonzero(answers.scored)
    return decoder.decode_words(
        answers.greedy.tags, words, offsets, add_up=lambda evidence: sum_over_ranks(evidence, accelerator)
    )


def _count(
    sentences: np.ndarray,
    offsets: np.ndarray,
    gold: np.ndarray,
    predicted: np.ndarray,
    scored: np.ndarray,
    labels: LabelSet,
) -> np.ndarray:
    """This rank's counts, int64 [6 * types + 5]."""
    lengths = offsets[sentences + 1] - offsets[sentences]
    totals = np.zeros(6 * len(labels.types) + 5, dtype=np.int64)
    # In parts: what counting needs beside the predictions would be many times their size.
    part = np.cumsum(lengths) // exchange.CHUNK
    for piece in np.split(np.arange(len(sentences)), np.flatnonzero(np.diff(part)) + 1):
        starts, sizes = offsets[sentences[piece]], lengths[piece]
        own_offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        words = np.repeat(starts - own_offsets[:-1], sizes) + np.arange(own_offsets[-1])
        own_gold, own_predicted = gold[words], predicted[words]
        join_entities(own_predicted, np.flatnonzero(scored[words] == 0), own_offsets, labels)
        spans = [
            metrics.count(own_gold, own_predicted, own_offsets, labels, strict=strict).as_array()
            for strict in (True, False)
        ]
        right, labelled = int((own_gold == own_predicted).sum()), own_gold != UNLABELLED
        rest = [right, len(words), len(piece), int(scored[words[labelled]].sum()), int(labelled.sum())]
        totals += np.concatenate([*(array.ravel() for array in spans), rest]).astype(np.int64)
    return totals


def _unpack(totals: np.ndarray, labels: LabelSet) -> tuple[metrics.Counts, metrics.Counts, tuple[int, ...]]:
    width = 3 * len(labels.types)
    strict, lenient = (
        metrics.Counts.from_array(part.reshape(3, -1)) for part in (totals[:width], totals[width : 2 * width])
    )
    return strict, lenient, tuple(int(value) for value in totals[2 * width :])
