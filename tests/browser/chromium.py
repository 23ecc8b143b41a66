"""Debian's Chromium for the tests of the page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; the test is skipped on a machine without one."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM} (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def tab(
    browser: Browser, address: str, *, width: int = 1280, height: int = 800, zone: str = "Europe/Paris"
) -> Iterator[Page]:
    """A fresh tab on the workspace page, ready; an error in the page's own code fails the test."""
    context = browser.new_context(viewport={"width": width, "height": height}, timezone_id=zone, locale="en-US")
    context.set_default_timeout(8000)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    try:
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        yield page
        assert not broken
    finally:
        context.close()
