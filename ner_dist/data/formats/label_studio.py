"""Label Studio's exports: JSON (tasks with annotations) and JSON-MIN (a row for each annotation).

Of a task, one annotation is read: the ground truth, else the first that was not cancelled. Tasks without one
are left out, since nobody has said that they hold no entities; so are predictions of models.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from ner_dist.data.documents import Document
from ner_dist.data.formats.form import Content, JsonFormat, JsonRows
from ner_dist.data.formats.span_items import spans_of
from ner_dist.data.formats.text_spans import id_of
from ner_dist.data.notes import detail
from ner_dist.errors import UserError
from ner_dist.formatting import counted

log = logging.getLogger(__name__)

_TEXT = "text"
# Spans over rendered HTML or over the turns of a dialogue: their offsets do not point into the text.
_OTHER_SPANS = ("hypertextlabels", "paragraphlabels", "timelinelabels", "timeserieslabels")


def _is_task(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("data"), dict):
        return False
    found = [row[key] for key in ("annotations", "completions", "predictions") if key in row]
    return any(isinstance(each, list) for each in found)


def _is_min(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    return bool(_min_keys(row)) or ("annotation_id" in row and "annotator" in row)


def _min_keys(row: dict[str, Any]) -> list[str]:
    """Keys of a JSON-MIN row that hold labelled spans; they are named by the labelling configuration."""
    lists = [key for key, value in row.items() if isinstance(value, list) and value]
    return [key for key in lists if all(isinstance(item, dict) and _is_region(item) for item in row[key])]


def _is_region(item: dict[str, Any]) -> bool:
    return "start" in item and "end" in item and isinstance(item.get("labels"), list)


def _read(rows: JsonRows) -> Content:
    documents = []
    notes = _Notes(rows.file)
    for number, row in rows:
        where = rows.place(number)
        if not _is_task(row):
            raise UserError(f"{row!r:.60} is not a task of Label Studio", where=where)
        annotation = _chosen(row, notes, where)
        if annotation is None:
            continue
        results = annotation.get("result")
        if not isinstance(results, list):
            raise UserError("an annotation without a `result`", where=where, fix="export the tasks again")
        regions = [result for result in results if _is_labels(result, notes, where)]
        text = _text(row["data"], regions, where)
        # A region that no label was given to has none to learn.
        labelled = [each["value"] for each in regions if each["value"].get("labels")]
        for each in regions:
            if not each["value"].get("labels"):
                notes.leave_out("regions without a label", where)
        spans = spans_of(labelled, text, rows, number)
        documents.append(Document(text, spans, number, id=id_of(row)))
    notes.log()
    return rows.documents(documents)


def _chosen(row: dict[str, Any], notes: _Notes, where: str) -> dict[str, Any] | None:
    """The annotation of a task to read, if any."""
    made = row.get("annotations") or row.get("completions") or []
    if not isinstance(made, list):
        raise UserError(f"the annotations are {made!r:.60}, not a list", where=where)
    valid = [each for each in made if isinstance(each, dict) and not each.get("was_cancelled")]
    if not valid:
        if made:
            notes.leave_out("tasks that were skipped", where)
        elif row.get("predictions"):
            notes.leave_out("tasks with predictions only", where)
        else:
            notes.leave_out("tasks without annotations", where)
        return None
    if len(valid) > 1:
        notes.choose(where, len(valid))
    return next((each for each in valid if each.get("ground_truth")), valid[0])


def _is_labels(result: Any, notes: _Notes, where: str) -> bool:
    """Whether a result of an annotation is a span over the text; others are counted."""
    kind = result.get("type") if isinstance(result, dict) else None
    if kind == "labels" and isinstance(result.get("value"), dict):
        return True
    if kind in _OTHER_SPANS:
        what = f"`{kind}` mark spans of HTML or of a dialogue, not of a text"
        raise UserError(what, where=where, fix="label them with <Text> and <Labels>")
    notes.ignore(str(kind))
    return False


def _text(data: dict[str, Any], regions: list[dict[str, Any]], where: str) -> str:
    """The text of a task: what the regions name, `text`, or the only one."""
    names = list(dict.fromkeys(str(region["to_name"]) for region in regions if region.get("to_name")))
    if len(names) > 1:
        what = f"regions of one task are on several texts: {', '.join(names)}"
        raise UserError(what, where=where, fix="export one text for each task")
    names.append(_TEXT)
    named = next((data[name] for name in names if isinstance(data.get(name), str)), None)
    if named is not None:
        return str(named)
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if len(texts) != 1:
        what = f"the text of the task could be any of {', '.join(texts)}" if texts else "a task without text"
        raise UserError(what, where=where, fix="name it `text` in the data of the tasks")
    return next(iter(texts.values()))


def _read_min(rows: JsonRows) -> Content:
    """Rows of JSON-MIN. A key without spans is missing, or an empty list."""
    keys = list(dict.fromkeys(key for _, row in rows if isinstance(row, dict) for key in _min_keys(row)))
    documents: list[Document] = []
    notes = _Notes(rows.file)
    seen: set[str | None] = set()
    for number, row in rows:
        where = rows.place(number)
        if not isinstance(row, dict):
            raise UserError(f"{row!r:.60} is not an annotation of Label Studio", where=where)
        task = id_of(row)
        if task is not None and task in seen:
            notes.choose(where, 2)
            continue
        seen.add(task)
        data = {key: value for key, value in row.items() if key not in _MIN_OWN}
        text = row[_TEXT] if isinstance(row.get(_TEXT), str) else _text(data, [], where)
        given = [item for key in keys for item in rows.items(row, key, number)]
        items = [item for item in given if not isinstance(item, dict) or item.get("labels")]
        for _ in range(len(given) - len(items)):
            notes.leave_out("regions without a label", where)
        spans = spans_of(items, text, rows, number)
        documents.append(Document(text, spans, number, id=task))
    notes.log()
    return rows.documents(documents)


_MIN_OWN = frozenset(("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"))
"""What Label Studio adds to a JSON-MIN row."""


class _Notes:
    """What is not read, counted for the log."""

    def __init__(self, file: str) -> None:
        self.file, self.several = file, 0
        self.left_out, self.ignored = Counter[str](), Counter[str]()

    def leave_out(self, what: str, where: str) -> None:
        self.left_out[what] += 1
        detail(f"{where}: left out, of the {what}")

    def ignore(self, kind: str) -> None:
        self.ignored[kind] += 1

    def choose(self, where: str, number: int) -> None:
        self.several += 1
        detail(f"{where}: one of {number} annotations is read")

    def log(self) -> None:
        if self.left_out:
            what = ", ".join(f"{what} {count}" for what, count in self.left_out.items())
            log.warning("%s: left out: %s", self.file, what)
        if self.ignored:
            kinds = ", ".join(f"{kind} {count}" for kind, count in self.ignored.most_common())
            log.info("%s: results that are no spans are ignored: %s", self.file, kinds)
        if self.several:
            says = "%s: %s with several annotations: the ground truth is read, else the first"
            log.warning(says, self.file, counted(self.several, "task"))


LABEL_STUDIO = JsonFormat("a Label Studio export", _is_task, _read)
LABEL_STUDIO_MIN = JsonFormat("a Label Studio export (JSON-MIN)", _is_min, _read_min)
