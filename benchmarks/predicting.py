"""Words per second of `Tagger.spans` beside transformers' `pipeline`, on the same texts and weights.

    python benchmarks/predicting.py RUN DATA.jsonl [--sentences 1000] [--rounds 3] [--precision fp32]

DATA has `tokens` on every line, which are joined to texts of one sentence each, in the order of the file. The
pipeline is given the texts one by one, as its documentation begins, in batches of 32, and in batches of texts
of like length. Contestants take turns, each in a process of its own with all cores. What is timed is tagging
alone, after a warm-up of 20 texts. Words are those of DATA. The weights of GLiNER, SpanMarker and spaCy's
transformers come from hubs, which this benchmark does without.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

CONTESTANTS = ("ner_dist", "pipeline, one by one", "pipeline, batches of 32", "pipeline, sorted by length")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(_measured(asked)))
        return
    rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    found: dict[str, int] = {}
    for _ in range(asked.rounds):
        for name in CONTESTANTS:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", name]
            answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rates[name].append(answer["words_per_second"])
            found[name] = answer["entities"]
    print(f"{asked.sentences:,} sentences, {asked.precision}, medians of {asked.rounds} rounds in turn\n")
    print("| | words/s | of ner_dist's | entities |\n|---|---|---|---|")
    ours = statistics.median(rates["ner_dist"])
    for name, each in rates.items():
        median = statistics.median(each)
        spread = f"{min(each):,.0f} to {max(each):,.0f}"
        print(f"| {name} | {median:,.0f} ({spread}) | {median / ours:.2f} | {found[name]:,} |")


def _measured(asked: argparse.Namespace) -> dict[str, float]:
    with asked.data.open(encoding="utf-8") as file:
        tokens = [json.loads(line)["tokens"] for line, _ in zip(file, range(asked.sentences), strict=False)]
    texts = [" ".join(words) for words in tokens]
    tag = _ner_dist(asked) if asked.child == "ner_dist" else _pipeline(asked, asked.child)
    tag(texts[:20])
    began = time.perf_counter()
    entities = tag(texts)
    return {"words_per_second": sum(map(len, tokens)) / (time.perf_counter() - began), "entities": entities}


def _ner_dist(asked: argparse.Namespace):
    import ner_dist
    from ner_dist.runtime.cpu_kernels import speed_up

    tagger = ner_dist.load_tagger(asked.run, precision=asked.precision, device="cpu")
    # As `ner-dist predict` does.
    speed_up(fp32=asked.precision == "fp32")
    return lambda texts: sum(map(len, tagger.spans(texts)))


def _pipeline(asked: argparse.Namespace, name: str):
    import torch
    from transformers import pipeline

    dtype = torch.bfloat16 if asked.precision == "bf16" else torch.float32
    model = str(asked.run / "model")
    pipe = pipeline(
        "token-classification", model=model, aggregation_strategy="simple", dtype=dtype, device="cpu"
    )
    size = 1 if "one by one" in name else 32

    def tag(texts: list[str]) -> int:
        ordered = sorted(texts, key=len) if "sorted" in name else texts
        return sum(map(len, pipe(ordered, batch_size=size)))

    return tag


if __name__ == "__main__":
    main()
