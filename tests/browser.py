"""Chromium, if installed, with pages that have no network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHECKS = Path(__file__).with_name("checks.js").read_text(encoding="utf-8")


@dataclass
class Opened:
    """A page with its errors and with its requests for other files."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no chromium on the PATH")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opening(chromium) -> Iterator[Callable[..., Opened]]:
    """Open files at a width, in a colour scheme, until the block ends."""
    contexts = []

    def open_page(path: Path, *, width: int = 1400, scheme: str = "light") -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        found = Opened(context.new_page())
        own = path.as_uri()
        found.page.on("console", lambda message: found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("dialog", lambda dialog: found.complaints.append(f"dialog {dialog.message}"))
        found.page.on(
            "request",
            lambda request: (
                None if request.url.startswith((own, "data:,")) else found.requests.append(request.url)
            ),
        )
        found.page.goto(own)
        found.page.evaluate(CHECKS)
        return found

    try:
        yield open_page
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def opened(chromium) -> Iterator[Callable[..., Opened]]:
    """Open a file at a width, in a colour scheme, for one test."""
    with opening(chromium) as open_page:
        yield open_page
