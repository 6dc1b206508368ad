"""Chromium, as the reports' tests use it."""

from tests.report.conftest import chromium, opened

__all__ = ["chromium", "opened"]
