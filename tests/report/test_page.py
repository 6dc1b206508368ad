"""report.html in Chromium: the explorer, the layout, colours, and hostile words."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise, product

import pytest

from ner_dist.comparison.compare import compare
from ner_dist.comparison.disagreements import Disagreement, disagreements
from ner_dist.outside import shown
from ner_dist.report.error_tables import KINDS
from ner_dist.report.write import write_run_report
from tests.browser import opening
from tests.report import examples
from tests.report.examples import write_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return examples.comparison(tmp_path_factory.mktemp("compared"), confident=True)


@pytest.fixture(scope="module")
def report(compared, tmp_path_factory):
    return write_report(compared, tmp_path_factory.mktemp("report"))[1]


@pytest.fixture(scope="module")
def run_report(tmp_path_factory):
    return write_run_report(examples.run(tmp_path_factory.mktemp("run") / "run"))[0]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """5,000 sentences with errors, 33 types."""
    folder = tmp_path_factory.mktemp("large")
    types = tuple(f"AerospaceManufacturer{i:02}" for i in range(33))
    return write_report(examples.comparison(folder, number=7500, types=types), folder)[1]


def number_found(page) -> int:
    return int(page.inner_text("#found").split(" of ")[0].replace(",", ""))


def sound(opened) -> None:
    assert opened.complaints == []
    assert opened.requests == []


class TestExplorer:
    def test_any_filters_together_find_what_python_counts(self, opened, compared, report):
        found = opened(report)
        page = found.page
        sentences = disagreements(compared.aligned)
        everything = number_found(page)
        assert everything == len(sentences)
        several = 0
        for kind, type_name, model, differ in product(
            [None, *KINDS], [None, *examples.TYPES], [None, "A", "B"], [False, True]
        ):
            wanted = {
                "kind": KINDS.get(kind),
                "type": type_name,
                "model": model and f"{model} (model-{'AB'.index(model)})",
            }
            page.evaluate("wanted => checks.choose(wanted)", wanted | {"disagree": differ})
            expected = sum(
                (each.models_differ or not differ)
                and any(
                    kind in (None, error.kind) and type_name in (None, error.entity.type)
                    for name, errors in each.errors.items()
                    if model in (None, name)
                    for error in errors
                )
                for each in sentences
            )
            assert number_found(page) == expected, wanted
            several += kind is not None and type_name is not None and 0 < expected < everything
        assert several > 20
        sound(found)

    def test_what_one_model_errs_in_is_not_what_another_is_asked_for(self, opened, tmp_path):
        """Kind, type and model are those of one error, not of several in one sentence."""
        gold = ["B-PER O B-LOC", "B-ORG O"]
        said = ["O O B-LOC", "B-ORG O"], ["B-PER O B-ORG", "B-ORG O"]
        page = opened(report_on(tmp_path, gold, *said)).page
        assert number_found(page) == 1
        for wanted, number in (
            ({"kind": "missed", "type": "LOC"}, 0),
            ({"kind": "missed", "type": "PER"}, 1),
            ({"kind": "wrong type", "type": "LOC"}, 1),
            ({"kind": "wrong type", "type": "ORG"}, 1),
            ({"type": "PER", "model": "B (1)"}, 0),
        ):
            page.evaluate("wanted => checks.choose(wanted)", wanted)
            assert number_found(page) == number, wanted

    def test_option_counts_are_what_the_filter_finds(self, opened, report):
        page = opened(report).page
        for text in texts(page, "#kind")[1:]:
            page.select_option("#kind", label=text)
            assert number_found(page) == int(text.rsplit("(", 1)[1].rstrip(")").replace(",", ""))

    def test_search_finds_words_and_says_so_if_there_are_none(self, opened, report):
        found = opened(report)
        page = found.page
        word = page.inner_text("article >> nth=2 >> .text >> nth=0").split()[0]
        page.fill("#search", word.upper())
        assert number_found(page) >= 1
        assert word in page.inner_text("article >> nth=0")
        page.fill("#search", "no such words")
        assert number_found(page) == 0
        assert page.locator("article").count() == 0
        assert page.inner_text("#list").startswith("No sentence has all of this.")
        page.fill("#search", "")
        assert not page.is_visible("#none")
        sound(found)

    def test_keyboard(self, opened, report):
        found = opened(report)
        page = found.page
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        page.keyboard.type("w1")
        some = number_found(page)
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.id") == "list"
        at = []
        for key in ("j", "j", "ArrowDown", "k", "ArrowUp", "k", "k"):
            page.keyboard.press(key)
            at.append(int(page.evaluate("document.activeElement.getAttribute('aria-posinset')")))
        assert at == [1, 2, 3, 2, 1, 1, 1]
        assert page.input_value("#search") == "w1", "letters moved in the list, not into the search"
        for _ in range(some + 3):
            page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('aria-posinset')") == str(some)
        assert page.evaluate("checks.focusInView()"), "the chosen sentence is in view"
        sound(found)

    def test_arrows_are_the_lists_only_where_it_has_the_focus(self, opened, report):
        page = opened(report).page
        page.evaluate("list.scrollIntoView({ block: 'center', behavior: 'instant' })")
        before = page.evaluate("scrollY")
        page.keyboard.press("ArrowDown")
        page.wait_for_function("before => scrollY > before", arg=before, timeout=5000)
        assert page.locator("article.current").count() == 0
        page.evaluate("checks.atRest()")
        page.keyboard.press("j")
        assert page.locator("article.current").count() == 1
        before = page.evaluate("checks.atRest()")
        page.keyboard.press("ArrowDown")
        assert page.get_attribute("article.current", "aria-posinset") == "2"
        assert page.evaluate("checks.atRest()") == before, "the page stays where it is"

    def test_who_scrolled_away_goes_on_from_there(self, opened, large):
        page = opened(large).page
        page.evaluate("list.scrollIntoView({ block: 'center', behavior: 'instant' })")
        at = "document.activeElement.querySelector('h3')?.textContent"
        for _ in range(3):
            page.keyboard.press("j")
        third = page.evaluate(at)
        page.evaluate("list.scrollTop -= 5")
        page.keyboard.press("k")
        page.keyboard.press("j")
        assert page.evaluate(at) == third, "it is still in view"
        for top, key in ((90_000, "j"), (40_000, "k"), (80_000, "ArrowDown"), (0, "j")):
            page.evaluate("top => (list.scrollTop = top)", top)
            page.wait_for_function("checks.listIsFull()", timeout=5000)
            first = page.evaluate("checks.atTop()")
            page.keyboard.press(key)
            assert page.evaluate(at) == first, (top, key)
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('aria-posinset')") == "2"

    def test_a_checkbox_that_has_the_focus_takes_no_letters(self, opened, report):
        page = opened(report).page
        page.evaluate("list.scrollIntoView({ block: 'center', behavior: 'instant' })")
        for key, then in (("/", ["search", "INPUT"]), ("j", ["", "ARTICLE"])):
            page.focus("#disagree")
            page.evaluate("checks.atRest()")
            page.keyboard.press(key)
            found = page.evaluate("[document.activeElement.id, document.activeElement.tagName]")
            assert found == then, key
        page.focus("#kind")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.id") == "kind", "letters choose in a menu"

    def test_the_sentence_at_the_top_stays_there_when_the_width_changes(self, opened, large):
        page = opened(large, width=1400).page
        page.evaluate("list.scrollTop = 90000")
        page.wait_for_function("checks.listIsFull()")
        first = page.evaluate("checks.atTop()")
        for width in (700, 380, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(200)
            assert page.evaluate("checks.atTop()") == first, width
            assert page.evaluate("checks.listIsFull()")

    def test_a_list_that_grows_in_height_is_filled(self, opened, large):
        page = opened(large).page
        page.evaluate("list.style.height = '3000px'")
        page.wait_for_function("checks.listIsFull()", timeout=5000)

    def test_only_what_is_in_view_is_in_the_page(self, opened, large):
        found = opened(large)
        page = found.page
        assert number_found(page) > 4500
        for share in (0.5, 1.0, 0.25):
            page.evaluate(f"list.scrollTop = list.scrollHeight * {share}")
            page.wait_for_function("checks.listIsFull()", timeout=5000)
            assert page.locator("article").count() < 40
        sound(found)

    def test_rows_do_not_overlap(self, opened, large):
        page = opened(large, width=380).page
        page.evaluate("list.scrollTop = 100000")
        page.wait_for_timeout(200)
        gaps = page.evaluate("checks.gapsInList()")
        assert gaps and max(gaps) < 1

    def test_thousands_are_filtered_at_once(self, opened, large):
        page = opened(large).page
        taken = page.evaluate("checks.searchTimes(['w1', 'w12', 'w', 'nothing of it', ''])")
        # A tenth of a second is felt as at once; a busy machine of two cores gets five times that.
        assert max(taken) < 500

    def test_a_single_run_has_neither_models_nor_differences_to_filter_by(self, opened, run_report):
        found = opened(run_report)
        assert not found.page.is_visible("#model")
        assert not found.page.is_visible("#disagree")
        assert number_found(found.page) > 0
        sound(found)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return write_report(examples.hostile_comparison(folder), folder)[1]


class TestWords:
    def test_search_finds_a_word_however_it_is_written(self, opened, tmp_path):
        typed = {
            "Zu\u0308rich": "z\u00fcrich",
            "Z\u00fcrs": "ZU\u0308RS",
            "STRASSE": "stra\u00dfe",
            "\u039f\u0394\u039f\u03a3": "\u03bf\u03b4\u03bf\u03c3",
            "New\u00a0York": "new  york",
        }
        first = 2**53  # numbers beyond which JavaScript has no whole ones of its own
        lines = [
            {"id": first + i, "tokens": [own, "is"], "gold": ["B-LOC", "O"], "predicted": ["O", "O"]}
            for i, own in enumerate(["other", *typed])
        ]
        paths = [examples.write(tmp_path / f"{name}.jsonl", lines) for name in "ab"]
        page = opened(write_report(compare(*paths, out=tmp_path, resamples=100), tmp_path)[1]).page
        for i, sought in enumerate(typed.values(), start=1):
            page.fill("#search", f" {sought} ")
            assert number_found(page) == 1, sought
            assert f"sentence {first + i}" in page.inner_text("article h3")

    def test_hostile_words_are_text(self, opened, hostile):
        found = opened(hostile)
        page = found.page
        for word in examples.HOSTILE:
            page.fill("#search", shown(word))
            page.wait_for_timeout(30)
            if word.strip():
                assert number_found(page) == 1, word[:40]
                assert shown(word) in page.evaluate("document.querySelector('article').textContent")
            assert page.evaluate("checks.overflow()") == 0
        assert page.locator("article script, article img, article i, article b").count() == 0
        page.fill("#search", "<b>id</b>")
        assert "<b>id</b>" in page.inner_text("article h3")
        sound(found)

    def test_right_to_left_sentences_are_laid_out_so(self, opened, hostile):
        page = opened(hostile).page
        page.fill("#search", "שלום")
        directions = page.eval_on_selector_all(
            "article .text", "all => all.map((e) => getComputedStyle(e).direction)"
        )
        assert set(directions) == {"rtl"}

    def test_words_by_their_number_where_there_are_none(self, opened, tmp_path):
        compared = examples.comparison(tmp_path, keep=("gold", "predicted"))
        found = opened(write_report(compared, tmp_path)[1])
        assert "they stand by their number" in found.page.inner_text("#sentences > p")
        assert found.page.inner_text("article .text >> nth=0").startswith("1")
        sound(found)

    def test_marks_say_what_python_counts(self, opened, compared, report):
        marks = opened(report).page.evaluate("checks.marks()")
        sentences = {str(each.id): each for each in disagreements(compared.aligned)}
        assert marks.keys() == sentences.keys()
        for name, lines in marks.items():
            assert len(lines) == 3 and lines[0] == sorted(entity.type for entity in sentences[name].gold)
            for line, model in zip(lines[1:], "AB", strict=True):
                assert line == labels(sentences[name], model)

    def test_what_was_missed_is_seen_though_a_prediction_covers_it(self, opened, tmp_path):
        gold = ["B-PER I-PER B-LOC O", "B-PER B-LOC I-LOC B-ORG"]
        said = ["B-PER I-PER I-PER O", "B-PER I-PER I-PER I-PER"]
        page = opened(report_on(tmp_path, gold, said, gold)).page
        first, second = (lines for _, lines in sorted(page.evaluate("checks.marks()").items()))
        assert first == [["LOC", "PER"], ["LOC · missed", "PER · wrong boundary"], ["LOC", "PER"]]
        assert second[1] == ["LOC · missed", "ORG · missed", "PER · wrong boundary"]
        assert page.inner_text(".also mark >> nth=0") == "w02LOC · missed"


def labels(sentence: Disagreement, model: str) -> list[str]:
    """The marks of a model's line: every predicted entity, and every missed one."""
    kinds = {error.entity: KINDS[error.kind] for error in sentence.errors[model]}
    marks = [
        " · ".join([entity.type, *([kinds[entity]] if entity in kinds else [])])
        for entity in sentence.predicted[model]
    ]
    missed = (error.entity.type for error in sentence.errors[model] if error.kind == "missed")
    return sorted([*marks, *(f"{name} · missed" for name in missed)])


