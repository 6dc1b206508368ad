"""The examples of a model card: code that was run, and how often it gives what was scored."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ner_dist.formatting import counted
from ner_dist.labels import extract_spans
from ner_dist.training.card_metadata import FOLDER
from ner_dist.training.results import TriedExamples

if TYPE_CHECKING:
    from ner_dist.data.prepared import PreparedSplit
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Decode
    from ner_dist.training.results import RunResults

log = logging.getLogger(__name__)

# Sentences on which the examples are tried.
_TRIED = 100

_OWN = """\
import ner_dist

tagger = ner_dist.load_tagger("{folder}"{precision})
entities = tagger.spans(["Anna Berg visits York."])
tags = tagger.tags([["Anna", "Berg", "visits", "York", "."]])"""

WORDS = f"""\
from transformers import AutoModelForTokenClassification, AutoTokenizer

folder = "{FOLDER}"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForTokenClassification.from_pretrained(folder)

words = ["Anna", "Berg", "visits", "York", "."]
encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
labels = model(**encoded).logits[0].argmax(-1).tolist()
tags = ["O"] * len(words)
for place, word in reversed(list(enumerate(encoded.word_ids()))):
    if word is not None:
        tags[word] = model.config.id2label[labels[place]]  # the first subword has the last word"""

_TEXT = """\
from transformers import pipeline

tag = pipeline("token-classification", "{folder}", aggregation_strategy="first"{stride})
entities = tag("Anna Berg visits York.")"""


def own_example(results: RunResults | None) -> str:
    """The example with ner_dist, in fp32 if scoring computed in it, since a CPU may have faster formats."""
    exact = results is not None and results.environment.precision == "fp32"
    return _OWN.format(folder=FOLDER, precision=', precision="fp32"' if exact else "")


def text_example(tried: TriedExamples | None) -> str:
    """The example on text, which reads as long texts as scoring does if the tokenizer can pad."""
    stride = f", stride={tried.stride}" if tried is not None and tried.stride else ""
    return _TEXT.format(folder=FOLDER, stride=stride)


def said_of_words(tried: TriedExamples | None, decode: Decode) -> str:
    """How often the example on words gives the tags that were scored; empty if it was not tried."""
    if tried is None:
        return ""
    words, same, where = tried.words, tried.words_as_scored, _where(tried)
    says = f"These are the tags that were scored, for all {words:,} words of {where}."
    if same < words:
        says = f"These are the tags that were scored for {same:,} of the {words:,} words of {where}"
        if decode == "viterbi":
            says += "; scoring took the most probable legal tags, as `ner_dist.load_tagger` does"
        says += f"; scoring computed in {tried.precision}." if tried.precision != "fp32" else "."
    says += f" Sentences of more than {tried.longest:,} subwords were scored in overlapping windows"
    says += ", as `ner-dist evaluate` does it."
    if tried.without_subwords:
        says += (
            " Words without subwords belong to an entity that continues after them, and are `O` elsewhere."
        )
    return says


def said_of_text(tried: TriedExamples | None) -> str:
    """How often the example on text finds the entities that were scored; empty if it was not tried."""
    if tried is None:
        return ""
    entities, found, others = tried.entities, tried.entities_found, tried.entities_beside
    says = "The pipeline splits text into words its own way. In "
    says += f"{_where(tried)}, joined by spaces, it finds "
    all_of_them = counted(entities, "entity", "entities")
    if found == entities and not others:
        says += f"exactly the {all_of_them} that were scored."
    else:
        says += f"{found:,} of the {all_of_them} that were scored, and {others:,} beside them."
    return says


def _where(tried: TriedExamples) -> str:
    return f"the first {counted(tried.sentences, 'sentence')} of {tried.split}"


