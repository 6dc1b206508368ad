"""Reports of a comparison are valid and reproducible, whichever figures are missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from ner_dist.comparison.compare import compare
from ner_dist.errors import UserError
from ner_dist.report.charts import curves
from ner_dist.report.charts.confusion import matrix
from ner_dist.report.charts.svg import model_color, model_marker
from ner_dist.report.write import write_report
from tests.report import examples

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Check that elements are closed in order; collect the parts that tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.errors: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return examples.comparison(tmp_path_factory.mktemp("compared"), confident=True)


@pytest.fixture(scope="module")
def page(compared, tmp_path_factory):
    return write_report(compared, tmp_path_factory.mktemp("out"))[1].read_text()


def test_elements_are_closed_in_order_and_nothing_is_loaded(page):
    parsed = Page(page)
    assert parsed.errors == [] and parsed.open == []
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert value.startswith("#") or value in ("", "data:,"), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", page)


def test_tables_have_captions_and_scopes(page):
    parsed = Page(page)
    tables, captions = (sum(tag == name for tag, _ in parsed.tags) for name in ("table", "caption"))
    assert tables == captions > 10
    assert all(attributes.get("scope") for tag, attributes in parsed.tags if tag == "th")


def test_every_row_has_as_many_cells_as_its_head(page):
    for table in re.findall(r"<table.*?</table>", page, flags=re.S):
        widths = set()
        for row in re.findall(r"<tr.*?</tr>", table, flags=re.S):
            cells = re.findall(r"<t[hd]([^>]*)>", row)
            widths.add(
                sum(int(span[1]) if (span := re.search(r'colspan="(\d+)"', cell)) else 1 for cell in cells)
            )
        assert len(widths) == 1, table[:200]


def test_every_chart_says_what_it_shows(page):
    charts = re.findall(r"<svg[^>]*role=\"img\".*?</svg>", page, flags=re.S)
    assert len(charts) >= 6
    for svg in charts:
        title, description = re.search(
            r"<title[^>]*>(.+?)</title><desc[^>]*>(.+?)</desc>", svg, flags=re.S
        ).groups()
        assert title and len(description) > 20
        assert "#0" not in re.sub(r'(href|url|id)[="(#]+[^")]+', "", svg), "a colour without a name"
        assert not re.search(r"<(metadata|style|image)|20\d\d-\d\d-\d\d", svg)


def test_the_verdict_and_the_differences_are_on_the_page(page, compared):
    text = " ".join("".join(Page(page).text).split())
    figures = compared.figures
    assert " ".join(figures["verdict"]["paragraph"].split()) in text
    for name, cell in figures["uncertainty"]["differences"][0]["per_type"].items():
        assert name in text
        assert f"{abs(cell['f1']['difference']):.4f}" in text


@pytest.mark.soak
def test_the_same_each_time_in_any_process(compared, tmp_path):
    """The file depends neither on the clock, nor on the hash seed, nor on earlier charts."""
    paths = write_report(compared, tmp_path / "a")
    again = write_report(compared, tmp_path / "b")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    code = (
        "import sys; from pathlib import Path; from tests.report import examples;"
        "from ner_dist.report.write import write_report; folder = Path(sys.argv[1]);"
        "write_report(examples.comparison(folder, number=40), folder)"
    )
    folder = tmp_path / "other"
    texts = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, folder], check=True, env=environment)
        texts.append((folder / "report.html").read_text())
    assert texts[0] == texts[1]


def test_a_failure_leaves_the_old_report(compared, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(compared, tmp_path)
    assert path.read_text() == "old"


def test_nothing_is_written_if_a_page_cannot_be_made(compared, tmp_path, monkeypatch):
    def broken(*words):
        raise UserError("cannot be read", where="metrics.jsonl")

    monkeypatch.setattr("ner_dist.report.write.comparison_page", broken)
    with pytest.raises(UserError):
        write_report(compared, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_method_names_what_the_tables_name(page):
    text = " ".join("".join(Page(page).text).split())
    assert "corrected after Holm" in text and not re.search(r"p_\w", text)
    assert ">p (Holm)</th>" in page and "p (Holm) is corrected after Holm" in text


def test_the_confusion_names_what_is_no_entity(page):
    heads = re.search(r'<table class="heat">.*?</thead>', page, flags=re.S)[0]
    *types, last = re.findall(r'<th scope="col"><span>(.*?)</span>', heads)
    assert set(types) == set(examples.TYPES) and last == "none"


def test_the_colours_of_the_confusion_say_no_more_than_they_know(page):
    assert "Green: the type is right, though the boundaries may be wrong." in page


def test_a_type_that_is_called_o_is_a_type_in_the_confusion(tmp_path):
    gold = ["B-O", "O", "B-O", "B-PER"]
    said = ["B-O", "B-O", "O", "B-O"], ["B-O", "O", "B-O", "B-PER"]
    paths = [
        examples.write(tmp_path / f"{name}.jsonl", [{"gold": gold, "predicted": own}])
        for name, own in zip("ab", said, strict=True)
    ]
    found = matrix(compare(*paths, out=tmp_path, resamples=100), "A")
    assert found.types == ["O", "PER", "none"] == [name for name, _ in found.rows]
    cells = [cell for _, row in found.rows for cell in row if cell.text]
    assert [(cell.title, cell.same_type) for cell in cells] == [
        ("1 of 2 O predicted as O", True),
        ("1 of 2 O not found", False),
        ("1 of 1 PER predicted as O", False),
        ("1 O predicted where no entity is", False),
    ]


def test_markdown_alone(compared, tmp_path):
    assert [path.name for path in write_report(compared, tmp_path, html=False)] == ["report.md"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


class TestMarkdown:
    def test_the_short_form(self, compared, tmp_path):
        text = write_report(compared, tmp_path, html=False)[0].read_text()
        heads = re.findall(r"^#+ (.+)$", text, flags=re.M)
        assert heads == [
            "A (model-0) and B (model-1)",
            "As published: own labels, own sentences",
            "Where the gap comes from",
            "The same ground",
            "Type by type",
            "What in the data flatters",
        ]
        f1 = compared.figures["headline"]["A"]["mean"]["test"]["f1"]
        assert f"| **test F1** | **{f1:.4f}** |" in text

    def test_tables_are_rectangles(self, compared, tmp_path):
        text = write_report(compared, tmp_path, html=False)[0].read_text()
        for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block

    def test_names_are_no_markup(self, tmp_path):
        text = write_report(examples.hostile_comparison(tmp_path), tmp_path, html=False)[0].read_text()
        assert "&lt;i&gt;0" in text
        assert not re.search(r"(?<!\\)<i", text)


class TestWhatMayBeMissing:
    def test_neither_words_nor_ids_nor_probabilities(self, tmp_path):
        compared = examples.comparison(tmp_path, keep=("gold", "predicted"))
        text = write_report(compared, tmp_path)[1].read_text()
        assert "No probabilities are stored" in text
        assert "had seen an entity in training is not known: the predictions hold no words." in text
        assert "How they were trained" not in text
        assert Page(text).errors == []

    def test_three_models(self, tmp_path):
        compared = examples.comparison(tmp_path, models=3)
        text = write_report(compared, tmp_path)[1].read_text()
        for pair in ("B − A", "C − A", "C − B"):
            assert pair in text
        assert text.count('aria-labelledby="waterfall-') == 2
        assert Page(text).errors == []

    def test_differences_of_many_types_are_folded(self, tmp_path):
        types = tuple(f"T{i}" for i in range(7))
        text = write_report(examples.comparison(tmp_path, types=types), tmp_path)[1].read_text()
        verdict = text.split('id="verdict"')[1].split("</section>")[0]
        folded = re.search(
            r"<details>\s*<summary>7 differences by type</summary>.*?</details>", verdict, re.S
        )[0]
        assert folded.count("<li>") == 7
        assert verdict.replace(folded, "").count("<li>") == 1

    def test_seven_models(self, tmp_path):
        """With more models than colours, no two look alike."""
        text = write_report(examples.comparison(tmp_path, models=7, number=30), tmp_path)[1].read_text()
        legend = re.search(r'<ul class="legend".*?</ul>', text, flags=re.S)[0]
        looks = re.findall(r"<li><svg.*?color: (.*?)\">(.*?)</svg>(.*?)</li>", legend, flags=re.S)
        assert looks[6][2] == "G (model-6)"
        assert len({look[:2] for look in looks}) == 7
        assert len({(model_color(i), model_marker(i)) for i in range(7)}) == 7

    @pytest.mark.soak
    def test_charts_of_many_types_and_models_are_told_shortly_and_to_the_end(self, tmp_path):
        types = tuple(f"Type{i:02}" for i in range(40))
        text = write_report(examples.comparison(tmp_path, models=5, types=types, number=60), tmp_path)[
            1
        ].read_text()
        told = dict(re.findall(r'<desc id="([^"]+)-description">(.*?)</desc>', text))
        scores = told["forest-scores"]
        assert re.search(
            r"E: all types 0\.\d+ \(.*?\), by type from 0\.\d+ \(Type\d\d\) to [\d.]+ \(Type\d\d\)$", scores
        )
        assert len(scores) < 800
        listed = re.findall(r"Type\d\d", told["forest-0"])
        assert sorted(listed) == sorted(types), "each type is in one of the groups"
        assert all(not text.endswith("…") for text in told.values())

    def test_one_shared_type(self, tmp_path):
        text = write_report(examples.comparison(tmp_path, types=("PER",)), tmp_path)[1].read_text()
        assert Page(text).errors == []

    def test_a_model_against_itself_has_no_sentence_where_they_differ(self, tmp_path):
        made = examples.sentences(30)
        perfect = [sentence | {"predicted": sentence["gold"]} for sentence in made]
        paths = [examples.write(tmp_path / f"{name}.jsonl", perfect) for name in "ab"]
        text = write_report(compare(*paths, out=tmp_path, resamples=100), tmp_path)[1].read_text()
        assert 'id="explorer"' not in text and 'id="data"' not in text
        assert Page(text).errors == []

    def test_a_type_whose_name_is_markup_or_mathematics(self, tmp_path):
        types = ("$a_1$", "</svg><b>", "a|b", "PER")
        paths = write_report(examples.comparison(tmp_path, types=types), tmp_path)
        text = paths[1].read_text()
        assert Page(text).errors == []
        assert "$a_1$" in text and "</svg><b>" not in text
        assert "a\\|b" in paths[0].read_text()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for model, steps in (("one", 60), ("two", 90)):
        for seed in (1, 2, 3):
            run = examples.run(folder / model / str(seed), seed=seed + 10 * (model == "two"), steps=steps)
            text = run.recipe.read_text().replace("name: tiny", f"name: {model}")
            # Another setting makes another model; the seed alone does not.
            run.results.write_text(run.results.read_text().replace("tiny", model))
            run.recipe.write_text(text.replace("seed:", f"epochs: {2 if model == 'one' else 3}, seed:"))
    paths = [str(path) for path in sorted(folder.glob("*/*"))]
    compared = compare(*paths, out=folder, resamples=200)
    return compared, write_report(compared, folder)


class TestRuns:
    def test_figures_of_several_seeds_have_a_deviation(self, seeds):
        compared, (markdown, html) = seeds
        mean, std = compared.shared.models["A"].f1, compared.shared.std["A"].f1
        for path in (markdown, html):
            assert f"{mean:.4f} ± {std:.4f}" in path.read_text()
            assert "Means ± standard deviations over the runs (3 of A and 3 of B)" in path.read_text()

    def test_reports_say_how_models_were_trained(self, seeds):
        """Data, encoder, date and what differs; the seeds are not a difference."""
        for path in seeds[1]:
            text = re.sub(r"<[^>]+>|\|", " ", path.read_text())
            for row in (
                "data /nowhere/else /nowhere/else",
                "trained 2026-01-01 2026-01-01",
                "train.epochs 2 3",
            ):
                assert row in " ".join(text.split()), row
            assert "train.seed" not in text

    def test_a_note_speaks_of_deviations_only_where_there_are_some(self, seeds):
        text = seeds[1][1].read_text()
        notes = {"Means ±": 0, "Means over": 0, "per run": 0}
        for figure in re.findall(r'<figure class="table.*?</figure>', text, flags=re.S):
            caption = re.search(r"<caption><span>(.*?)</span>", figure)[1]
            assert ("Means ±" in figure) == (" ± 0" in figure), caption
            notes = {note: number + (note in figure) for note, number in notes.items()}
            assert "kinds of errors by type" not in caption or "per run" in figure
        assert notes["Means ±"] == 2 and notes["Means over"] == 1 and notes["per run"] == 3

    def test_confusion_says_of_how_many_runs_it_is(self, seeds, compared, tmp_path):
        assert "gold type by predicted type, summed over 3 runs" in seeds[1][1].read_text()
        assert "summed over" not in write_report(compared, tmp_path)[1].read_text()

    def test_a_curve_of_several_runs_tells_all_of_them(self):
        runs = [[(10, 2.0), (20, 1.0)], [(10, 3.0), (25, 0.5), (30, 0.75)]]
        assert curves.summary(runs) == (
            "2 runs, from 2 to 3 at step 10 to 0.75 to 1 at step 20 to 30, all within 0.5 to 3"
        )

    def test_learning_curves_of_every_run(self, seeds):
        text = seeds[1][1].read_text()
        assert "How they were trained" in text
        curve = re.search(r'<svg[^>]*aria-labelledby="curve-validation-f1.*?</svg>', text, flags=re.S)[0]
        lines = re.findall(r"fill: none; stroke: var\(--model-(\d)\)", curve)
        assert sorted(lines) == ["0"] * 3 + ["1"] * 3
        assert "A: 3 runs, from 0.52 at step 20 to 0.56 at step 60, all within 0.52 to 0.56" in curve

    def test_the_explorer_has_every_model(self, seeds):
        data = re.search(
            r'<script type="application/json" id="data">(.*?)</script>', seeds[1][1].read_text(), flags=re.S
        )
        found = json.loads(data[1])
        assert found["models"] == ["A (one)", "B (two)"]
        assert all(len(sentence["predicted"]) == 2 for sentence in found["sentences"])