def report_on(folder, gold: list[str], *models: list[str]):
    """The page of sentences given as tags; their words are w00, w01, ..."""
    paths = []
    for name, said in enumerate(models):
        lines = [
            {
                "id": i,
                "tokens": [f"w{i}{k}" for k in range(len(tags.split()))],
                "gold": tags.split(),
                "predicted": own.split(),
            }
            for i, (tags, own) in enumerate(zip(gold, said, strict=True))
        ]
        paths.append(examples.write(folder / f"{name}.jsonl", lines))
    return write_report(compare(*paths, out=folder, resamples=100), folder)[1]


PAGES = {"report": [320, 380, 768, 1400], "run_report": [380, 1400], "large": [380]}
EVERY = list(product(PAGES, [320, 380, 768, 1400]))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each, marks=[] if each[1] in PAGES[each[0]] else pytest.mark.soak) for each in EVERY
    ],
    ids=[f"{kind}-{width}" for kind, width in EVERY],
)
def laid_out(request, chromium):
    """A page at a width, opened once for all tests of the layout, and the width."""
    kind, width = request.param
    with opening(chromium) as open_page:
        yield open_page(request.getfixturevalue(kind), width=width), width


class TestLayout:
    def test_nothing_is_wider_than_the_screen(self, laid_out):
        found, _ = laid_out
        assert found.page.evaluate("checks.overflow()") == 0

    def test_contrast(self, laid_out):
        page = laid_out[0].page
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("checks.contrast()") == [], scheme

    def test_headings_are_in_order_and_everything_has_a_name(self, laid_out):
        page = laid_out[0].page
        levels = page.evaluate("checks.headings()")
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert nameless(page) == []
        assert page.evaluate("checks.doubleIds()") == []

    def test_charts_are_whole_and_can_be_read(self, laid_out):
        page, width = laid_out[0].page, laid_out[1]
        assert page.locator(".chart-box svg").count() > 3
        assert width < 380 or page.evaluate("checks.poorCharts(9)") == []

    def test_no_row_of_a_table_is_higher_than_the_screen(self, laid_out):
        page, width = laid_out[0].page, laid_out[1]
        heights = "[...document.querySelectorAll('tr')].map(row => row.getBoundingClientRect().height)"
        assert width < 380 or max(page.evaluate(heights)) < 500

    def test_sections_lead_somewhere(self, laid_out):
        assert laid_out[0].page.evaluate("checks.lostLinks()") == []

    def test_focus_is_seen(self, laid_out):
        page = laid_out[0].page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        stops = 0
        while stops < 14 and page.evaluate("document.activeElement !== document.body"):
            stops += 1
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 100)")
            page.keyboard.press("Tab")
        assert stops > 8

    def test_none_of_this_makes_it_complain_or_ask_for_anything(self, laid_out):
        sound(laid_out[0])