def try_examples(
    model: Any,
    folder: Path,
    *,
    name: str,
    split: PreparedSplit,
    predicted: np.ndarray,
    labels: LabelSet,
    longest: int,
    overlap: int,
    precision: str,
) -> TriedExamples | None:
    """Run the card's examples on the first sentences of a split, and compare them with the scored tags.

    Args:
        model: the model as loaded from the folder.
        folder: the saved model.
        name: the split's name.
        split: its sentences; those of one window are tried.
        predicted: the label id of every word that was scored, int [W].
        labels: what the ids mean.
        longest: subwords of a window in scoring.
        overlap: subwords that neighbouring windows share.
        precision: what scoring computed in.

    Returns:
        As in results.json under `examples`; None where transformers cannot run them.
    """
    from transformers import AutoTokenizer, pipeline

    model.eval()
    tokens = split.tokens()
    windows = np.bincount(split.encoded.sentence, minlength=split.n_sentences)
    sentences = [int(i) for i in np.flatnonzero(windows == 1)[:_TRIED]]
    counts = dict.fromkeys(("words", "words_as_scored", "entities", "entities_found", "entities_beside"), 0)
    gaps = set(split.encoded.without_subwords(len(predicted)).tolist())
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        stride = overlap if tokenizer.pad_token is not None else None
        tag = pipeline(
            "token-classification",
            model=model,
            tokenizer=tokenizer,
            aggregation_strategy="first",
            device=model.device,
            trust_remote_code=False,
        )
        for i in sentences:
            start, end = int(split.offsets[i]), int(split.offsets[i + 1])
            asked = [word for word in range(end - start) if start + word not in gaps]
            given = _tags_of_words(model, tokenizer, tokens[i])
            counts["words"] += len(asked)
            counts["words_as_scored"] += sum(
                given.get(word) == labels.tags[predicted[start + word]] for word in asked
            )
            scored = _entities(tokens[i], predicted[start:end], labels)
            found = _found_in_text(tag, " ".join(tokens[i]))
            counts["entities"] += len(scored)
            counts["entities_found"] += len(scored & found)
            counts["entities_beside"] += len(found - scored)
    # Whatever a family cannot do here, its training is done and scored.
    except Exception as error:
        log.warning("the examples of %s could not be tried: %r", folder / "README.md", error)
        return None
    as_scored = "the examples of %s give %d of %d words their tags as scored, and on text %d of %d entities"
    log.log(
        logging.INFO if counts["words_as_scored"] >= 0.99 * counts["words"] else logging.WARNING,
        as_scored,
        folder / "README.md",
        *(counts[key] for key in ("words_as_scored", "words", "entities_found", "entities")),
    )
    return TriedExamples(
        split=name,
        sentences=len(sentences),
        **counts,
        longest=longest,
        stride=stride,
        precision=precision,
        without_subwords=len(gaps),
    )


@torch.no_grad()
def _tags_of_words(model: Any, tokenizer: Any, words: list[str]) -> dict[int, str]:
    encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    if not encoded["input_ids"].numel():
        return {}
    labels = model(**encoded.to(model.device)).logits[0].argmax(-1).tolist()
    places = reversed(list(enumerate(encoded.word_ids())))
    return {word: model.config.id2label[labels[place]] for place, word in places if word is not None}


def _entities(words: list[str], predicted: np.ndarray, labels: LabelSet) -> set[tuple[str, int, int]]:
    """The entities of a sentence as type, first character and end, where one space joins the words."""
    spans = extract_spans(predicted, np.array([0, len(words)]), labels, strict=True)
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])
    return {
        (labels.types[kind], int(starts[start]), int(starts[end]) - 1)
        for kind, start, end in zip(spans.type, spans.start, spans.end, strict=True)
    }


def _found_in_text(tag: Any, text: str) -> set[tuple[str, int, int]]:
    with warnings.catch_warnings():
        # That it guesses where words begin is what is measured here.
        warnings.simplefilter("ignore")
        answers = tag(text) if text.strip() else []
    entities = set()
    for each in answers:
        # Some tokenizers count the space before a word as a part of it.
        inner = text[each["start"] : each["end"]]
        start = each["start"] + len(inner) - len(inner.lstrip())
        entities.add((each["entity_group"], start, each["start"] + len(inner.rstrip())))
    return entities
