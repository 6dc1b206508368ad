"""A component of spaCy's pipelines: `nlp.add_pipe("ner_dist", config={"model": "runs/full"})`.

spaCy finds it by the entry point `spacy_factories`, when a pipeline names it for the first time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import minibatch

from ner_dist.prediction.scorers import TorchScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.prediction.tagger import Tagger

_SETTINGS = "tagger.json"
_WINDOWS = ("max_length", "overlap", "batch_tokens")
"""Fields of the tagger that its model's folder does not say."""


@Language.factory(
    "ner_dist",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "span._.probability"],
    default_config={"precision": "auto", "device": None, "decode": None},
)
def make_component(
    nlp: Language,
    name: str,
    model: str,
    precision: Literal["auto", "fp32", "bf16", "fp16"],
    device: str | None,
    decode: Literal["greedy", "viterbi"] | None,
) -> NerDist:
    """The component; its arguments are those of `ner_dist.load_tagger`."""
    return NerDist(model, precision=precision, device=device, decode=decode)


class NerDist:
    """Sets `doc.ents`, and `span._.probability` of each of them.

    The model is loaded when it is first needed. Its words are spaCy's tokens, without those of blanks, its
    sentences those of an earlier component, such as `sentencizer`; without one, they are those of
    `Tagger.spans`. Entities of earlier components stay, and those that would overlap them are left out.
    """

    def __init__(
        self,
        model: str,
        *,
        precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
        device: str | None = None,
        decode: Literal["greedy", "viterbi"] | None = None,
    ) -> None:
        """Args as of `ner_dist.load_tagger`."""
        self.model = model
        self.precision, self.device, self.decode = precision, device, decode
        if not Span.has_extension("probability"):
            Span.set_extension("probability", default=None)

    @cached_property
    def tagger(self) -> Tagger:
        """The loaded model.

        Raises:
            UserError: it cannot be loaded.
        """
        from ner_dist.prediction.tagger import load_tagger

        return load_tagger(self.model, self.precision, self.device, self.decode)

    @property
    def labels(self) -> tuple[str, ...]:
        """The types that the model knows, for `nlp.pipe_labels`; empty until it is loaded.

        spaCy asks for them before it calls `from_disk`.
        """
        return self.tagger.labels.types if "tagger" in vars(self) else ()

    def __call__(self, doc: Doc) -> Doc:
        """Set the entities of one document."""
        self.annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 64) -> Iterator[Doc]:
        """Set the entities of many documents, `batch_size` at a time."""
        for docs in minibatch(stream, batch_size):  # type: ignore[no-untyped-call]
            self.annotate(docs)
            yield from docs

    def annotate(self, docs: Sequence[Doc]) -> None:
        """Set the entities of documents, which are read together."""
        words = [[token.i for token in doc if not token.is_space] for doc in docs]
        sentences: list[list[str]] = []
        ends = [0]
        for doc, places in zip(docs, words, strict=True):
            firsts = self._first_words(doc, places)
            for first, end in pairwise([*firsts, len(places)]):
                sentences.append([doc[place].text for place in places[first:end]])
            ends.append(len(sentences))
        tagged = self.tagger.predict(sentences)
        spans, types = tagged.entities(), self.tagger.labels.types
        for doc, places, (first, last) in zip(docs, words, pairwise(ends), strict=True):
            begin, end = int(tagged.offsets[first]), int(tagged.offsets[last])
            found = [
                (Span(doc, places[start], places[stop - 1] + 1, label=types[kind]), probability)
                for kind, start, stop, probability in spans.within(begin, end)
            ]
            _set_entities(doc, found)

    def _first_words(self, doc: Doc, places: list[int]) -> list[int]:
        """The first word of every sentence, counted in `places`: the tokens that are words."""
        if not doc.has_annotation("SENT_START"):
            chars = [(doc[place].idx, doc[place].idx + len(doc[place])) for place in places]
            return self.tagger.text_rule.first_words(doc.text, chars)
        firsts, at = [], 0
        for sentence in doc.sents:
            first = at
            while at < len(places) and places[at] < sentence.end:
                at += 1
            if at > first:
                firsts.append(first)
        return firsts

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the model, so that `spacy.load` needs nothing else."""
        folder, tagger = Path(path), self.tagger
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(tagger.scorer, TorchScorer):
            model, tokenizer = cast("Any", tagger.scorer.model).model, cast("Any", tagger.tokenizer)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        else:
            shutil.copytree(self.model, folder, dirs_exist_ok=True)
        settings = {name: getattr(tagger, name) for name in ("precision", *_WINDOWS)}
        (folder / _SETTINGS).write_text(json.dumps(settings), encoding="utf-8")

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> NerDist:
        """Load what `to_disk` has saved."""
        from ner_dist.prediction.tagger import load_tagger

        folder = Path(path)
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        # Any device has fp32; of the others, `auto` chooses one that this device has.
        exact = self.precision == "auto" and settings["precision"] == "fp32"
        tagger = load_tagger(folder, "fp32" if exact else self.precision, self.device, self.decode)
        self.model, self.tagger = str(folder), replace(tagger, **{name: settings[name] for name in _WINDOWS})
        return self


def _set_entities(doc: Doc, found: list[tuple[Span, float]]) -> None:
    """Add entities to those that the document has, unless they overlap one."""
    taken = {token.i for span in doc.ents for token in span}
    free = [(span, p) for span, p in found if taken.isdisjoint(range(span.start, span.end))]
    doc.set_ents([*doc.ents, *(span for span, _ in free)], default="outside")
    # Values of extensions are kept in the document under the place and the label of the span.
    for span, probability in free:
        span._.probability = probability
