"""Headless Chromium for tests and benchmarks of pages: whose it is, and what it said while a page was open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Dialog, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """The browser of the machine: the one that CORESYS_CHROMIUM names, or the first that is on the path."""
    told = os.environ.get("CORESYS_CHROMIUM")
    return told or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """One browser for as long as the block lasts. Raises RuntimeError where there is none."""
    path = chromium()
    if path is None:
        raise RuntimeError(f"none of {', '.join(NAMES)} is here: apt-get install chromium, or set CORESYS_CHROMIUM")
    with sync_playwright() as playwright:
        # Its sandbox is refused to root, as which containers run; what is opened is a file of our own.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield opened
        finally:
            opened.close()


@dataclass
class Heard:
    """What a page said and asked for."""

    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def dialog(self, dialog: Dialog) -> None:
        """Note it, and go on."""
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@contextmanager
def page_of(opened: Browser, **options: Any) -> Iterator[tuple[Page, Heard]]:
    """An empty page of its own, with what it says on the console, throws, asks of the user, and requests."""
    context = opened.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page, heard = context.new_page(), Heard()
    page.on("console", lambda message: heard.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.said.append(str(error)))
    page.on("dialog", heard.dialog)
    page.on("request", lambda request: heard.asked.append(request.url))
    try:
        yield page, heard
    finally:
        context.close()
