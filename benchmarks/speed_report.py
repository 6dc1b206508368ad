"""The figures of `throughput.py`: what they mean, and the tables that show them.

Training, over the rounds: steps and sentences a step; words/s of text, median, with the lowest and highest;
how many times as fast ner_dist was in the same round and precision, median; subwords/s, padding left out;
padding, the share of what the encoder computed that is not text; utilisation, the floating-point operations
that the text needs (3 times those of a forward pass, in matrix products and attention) a second, in relation
to a bare matrix product in the same precision, the fastest of the rounds; peak memory, on a GPU what PyTorch
held, else what the process had resident. Cores are the processor seconds a second of the run that had least:
fewer than in other rows mean that something else ran, or that the contestant computes in one thread.

Evaluation: words/s of the test sample, scores included, and the same ratio. F1 (lenient, seqeval's default)
only shows that the model had learnt something: after so few steps, in other orders and on other schedules, it
says nothing about quality.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from contestants import CONTESTANTS, OURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inputs import Inputs

Row = dict[str, Any]


def summarise(runs: list[Row], inputs: Inputs) -> dict[str, Any]:
    """Every figure of every run, and of these `training` and `evaluation`: a row a contestant and precision.

    Args:
        runs: what `throughput.py` measured.
        inputs: what they trained on and scored.
    """
    precisions = dict.fromkeys(run["precision"] for run in runs)
    # What disturbs the machine makes the product slower, never faster.
    peak = {
        precision: max(run["matrix_flops"] for run in runs if run["precision"] == precision)
        for precision in precisions
    }
    runs = [
        run if "failed" in run else run | _rates(run, inputs, peak=peak[run["precision"]]) for run in runs
    ]
    groups = [
        [run for run in runs if (run["precision"], run["name"]) == (precision, name)]
        for precision in precisions
        for name in CONTESTANTS
    ]
    ours = {(run["precision"], run["round"]): run for run in runs if run["name"] == OURS}
    words = int(inputs.samples["test"].words.sum())
    return {
        "training": [_training(group, ours) for group in groups if group],
        "evaluation": [row for group in groups if group for row in _evaluations(group, ours, words=words)],
        "matrix_product": peak,
        "test_sentences": len(inputs.samples["test"].words),
        "left_out": inputs.left_out,
        "versions": {run["name"]: run["versions"] for run in runs if "versions" in run},
        "runs": runs,
    }


def _rates(run: Row, inputs: Inputs, *, peak: float) -> Row:
    sentences, seconds = run["sentences"], run["seconds"]
    sample = inputs.samples["train"]
    words, subwords = (int(counts[:sentences].sum()) for counts in (sample.words, sample.subwords))
    return {
        "sentences_a_step": sentences / run["steps"],
        "words_per_second": words / seconds,
        "subwords_per_second": subwords / seconds,
        "padding_share": 1 - subwords / run["cells"],
        "utilisation": 3 * inputs.flops("train", sentences=sentences) / seconds / peak,
        "cores": run["processor_seconds"] / seconds,
    }


_FIGURES = (
    "steps",
    "sentences_a_step",
    "words_per_second",
    "subwords_per_second",
    "padding_share",
    "utilisation",
    "memory",
)


def _training(group: list[Row], ours: dict[tuple[str, int], Row]) -> Row:
    """Medians over the rounds of one contestant in one precision."""
    done = [run for run in group if "failed" not in run]
    row = {key: group[0][key] for key in ("name", "title", "precision")} | {"rounds": len(done)}
    if not done:
        return row | {"failed": group[0]["failed"]}
    speeds = [run["words_per_second"] for run in done]
    pairs = [(ours[run["precision"], run["round"]].get("words_per_second"), run) for run in done]
    return (
        row
        | {figure: statistics.median(run[figure] for run in done) for figure in _FIGURES}
        | {"words_per_second_range": [min(speeds), max(speeds)]}
        | {"cores": min(run["cores"] for run in done)}
        | {"ours_is_faster": _median(own / run["words_per_second"] for own, run in pairs if own)}
    )


def _evaluations(group: list[Row], ours: dict[tuple[str, int], Row], *, words: int) -> list[Row]:
    """A row for each way in which a contestant scored; compared with our scoring while training."""
    done = [run for run in group if run.get("evaluations")]
    rows = []
    for way in range(len(done[0]["evaluations"]) if done else 0):
        mine = [run["evaluations"][way] for run in done]
        own = [ours[run["precision"], run["round"]].get("evaluations") for run in done]
        speeds = [words / each["seconds"] for each in mine]
        rows.append(
            {key: done[0][key] for key in ("name", "title", "precision")}
            | {
                "how": mine[0]["how"],
                "words_per_second": statistics.median(speeds),
                "words_per_second_range": [min(speeds), max(speeds)],
                "ours_is_faster": _median(
                    each["seconds"] / ref[0]["seconds"] for each, ref in zip(mine, own, strict=True) if ref
                ),
                "f1": statistics.median(each["f1"] for each in mine),
            }
        )
    return rows


def _median(values: Iterable[float]) -> float | None:
    """None if ours did not run."""
    found = list(values)
    return statistics.median(found) if found else None


def tables(report: dict[str, Any]) -> list[str]:
    """Lines of Markdown."""
    lines = [
        "| training | precision | rounds | steps | sentences a step | words/s | lowest–highest "
        "| ner_dist is faster | subwords/s | padding | utilisation | memory | cores |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["training"]:
        start = f"| {row['title']} | {row['precision']} | {row['rounds']} |"
        if "failed" in row:
            lines.append(f"{start} did not run: {row['failed']} |||||||||")
            continue
        lines.append(
            f"{start} {row['steps']:.0f} | {row['sentences_a_step']:.1f} | {_speed(row)} "
            f"| {row['subwords_per_second']:,.0f} | {row['padding_share']:.1%} | {row['utilisation']:.0%} "
            f"| {row['memory'] / 2**20:,.0f} MiB | {row['cores']:.2f} |"
        )
    lines += [
        "",
        f"| evaluation of {report['test_sentences']} sentences | precision | how | words/s | lowest–highest "
        "| ner_dist is faster | lenient F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['title']} | {row['precision']} | {row['how']} | {_speed(row)} | {row['f1']:.4f} |"
        for row in report["evaluation"]
    ]
    rates = [f"{precision} {rate / 1e9:,.0f} GFLOP/s" for precision, rate in report["matrix_product"].items()]
    lines += ["", f"Matrix product: {', '.join(rates)}. Longer sentences left out: {report['left_out']}."]
    for name, versions in report["versions"].items():
        shown = ", ".join(f"{package} {number}" for package, number in versions.items())
        lines.append(f"{CONTESTANTS[name].title}: {shown}.")
    return lines


def _speed(row: Row) -> str:
    low, high = row["words_per_second_range"]
    faster = row["ours_is_faster"]
    ratio = "" if faster is None else f"{faster:.2f} ×"
    return f"{row['words_per_second']:,.0f} | {low:,.0f}–{high:,.0f} | {ratio}"
