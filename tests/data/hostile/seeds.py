"""Small sound files of every format, which the tests damage."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILES = Path(__file__).parents[1] / "formats" / "files"
WORDS, TAGS = ["Ada", "slept", "in", "Paris"], ["B-PER", "O", "O", "B-LOC"]
ROW = {"tokens": WORDS, "ner_tags": TAGS}
TEXT, SPANS = "Ada slept in Paris", [[0, 3, "PER"], [13, 18, "LOC"]]
ANN = "T1\tPER 0 3\tAda\nT2\tLOC 13 18\tParis\n"
_CONLL = "Ada O B-PER\nslept O O\nin O O\nParis O B-LOC\n\n"
_CONLLU = "".join(
    f"{number}\t{word}\t_\tX\t_\t_\t0\tdep\t_\tNER={tag}\n"
    for number, (word, tag) in enumerate(zip(WORDS, TAGS, strict=True), start=1)
)
_CONLL2012 = (
    "#begin document (a); part 000\n"
    + "".join(
        f"a 0 {number} {word} X * - - - - {bracket} -\n"
        for number, (word, bracket) in enumerate(zip(WORDS, ["(PER)", "*", "*", "(LOC)"], strict=True))
    )
    + "\n#end document\n"
)
_WEBANNO = (
    "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|value\n\n\n"
    f"#Text={TEXT}\n1-1\t0-3\tAda\tPER\n1-2\t4-9\tslept\t_\n1-3\t10-12\tin\t_\n1-4\t13-18\tParis\tLOC\n"
)


def lines(*rows: object) -> str:
    """Values as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


TEXTS: dict[str, str] = {
    "rows.jsonl": lines(ROW, ROW, {"tokens": ["Bern"], "ner_tags": ["B-LOC"]}),
    "rows.json": json.dumps([ROW, {"tokens": ["Bern"], "ner_tags": ["B-LOC"]}], indent=1),
    "columns.json": json.dumps({"tokens": [WORDS, ["Bern"]], "ner_tags": [TAGS, ["B-LOC"]]}, indent=1),
    "words.conll": _CONLL * 3,
    "words.tsv": _CONLL.replace(" ", "\t") * 3,
    "words.conllu": f"# sent_id = 1\n{_CONLLU}\n" * 2,
    "brackets.conll": _CONLL2012 * 2,
    "layers.tsv": _WEBANNO,
    "words.csv": "sentence_id,word,tag\n" + "".join(map("1,{},{}\n".format, WORDS, TAGS)),
    "lists.csv": f'tokens,ner_tags\n"{WORDS}","{TAGS}"\n' * 1,
    "doccano.jsonl": lines({"text": TEXT, "label": SPANS}, {"text": TEXT, "label": []}),
    "gliner.json": json.dumps([{"tokenized_text": WORDS, "ner": [[0, 0, "PER"], [3, 3, "LOC"]]}], indent=1),
    "spacy.json": json.dumps([[TEXT, {"entities": SPANS}]], indent=1),
    **{
        name: (FILES / name).read_text(encoding="utf-8")
        for name in ("prodigy.jsonl", "label_studio.json", "argilla_flat.jsonl")
    },
}
"""Contents by file name."""


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    result: bytes = sink.getvalue().to_pybytes()
    return result


PARQUET = parquet(pa.table({"tokens": [WORDS] * 3, "ner_tags": [TAGS] * 3}))
