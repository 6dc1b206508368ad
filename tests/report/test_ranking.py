"""More than three models are ranked: ties are said once, and single pairs are folded."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from ner_dist.comparison.compare import compare
from ner_dist.report.ranking import ranking, tied
from ner_dist.report.terminal import print_tables
from tests.report import examples
from tests.report.examples import write_report


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """C and A are good, D and B are poor; of each two, no difference is to be seen."""
    folder = tmp_path_factory.mktemp("four")
    made = examples.sentences(150)
    errors = {"A": 0.05, "B": 0.25, "C": 0.05, "D": 0.25}
    paths = [
        examples.write(folder / f"{name}.jsonl", examples.tagged(made, errors=share, seed=seed))
        for seed, (name, share) in enumerate(errors.items())
    ]
    return compare(*paths, out=folder, resamples=1000)


@pytest.fixture(scope="module")
def written(compared, tmp_path_factory):
    return [path.read_text() for path in write_report(compared, tmp_path_factory.mktemp("out"))]


def test_models_are_in_the_order_of_ranks_and_f1(compared):
    table = ranking(compared, named=False)
    f1 = {model: scores.f1 for model, scores in compared.shared.models.items()}
    assert [row[0] for row in table.rows] == ["1", "1", "3", "3"]
    order = [row[1] for row in table.rows]
    assert order == sorted(f1, key=lambda model: -f1[model]) and {*order[:2]} == {"A", "C"}
    best = order[0]
    assert f"difference to {best}" in table.columns and table.rows[0][4:] == ["–"] * 3
    for model, row in zip(order[1:], table.rows[1:], strict=True):
        assert row[4] == f"{f1[model] - f1[best]:+.4f}".replace("-", "−")
        low, high = (float(bound.replace("−", "-")) for bound in row[5].split(" to "))
        assert low < f1[model] - f1[best] < high, "the interval has the sign of its difference"


def test_ties_are_said_once(compared):
    groups = tied(compared)
    assert sorted(map(sorted, groups)) == [["A", "C"], ["B", "D"]]
    not_shown = {
        frozenset({pair.of, pair.to})
        for pair in compared.uncertainty.differences
        if not pair.figures.micro.f1.significant
    }
    assert {frozenset(two) for group in groups for two in combinations(group, 2)} == not_shown
    assert ranking(compared).note.count("No difference of F1 is shown between ") == 1


def test_short_reports_have_the_lines_of_overall_f1_that_are_shown(compared, written, capsys):
    print_tables(compared)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("- ")]
    bullets = re.findall(r"^- .*", written[0], flags=re.M)
    assert len(bullets) == len(printed) == 4
    assert all("is better than" in line and "on all types together" in line for line in bullets)
    assert written[0].count("The models by F1 on the same 150 sentences") == 1


def test_the_page_folds_all_pairs(compared, written):
    page = written[1]
    verdict = page.split('id="verdict"')[1].split("</section>")[0]
    folded = re.search(r"<details>.*?</details>", verdict, flags=re.S)[0]
    assert folded.count("<li>") == len(compared.verdict.lines) == 6 * 5
    assert "<li>" not in verdict.replace(folded, "")
    assert "The models by F1 on the same 150 sentences" in verdict


def test_three_models_have_no_ranks(tmp_path):
    three = examples.comparison(tmp_path, models=3, number=30)
    assert ranking(three) is None
    verdict = write_report(three, tmp_path)[1].read_text().split('id="verdict"')[1].split("</section>")[0]
    folded = re.search(r"<details>.*?</details>", verdict, flags=re.S)[0]
    assert folded.count("<li>") == 12 and "all types together" not in folded
    assert verdict.replace(folded, "").count("on all types together") == 3