class TestChecks:
    """The checks of the layout find faults that are planted."""

    def test_poor_contrast_is_found(self, opened, report):
        page = opened(report).page
        change = "style => document.querySelector('details p, details h3, details td').style = style"
        for style in ("color: #999", "color: white", "background: #0008; color: #555", "background: #333"):
            page.evaluate(change, style)
            assert len(page.evaluate("checks.contrast()")) == 1, style

    @pytest.mark.parametrize(
        "made",
        [
            "document.querySelector('label:has(#kind)').replaceWith(document.querySelector('#kind'))",
            "svg = document.querySelector('svg[role=img]'); svg.removeAttribute('aria-labelledby');"
            "svg.querySelector('title').remove()",
            "document.querySelector('.contents').removeAttribute('aria-label')",
            "document.querySelector('caption').remove()",
            "document.querySelector('.contents a').textContent = ''",
        ],
    )
    def test_what_has_no_name_is_found(self, opened, report, made):
        page = opened(report).page
        page.evaluate(made)
        assert len(nameless(page)) == 1


class TestTablesThatScroll:
    def test_they_alone_are_stops_with_a_name(self, opened, report):
        page = opened(report, width=380).page
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        for width in (380, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            boxes = page.evaluate("checks.boxes()")
            assert any(box["scrolls"] for box in boxes) == (width == 380)
            for box in boxes:
                stop = (0, "region", box["caption"]) if box["scrolls"] else (-1, None, None)
                assert (box["tab"], box["role"], box["name"]) == stop

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_their_edge_shows_that_they_go_on(self, opened, report, scheme):
        page = opened(report, width=380, scheme=scheme).page
        box = page.locator("#types .scroll").last
        box.scroll_into_view_if_needed()

        def edge() -> bytes:
            """A strip at the right edge, where the caption's row has no text."""
            place = box.bounding_box()
            strip = {"x": place["x"] + place["width"] - 12, "y": place["y"] + 12, "width": 8, "height": 2}
            return page.screenshot(clip=strip)

        begin = edge()
        box.evaluate("box => (box.scrollLeft = box.scrollWidth)")
        end = edge()
        box.evaluate("box => (box.style.background = 'var(--surface)')")
        assert edge() == end != begin

    def test_long_names_of_models_do_not_make_a_table_wide(self, opened, tmp_path):
        compared = examples.comparison(tmp_path, number=30)
        long = {model: replace(run, name="a-name-that-goes-on-" * 8) for model, run in compared.runs.items()}
        page = opened(write_report(replace(compared, runs=long), tmp_path)[1]).page
        assert [box["caption"] for box in page.evaluate("checks.boxes()") if box["scrolls"]] == []


class TestPrint:
    def printed(self, opened, path):
        page = opened(path, scheme="dark", width=680).page  # A4 between its margins
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        return page

    def test_all_that_passes_the_filters_is_there_and_light(self, opened, report):
        page = self.printed(opened, report)
        number = number_found(page)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("article").count() == number > 50
        assert page.inner_text("#found") == f"{number} of {number} sentences"
        assert not page.inner_text("#printed")
        boxes = page.evaluate("checks.gapsInList()")
        assert max(boxes) < 1, "one below the other"
        assert page.evaluate("checks.overflow()") == 0
        assert page.evaluate("checks.contrast()") == []

    def test_of_very_many_it_says_how_many(self, opened, large):
        page = self.printed(opened, large)
        assert page.locator("article").count() == 500
        assert page.inner_text("#printed") == "The first 500 are printed."

    @pytest.mark.parametrize("unfolded", [False, True])
    def test_what_is_folded_away_is_unfolded_and_folded_again(self, opened, report, unfolded):
        page = opened(report).page
        page.evaluate("unfolded => { document.querySelector('details').open = unfolded }", unfolded)
        for event, expected, articles in (("before", True, (51, 999)), ("after", unfolded, (1, 40))):
            page.evaluate("event => dispatchEvent(new Event(event))", f"{event}print")
            assert page.evaluate("document.querySelector('details').open") == expected
            assert articles[0] <= page.locator("article").count() <= articles[1]

    def test_a_real_printer_is_told_before_it_begins(self, opened, report):
        page = opened(report).page
        page.evaluate(
            "addEventListener('beforeprint', () => { seen = document.querySelectorAll('article').length })"
        )
        page.pdf()
        assert page.evaluate("seen") == number_found(page)


def test_opening_thousands_takes_no_time(opened, large):
    began = time.perf_counter()
    opened(large).page.wait_for_selector("article")
    assert time.perf_counter() - began < 10


_NAMED = {
    *("image", "region", "feed", "article", "table", "navigation", "form", "link", "button"),
    *("searchbox", "textbox", "combobox", "checkbox", "heading", "DisclosureTriangle"),
}


def nameless(page) -> list[str]:
    """Roles of what a screen reader meets without a name, or with one that another of its role has, too."""
    client = page.context.new_cdp_session(page)
    nodes = [each for each in client.send("Accessibility.getFullAXTree")["nodes"] if not each["ignored"]]
    named = [(each["role"]["value"], each.get("name", {}).get("value", "").strip()) for each in nodes]
    assert {"image", "table", "navigation", "link", "feed"} <= {role for role, _ in named}
    poor = [role for role, name in named if role in _NAMED and not name]
    own = [each for each in named if each[0] in ("image", "region", "table")]
    return poor + [f"{role} {name}" for role, name in set(own) if name and own.count((role, name)) > 1]


def texts(page, selector: str) -> list[str]:
    return page.eval_on_selector_all(f"{selector} option", "all => all.map((e) => e.textContent)")
