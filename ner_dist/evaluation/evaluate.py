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
from ner_dist.evaluation import metrics
from ner_dist.evaluation.figures import BothDecodings, LenientScores, SplitFigures
from ner_dist.evaluation.forward import HostCopy, LossSum, word_logits
from ner_dist.evaluation.legal import LegalTags
from ner_dist.labels import OUTSIDE, UNLABELLED
from ner_dist.runtime.progress import progress
from ner_dist.runtime.signals import Stopped

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.evaluation.id2label import Decoder
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Decode
    from ner_dist.runtime.signals import PreemptionFlag

# Words that are counted, or whose predictions are exchanged, at a time.
_CHUNK = 1_000_000
# Confidence is kept in whole ten-thousandths: a sum over ranks is exact then, and 4 digits are written.
_DIGITS = 4


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
        stop: asked after every forward pass.

    Raises:
        Stopped: `stop` says so; nothing was scored.
    """
    began = time.perf_counter()
    rank, world = accelerator.process_index, accelerator.num_processes
    tags, labels = split.tags, split.labels
    plan = plan_evaluation(split.encoded.lengths, split.encoded.sentence, batch_tokens=batch_tokens)
    predicted = np.full(len(tags), labels.label2id["O"], dtype=np.int16)
    scored = np.zeros(len(tags), dtype=np.int8)
    confidence = np.full(len(tags), 10**_DIGITS, dtype=np.int16) if with_predictions else None
    loss_sum = torch.zeros((), dtype=torch.float64, device=accelerator.device)
    pending: tuple[np.ndarray, HostCopy, HostCopy | None] | None = None
    # Both ways of decoding are counted for the figures of record.
    legal = None
    if decoder is None and (decode == "viterbi" or with_predictions):
        legal = LegalTags(split.encoded, split.offsets, labels)
    has_loss, scheme = decoder is None or decoder.one_to_one, "IOB2"
    loss_of = LossSum(split, accelerator.device)

    def store() -> None:
        # One batch late, so that the device computes the next one while this one is stored.
        if pending is not None:
            words, answers, scores = pending
            ids, *sure = answers.wait()
            predicted[words] = ids
            if confidence is not None:
                confidence[words] = sure[0]
            if legal is not None and scores is not None:
                legal.keep(words, ids, scores.wait())
            np.add.at(scored, words, 1)

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
            store()
            answers = [logits.argmax(-1), *([_confidence(logits)] if with_predictions else [])]
            scores = HostCopy(logits) if legal is not None else None
            pending = (batch.words, HostCopy(torch.stack(answers)), scores)
            show(done)
            if stop is not None and stop.agreed():
                raise Stopped
        store()
    model.train(was_training)

    if decoder is not None:
        scheme = _decode(predicted, scored, split.offsets, decoder, accelerator=accelerator)
        has_loss = has_loss and scheme == "IOB2"
    ways: dict[str, np.ndarray] = {"greedy": predicted}
    if legal is not None:
        ways["viterbi"] = predicted.copy()
        redone, probability = legal.decode(ways["viterbi"])
        if decode == "viterbi" and confidence is not None:
            confidence[redone] = (probability * 10**_DIGITS).round()
    chosen = decode if decode in ways else "greedy"
    if not with_predictions:
        ways = {chosen: ways[chosen]}
    if split.annotation is not None:
        outside = labels.label2id[OUTSIDE]
        ways = {name: split.annotation.scored(answers, outside) for name, answers in ways.items()}
    here = plan.rank_sentences(rank, world, n_sentences=split.n_sentences)
    counted = [_count(here, split.offsets, tags, answers, scored, labels) for answers in ways.values()]
    sums, loss = _reduce(np.stack(counted), loss_sum, accelerator=accelerator)
    unpacked = dict(zip(ways, (_unpack(totals, labels) for totals in sums), strict=True))
    strict, lenient, (correct, read, sentences, loss_words, words) = unpacked[chosen]
    predicted = ways[chosen]
    if sentences != split.n_sentences or read != len(tags):
        raise AssertionError(
            f"scored {sentences} of {split.n_sentences} sentences, {read} of {len(tags)} words"
        )
    answered = {}
    if confidence is not None:
        predicted, confidence = _exchange(predicted, confidence, scored, split, accelerator=accelerator)
        join_entities(predicted, split.without_subwords(), split.offsets, labels)
        answered = {"predicted": predicted, "confidence": confidence / 10**_DIGITS}
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


def _decode(
    predicted: np.ndarray,
    scored: np.ndarray,
    offsets: np.ndarray,
    decoder: Decoder,
    *,
    accelerator: Accelerator,
) -> str:
    """Turn the ids that this rank predicted into label ids, in place; returns the model's scheme."""

    def over_ranks(evidence: np.ndarray) -> np.ndarray:
        zero = torch.zeros((), dtype=torch.float64, device=accelerator.device)
        return _reduce(evidence, zero, accelerator=accelerator)[0]

    return decoder.decode_words(predicted, np.flatnonzero(scored), offsets, add_up=over_ranks)


def _confidence(logits: torch.Tensor) -> torch.Tensor:
    """The largest probability of each row of [n, labels], in ten-thousandths; 0 where it is not a number."""
    probability = (logits.amax(-1) - logits.logsumexp(-1)).exp().nan_to_num(0.0)
    result: torch.Tensor = (probability * 10**_DIGITS).round().long()
    return result


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
    part = np.cumsum(lengths) // _CHUNK
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


def _reduce(counts: np.ndarray, loss: torch.Tensor, *, accelerator: Accelerator) -> tuple[np.ndarray, float]:
    totals = torch.from_numpy(counts).to(accelerator.device)
    if accelerator.num_processes > 1:
        torch.distributed.all_reduce(totals)
        torch.distributed.all_reduce(loss)
    return totals.cpu().numpy(), float(loss)


def _exchange(
    predicted: np.ndarray,
    confidence: np.ndarray,
    scored: np.ndarray,
    split: LabelledSplit,
    *,
    accelerator: Accelerator,
) -> tuple[np.ndarray, np.ndarray]:
    """Every word's prediction and confidence from the one rank that made it, each int16 [W]."""
    own = np.stack([predicted, confidence])
    whole = np.empty_like(own)
    expected = np.zeros(len(predicted), dtype=bool)
    owned = split.encoded.word_index
    expected[owned[owned >= 0]] = True
    for start in range(0, len(predicted), _CHUNK):
        part = slice(start, start + _CHUNK)
        both = np.vstack([np.where(scored[part] > 0, own[:, part], 0), scored[part]]).astype(np.int32)
        shared = torch.from_numpy(both).to(accelerator.device)
        if accelerator.num_processes > 1:
            torch.distributed.all_reduce(shared)
        *values, times = shared.cpu().numpy()
        if not np.array_equal(times, expected[part]):
            raise AssertionError("a word was predicted twice, or not at all")
        whole[:, part] = np.where(expected[part], values, own[:, part])
    return whole[0], whole[1]
