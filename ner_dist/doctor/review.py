"""Suspicious spans written for people: as JSON lines, as Label Studio tasks, and as a page that saves.

OUT/suspects.jsonl            all candidates, the most suspicious first; a line is a correction to accept
OUT/label_studio.json         sentences with disputed spans: all their annotated entities as the annotation,
                              and all that the model finds as the prediction
OUT/review.html               accept or reject, by keyboard; saves corrections.jsonl
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ner_dist.data.documents import Document
from ner_dist.data.documents import Span as TextSpan
from ner_dist.data.writers import Predicted, label_studio_task
from ner_dist.files import atomic_file, write_atomically
from ner_dist.report.render import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ner_dist.data.corpus import Split
    from ner_dist.doctor.suspects import Span, Suspect

SUSPECTS, TASKS, PAGE = "suspects.jsonl", "label_studio.json", "review.html"
SHOWN = 1_000
"""Most disputed spans on the page, and in Label Studio's tasks: nobody reviews more in one go."""


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
    lines = [_line(rank, suspect, split, name) for rank, suspect in enumerate(found, start=1)]
    disputed = [line for line in lines if not line["agrees"]]
    with atomic_file(out / SUSPECTS) as file:
        file.writelines(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    tasks = list(_tasks(found, split))
    write_atomically(out / TASKS, json.dumps(tasks, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    rows = disputed[:SHOWN]
    text = page(
        "review.html.j2",
        title=f"Suspicious spans of {name}",
        sections=[("spans", "Spans"), ("use", "Use")],
        total=len(found),
        shown=len(rows),
        disputed=len(disputed),
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
    """Tasks of Label Studio, one a sentence; the sentence with the most suspicious span comes first.

    Both sides hold the whole sentence, so that the entities that nobody disputes are in an export, too.
    """
    of_sentence: dict[int, list[Suspect]] = {}
    for suspect in found:
        of_sentence.setdefault(suspect.sentence, []).append(suspect)
    disputed = [suspect for suspect in found if not suspect.agrees][:SHOWN]
    for sentence in dict.fromkeys(suspect.sentence for suspect in disputed):
        whole = of_sentence[sentence]
        own = [suspect for suspect in whole if not suspect.agrees]
        words = split.tokens[sentence]
        annotated = _document(words, [span for each in whole for span in each.annotated])
        read = [span for each in whole for span in (each.annotated if each.agrees else each.suggested)]
        predicted = _document(words, read)
        task = label_studio_task(annotated)
        (prediction,) = label_studio_task(Predicted(predicted, (None,) * len(read)))["predictions"]
        score = round(max(suspect.evidence for suspect in own), 4)
        yield {
            "data": {
                **task["data"],
                "where": split.origin[sentence] if split.origin is not None else str(sentence + 1),
                "suspicion": ", ".join(suspect.kind for suspect in own),
            },
            "annotations": task["annotations"],
            "predictions": [{**prediction, "model_version": "out-of-fold", "score": score}],
        }


def _document(words: Sequence[str], spans: Sequence[Span]) -> Document:
    """A sentence as a text of its words, with its entities in their order."""
    ordered = sorted(spans, key=lambda span: span.start)
    return Document.from_words(
        [words], [TextSpan(each.start, each.end, each.type) for each in ordered], line=0
    )
