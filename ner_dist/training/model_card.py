"""Write the README.md of a saved model: description, scores, and two usage examples that were run."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ner_dist import __version__
from ner_dist.formatting import counted
from ner_dist.labels import extract_spans
from ner_dist.training.results import TriedExamples

if TYPE_CHECKING:
    from ner_dist.data.prepare import PreparedSplit
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Decode, Recipe
    from ner_dist.training.results import RunResults

log = logging.getLogger(__name__)

# Sentences on which the examples are tried.
_TRIED = 100

_WORDS = """\
from transformers import AutoModelForTokenClassification, AutoTokenizer

folder = "path/to/this/folder"
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

tag = pipeline("token-classification", "path/to/this/folder", aggregation_strategy="first"{stride})
entities = tag("Anna Berg visits York.")"""


def model_card(recipe: Recipe, labels: LabelSet, results: RunResults | None = None) -> str:
    """The text of the saved model's README.md, without local paths.

    Args:
        recipe: what it was trained with.
        labels: what it knows.
        results: of the training; None before there are any.
    """
    source = _public(recipe.data.path) + (f" ({recipe.data.language})" if recipe.data.language else "")
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: token-classification",
        "tags: [named-entity-recognition, token-classification]",
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"`{_public(recipe.model.name)}`, fine-tuned by ner_dist {__version__} on {source}.",
        f"Entity types: {', '.join(labels.types)}. Tags are IOB2; a word's tag is that of its first subword.",
        "",
    ]
    scored = {} if results is None else results.scored()
    if scored:
        lines += [
            "| split | sentences | entities | precision | recall | F1 | accuracy | loss |",
            "|---" * 8 + "|",
        ]
        for name, figures in scored.items():
            entities = sum(one.support for one in figures.per_type.values())
            cells = [f"{figures.sentences:,}", f"{entities:,}"]
            shown = (figures.precision, figures.recall, figures.f1, figures.accuracy, figures.loss)
            cells += [f"{figure:.4f}" for figure in shown]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += ["", "Precision, recall and F1 are micro averages over entities, strict IOB2.", ""]
    tried = None
    if results is not None:
        lines += _said_of_leaks(results)
        tried = results.examples
    lines += ["Words that are split already:", "", "```python", _WORDS, "```", ""]
    lines += [*_said_of_words(tried, recipe.evaluation.decode), "Text:", "", "```python"]
    lines += [
        _TEXT.format(stride=f", stride={tried.stride}" if tried is not None and tried.stride else ""),
        "```",
        "",
    ]
    lines += _said_of_text(tried)
    return "\n".join(lines)


def _public(name: str) -> str:
    """A hub name unchanged; a local path shortened to its last part."""
    path = Path(name).expanduser()
    local = path.exists() or path.is_absolute() or name.startswith(".")
    if not local:
        return name
    path = path.resolve()
    # RUN/model says nothing: the run's name does.
    return (path.parent.name if path.name == "model" else path.name) or "data"


def _said_of_leaks(results: RunResults) -> list[str]:
    """Sentences of the card on scored sentences that also occur in train."""
    says = []
    for name, figures in results.scored().items():
        if seen := results.data.get(f"{name}_in_train"):
            says.append(f"{seen:,} of the {figures.sentences:,} {name} sentences also occur in train.")
    return [" ".join(says), ""] if says else []


def _said_of_words(tried: TriedExamples | None, decode: Decode) -> list[str]:
    if tried is None:
        return []
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
    return [says, ""]


def _said_of_text(tried: TriedExamples | None) -> list[str]:
    if tried is None:
        return []
    entities, found, others = tried.entities, tried.entities_found, tried.entities_beside
    says = "The pipeline splits text into words its own way. In "
    says += f"{_where(tried)}, joined by spaces, it finds "
    all_of_them = counted(entities, "entity", "entities")
    if found == entities and not others:
        says += f"exactly the {all_of_them} that were scored."
    else:
        says += f"{found:,} of the {all_of_them} that were scored, and {others:,} beside them."
    return [says, ""]


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
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        stride = overlap if tokenizer.pad_token is not None else None
        tag = pipeline(
            "token-classification",
            model=model,
            tokenizer=tokenizer,
            aggregation_strategy="first",
            device=model.device,
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
