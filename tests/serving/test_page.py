"""The page in Chromium: what people type, and what they see."""

from __future__ import annotations

import re
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tests.browser import CHECKS

pytestmark = pytest.mark.browser

TEXT = "Anna Berg visits York.\nAda Hill <script>alert(1)</script> left Łódź 👩‍👩‍👧 for Leeds & York."


@pytest.fixture(scope="module")
def address(running):
    with running(number=2) as address:
        yield address


@contextmanager
def page_at(chromium, address, *, width: int = 1400, scheme: str = "light"):
    """A page with its complaints and with its requests to other servers."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on(
        "request",
        lambda each: None if each.url.startswith((address, "data:,")) else complaints.append(each.url),
    )
    page.goto(address)
    yield SimpleNamespace(page=page, complaints=complaints)
    context.close()


@pytest.fixture
def opened(chromium, address):
    with page_at(chromium, address) as found:
        yield found.page
        assert found.complaints == []


def tag(page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Control+Enter")
    page.locator("#status", has_text=re.compile(r"in \d")).wait_for()


def marked(page, model: str) -> list[tuple[str, str]]:
    """Text and type of each entity that the panel of a model shows."""
    return [
        tuple(each)
        for each in page.eval_on_selector_all(
            f"#panel-{model} mark",
            "all => all.map((each) => [each.firstChild.data, each.lastChild.textContent])",
        )
    ]


def shown_text(page, model: str) -> str:
    return page.eval_on_selector(
        f"#panel-{model} .tagged",
        "box => [...box.querySelectorAll(':scope > div')].flatMap((each) => [...each.childNodes])"
        ".map((each) => (each.firstChild ?? each).data).join('')",
    )


def test_both_models_show_their_entities_in_the_whole_text(opened, models):
    tag(opened, TEXT)
    found = [served.tagger.spans([TEXT])[0] for served in models]
    assert all(found) and found[0] != found[1]
    for letter, entities in zip("AB", found, strict=True):
        assert marked(opened, letter) == [(each.text, each.type) for each in entities]
        assert shown_text(opened, letter) == TEXT


def test_differences_are_marked_and_listed(opened, models):
    tag(opened, TEXT)
    of_a, of_b = (
        {(each.start, each.end, each.type) for each in served.tagger.spans([TEXT])[0]} for served in models
    )
    assert opened.locator("#panel-A mark.differs").count() == len(of_a - of_b)
    assert opened.locator("#panel-B mark.differs").count() == len(of_b - of_a)
    rows = opened.locator("#table tbody tr")
    assert rows.count() == len(of_a | of_b)
    opened.check("#differ")
    assert rows.count() == len(of_a ^ of_b) > 0
    assert all("only" in rows.nth(i).inner_text() for i in range(rows.count()))


def test_the_slider_hides_what_is_improbable(opened, tagger):
    tag(opened, TEXT)
    (entities,) = tagger.spans([TEXT])
    bound = sorted(each.probability for each in entities)[len(entities) // 2]
    percent = int(100 * bound) + 1
    opened.evaluate(
        "percent => { const own = document.getElementById('least'); own.value = percent;"
        " own.dispatchEvent(new Event('input')); }",
        percent,
    )
    opened.wait_for_timeout(100)
    kept = [(each.text, each.type) for each in entities if each.probability >= percent / 100]
    assert marked(opened, "A") == kept and len(kept) < len(entities)


def test_the_keyboard_reaches_every_entity_with_its_probability(opened, tagger):
    tag(opened, TEXT)
    (entities,) = tagger.spans([TEXT])
    opened.set_viewport_size({"width": 360, "height": 300})  # where the focus scrolls
    opened.focus("#panel-A .tagged")
    opened.keyboard.press("Tab")
    for each in entities:
        opened.wait_for_timeout(50)
        said = opened.locator("#tip:visible").inner_text()
        assert said.startswith(f"{each.type} · {100 * each.probability:.1f} %")
        assert opened.evaluate("document.activeElement.firstChild.data") == each.text
        opened.keyboard.press("ArrowRight")


def test_a_file_is_tagged(opened, tmp_path):
    (tmp_path / "article.txt").write_text("Anna Berg\nvisits York.", encoding="utf-8")
    opened.set_input_files("#file", tmp_path / "article.txt")
    opened.locator("#status", has_text=re.compile(r"in \d")).wait_for()
    assert shown_text(opened, "A") == "Anna Berg\nvisits York."


def test_right_to_left_text_begins_at_the_right(opened):
    tag(opened, "שלום York וגם Anna Berg")
    assert opened.eval_on_selector("#panel-A .tagged div", "box => getComputedStyle(box).direction") == "rtl"
    assert shown_text(opened, "A") == "שלום York וגם Anna Berg"


@pytest.mark.soak
def test_a_text_of_100_000_characters_is_shown_whole(opened, tagger):
    text = ("Anna Berg visits York and sees Ada Hill. " * 2440)[:100_000]
    tag(opened, text)
    assert shown_text(opened, "B") == text
    assert len(marked(opened, "A")) == len(tagger.spans([text])[0]) > 1000


@pytest.mark.parametrize("scheme, width", [("dark", 1400), ("light", 360)])
def test_it_can_be_read_in_any_light_and_width(chromium, address, scheme, width):
    with page_at(chromium, address, width=width, scheme=scheme) as found:
        tag(found.page, TEXT * 3)
        found.page.evaluate(CHECKS)
        assert [
            found.page.evaluate(f"checks.{name}()") for name in ("contrast", "overflow", "doubleIds")
        ] == [[], 0, []]
        assert found.complaints == []


def test_a_token_is_asked_for_and_kept_out_of_the_address(chromium, running):
    with running(token="secret") as address, page_at(chromium, address) as found:
        page = found.page
        page.fill("#token", "wrong")
        page.fill("#text", TEXT)
        page.press("#text", "Control+Enter")
        page.locator("#problem", has_text="token").wait_for()
        page.goto(f"{address}/#token=secret")
        page.reload()
        tag(page, TEXT)
        assert marked(page, "A")
        assert page.url == f"{address}/"


def test_refusals_are_shown_in_the_servers_words(chromium, running):
    with running(characters=10) as address, page_at(chromium, address) as found:
        found.page.fill("#text", TEXT)
        found.page.click("#tag")
        found.page.locator("#problem", has_text="at most 10 characters").wait_for()
        assert found.page.inner_text("#status") == ""
