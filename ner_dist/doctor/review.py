"""Suspicious spans written for people: as JSON lines, as Label Studio tasks, and as a page that saves.

OUT/suspects.jsonl            all candidates, the most suspicious first; a line is a correction to accept
OUT/label_studio.json         sentences with suspicious spans: the annotation, and the model's as prediction
OUT/review.html               accept or reject, by keyboard; saves corrections.jsonl
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ner_dist.files import atomic_file, write_atomically
from ner_dist.report.render import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ner_dist.data.corpus import Split
    from ner_dist.doctor.suspects import Span, Suspect

SUSPECTS, TASKS, PAGE = "suspects.jsonl", "label_studio.json", "review.html"
SHOWN = 1_000
"""Most suspects on the page, and in Label Studio's tasks: nobody reviews more in one go."""


def write_review(
    out: Path, split: Split, found: Sequence[Suspect], *, name: str, types: Sequence[str], fingerprint: str
) -> list[Path]:
    """Write the candidates in all three forms.

    Args:
        out: the folder.
        split: the sentences.
        found: the candidates, the most suspicious first.
        name: of the split.
        types: of entities.
        fingerprint: of the data; decisions that the browser keeps are for these sentences alone.

    Returns:
        What was written.
    """
    disputed = [suspect for suspect in found if not suspect.agrees][:SHOWN]
    with atomic_file(out / SUSPECTS) as file:
        for rank, suspect in enumerate(found, start=1):
            file.write(json.dumps(_line(rank, suspect, split, name), ensure_ascii=False) + "\n")
    tasks = list(_tasks(disputed, split))
    write_atomically(out / TASKS, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
    rows = [_line(rank, suspect, split, name) for rank, suspect in enumerate(disputed, start=1)]
    text = page(
        "review.html.j2",
        title=f"Suspicious spans of {name}",
        sections=[("spans", "Spans"), ("use", "Use")],
        total=len(found),
        shown=len(rows),
        disputed=sum(not suspect.agrees for suspect in found),
        # `</script>` in a text must not end the script that holds it.
        review={"key": fingerprint, "types": list(types), "suspects": rows},
    )
    write_atomically(out / PAGE, text)
    return [out / name for name in (SUSPECTS, TASKS, PAGE)]


def _line(rank: int, suspect: Suspect, split: Split, name: str) -> dict[str, Any]:
    """A candidate as a line of suspects.jsonl; with a decision, it is a correction."""
    origin = split.origin
    return {
        "rank": rank,
        "decision": None,
        "kind": suspect.kind,
        "evidence": round(suspect.evidence, 4),
        "confidence": round(suspect.confidence, 4),
        "other_confidence": round(suspect.other_confidence, 4),
        "agrees": suspect.agrees,
        "split": name,
        "where": origin[suspect.sentence] if origin is not None else f"sentence {suspect.sentence + 1}",
        "tokens": split.tokens[suspect.sentence],
        "was": _spans(suspect.annotated),
        "now": _spans(suspect.suggested),
    }


def _spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [{"start": span.start, "end": span.end, "type": span.type} for span in spans]


def _tasks(found: Sequence[Suspect], split: Split) -> Iterator[dict[str, Any]]:
    """Tasks of Label Studio, one a sentence; the sentence with the most suspicious span comes first."""
    first: dict[int, int] = {}
    for rank, suspect in enumerate(found):
        first.setdefault(suspect.sentence, rank)
    ordered = sorted(found, key=lambda suspect: first[suspect.sentence])
    for sentence, group in groupby(ordered, key=lambda suspect: suspect.sentence):
        own = list(group)
        words = split.tokens[sentence]
        yield {
            "data": {
                "text": " ".join(words),
                "where": split.origin[sentence] if split.origin is not None else str(sentence + 1),
                "suspicion": ", ".join(suspect.kind for suspect in own),
            },
            "annotations": [{"result": _regions(words, [span for each in own for span in each.annotated])}],
            "predictions": [
                {
                    "model_version": "out-of-fold",
                    "score": round(max(suspect.evidence for suspect in own), 4),
                    "result": _regions(words, [span for each in own for span in each.suggested]),
                }
            ],
        }


def _regions(words: Sequence[str], spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Entities as Label Studio has them: characters of the words joined by blanks."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": starts[span.start],
                "end": starts[span.end] - 1,
                "text": " ".join(words[span.start : span.end]),
                "labels": [span.type],
            },
        }
        for span in spans
    ]
