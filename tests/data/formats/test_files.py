"""A file in the shape of each tool's documentation is read at first try; spans are compared one by one with
what a parser of a few lines finds there.
"""

from __future__ import annotations

import gzip
import json
import re
from itertools import chain
from pathlib import Path

import pytest

from ner_dist.commands.new_recipe import new_recipe
from ner_dist.data.formats.form import Documents
from ner_dist.data.readers import read_content, read_rows
from ner_dist.data.sources import load_corpus
from ner_dist.recipe_data import Data

FILES = Path(__file__).parent / "files"
Pairs = list[tuple[str, list[tuple[int, int, str]]]]


def lines(name: str) -> list:
    return [json.loads(line) for line in (FILES / name).read_text(encoding="utf-8").splitlines()]


def whole(name: str):
    return json.loads((FILES / name).read_text(encoding="utf-8"))


def label_studio() -> Pairs:
    pairs = []
    for task in whole("label_studio.json"):
        done = [each for each in task["annotations"] if not each["was_cancelled"]]
        done.sort(key=lambda each: not each["ground_truth"])
        for annotation in done[:1]:
            values = [result["value"] for result in annotation["result"] if result["type"] == "labels"]
            spans = [(each["start"], each["end"], label) for each in values for label in each["labels"]]
            pairs.append((task["data"]["text"], spans))
    return pairs


def label_studio_min() -> Pairs:
    return [
        (row["text"], [(each["start"], each["end"], each["labels"][0]) for each in row.get("label", [])])
        for row in whole("label_studio_min.json")
    ]


def prodigy() -> Pairs:
    seen, pairs = [], []
    for row in lines("prodigy.jsonl"):
        if row["answer"] == "accept" and row["_input_hash"] not in seen:
            seen.append(row["_input_hash"])
            pairs.append(
                (row["text"], [(each["start"], each["end"], each["label"]) for each in row["spans"]])
            )
    return pairs


def argilla() -> Pairs:
    pairs = []
    for row in whole("argilla.json"):
        answers = [each for each in row["responses"].get("entities", []) if each["status"] == "submitted"]
        for answer in answers[:1]:
            spans = [(each["start"], each["end"], each["label"]) for each in answer["value"]]
            pairs.append((row["fields"]["text"], spans))
    return pairs


def argilla_flat() -> Pairs:
    rows = lines("argilla_flat.jsonl")
    spans = [row["entities.responses"][0] for row in rows]
    return [
        (row["text"], [(each["start"], each["end"], each["label"]) for each in found])
        for row, found in zip(rows, spans, strict=True)
    ]


def argilla_v1() -> Pairs:
    return [
        (row["text"], [(start, end, label) for label, start, end in row["annotation"]])
        for row in lines("argilla_v1.jsonl")
        if row["status"] == "Validated"
    ]


def doccano_v1() -> Pairs:
    return [(row["text"], [tuple(each) for each in row["label"]]) for row in lines("doccano_v1.jsonl")]


def of_objects(rows: list, text: str, spans: str, start: str, end: str, label: str) -> Pairs:
    return [(row[text], [(each[start], each[end], each[label]) for each in row[spans]]) for row in rows]


def of_words(rows: list[tuple[list[str], list[tuple[int, int, str]]]]) -> Pairs:
    """Words are joined by blanks; spans have their last word."""
    pairs = []
    for words, found in rows:
        starts = [len(" ".join([*words[:i], ""])) for i in range(len(words))]
        spans = [(starts[a], starts[b] + len(words[b]), label) for a, b, label in found]
        pairs.append((" ".join(words), spans))
    return pairs


def gliner() -> Pairs:
    return of_words([(row["tokenized_text"], row["ner"]) for row in whole("gliner.json")])


def spert() -> Pairs:
    rows = whole("spert.json")
    return of_words(
        [(row["tokens"], [(e["start"], e["end"] - 1, e["type"]) for e in row["entities"]]) for row in rows]
    )


def dygie() -> Pairs:
    rows = lines("dygie.jsonl")
    pairs = of_words([([*chain(*row["sentences"])], [*chain(*row["ner"])]) for row in rows])
    texts = ["\n".join(" ".join(sentence) for sentence in row["sentences"]) for row in rows]
    return [(text, spans) for text, (_, spans) in zip(texts, pairs, strict=True)]


def spacy_examples() -> Pairs:
    return [
        (text, [tuple(each) for each in notes["entities"]]) for text, notes in whole("spacy_examples.json")
    ]


def ner_annotator() -> Pairs:
    rows = [row for row in whole("ner_annotator.json")["annotations"] if row]
    return [(text, [tuple(each) for each in notes["entities"]]) for text, notes in rows]


def spacy_paragraphs() -> Pairs:
    pairs = []
    for document in whole("spacy_paragraphs.json"):
        for paragraph in document["paragraphs"]:
            text, spans, at = paragraph["raw"], [], 0
            for sentence in paragraph["sentences"]:
                for token in sentence["tokens"]:
                    start = text.index(token["orth"], at)
                    at = start + len(token["orth"])
                    if token["ner"][:2] in ("B-", "U-"):
                        spans.append((start, at, token["ner"][2:]))
                    elif token["ner"][:2] in ("I-", "L-"):
                        spans[-1] = (spans[-1][0], at, token["ner"][2:])
            pairs.append((text, spans))
    return pairs


PARSED = {
    "label_studio.json": label_studio,
    "label_studio_min.json": label_studio_min,
    "doccano_v1.jsonl": doccano_v1,
    "doccano_v2.jsonl": lambda: of_objects(
        lines("doccano_v2.jsonl"), "text", "entities", "start_offset", "end_offset", "label"
    ),
    "prodigy.jsonl": prodigy,
    "argilla.json": argilla,
    "argilla_flat.jsonl": argilla_flat,
    "argilla_v1.jsonl": argilla_v1,
    "entities.jsonl": lambda: of_objects(
        lines("entities.jsonl"), "text", "entities", "start", "end", "label"
    ),
    "pipeline.json": lambda: of_objects(
        whole("pipeline.json"), "text", "entities", "start", "end", "entity_group"
    ),
    "spans_typed.json": lambda: of_objects(
        whole("spans_typed.json")["data"], "sentence", "spans", "begin", "end", "type"
    ),
    "gliner.json": gliner,
    "spert.json": spert,
    "dygie.jsonl": dygie,
    "spacy_examples.json": spacy_examples,
    "ner_annotator.json": ner_annotator,
    "spacy_docs.jsonl": lambda: of_objects(
        lines("spacy_docs.jsonl"), "text", "ents", "start", "end", "label"
    ),
    "spacy_paragraphs.json": spacy_paragraphs,
}  # fmt: skip


def test_every_file_has_a_parser():
    assert sorted(PARSED) == sorted(path.name for path in FILES.iterdir())


@pytest.mark.parametrize("name", PARSED)
def test_documents_have_the_spans_of_the_file(name):
    content = read_content(FILES / name, Data(path="unused"))
    assert isinstance(content, Documents)
    found = [
        (document.text, [(span.start, span.end, span.type) for span in document.spans])
        for document in content.documents
    ]
    expected = PARSED[name]()
    assert len(expected) > 0 and sum(len(spans) for _, spans in expected) >= 5
    assert found == expected


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", PARSED)
def test_rows_tag_these_spans_and_nothing_else(tmp_path, name, zipped):
    path = FILES / name
    if zipped:
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress((FILES / name).read_bytes()))
    rows = read_rows(path, Data(path="unused"))
    tags = [rows.values[code] for code in rows.tags]
    found, at = [], 0
    for words, start in zip(rows.tokens, rows.offsets, strict=False):
        text = []
        for word, tag, (begin, end) in zip(words, tags[start:], rows.chars[start:].tolist(), strict=False):
            if tag[:1] == "B":
                text.append([begin, end, tag[2:]])
            elif tag[:1] == "I":
                text[-1][1] = end
            assert len(word) == end - begin
            at += 1
        found.append([tuple(each) for each in text])
    expected = [
        # A label of Label Studio beside another on the same span: the first is kept.
        [span for i, span in enumerate(spans) if span[:2] not in [other[:2] for other in spans[:i]]]
        for _, spans in PARSED[name]()
    ]
    if name == "dygie.jsonl":  # one document of two sentences
        assert len(found) == 2
        found = [found[0] + found[1]]
    assert found == expected


def test_training_reads_one_file(tmp_path):
    path = tmp_path / "export.json"
    path.write_bytes((FILES / "label_studio.json").read_bytes())
    corpus = load_corpus(
        Data(path=str(path), splits={"train": "train", "validation": None, "test": None}, deduplicate=False)
    )
    assert set(corpus.labels.types) == {"PER", "LOC", "ORG"}
    assert len(corpus.splits["train"]) == 4


def test_a_folder_with_a_file_for_each_split(tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_bytes((FILES / "doccano_v2.jsonl").read_bytes())
    corpus = load_corpus(Data(path=str(tmp_path)))
    assert [len(split) for split in corpus.splits.values()] == [4, 4, 4]


@pytest.mark.parametrize("name", PARSED)
def test_new_writes_a_recipe_for_it(name):
    text = new_recipe(str(FILES / name), [])
    assert re.search(r"^#   entities +\d+$", text, flags=re.MULTILINE)
    assert not re.search(r"^  (tokens_column|tags_column|format):", text, flags=re.MULTILINE)
