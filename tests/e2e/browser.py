"""A real Chromium that looks at the dashboard as people do, and axe, which looks for those who see or move otherwise.

https://playwright.dev/python/ and https://github.com/dequelabs/axe-core/blob/develop/doc/API.md
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support import require

PHONE = (360, 740)
DESK = (1280, 860)

#: Ours has no sandbox of its own as root, and is to talk to nobody but the dashboard.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=list(_ARGUMENTS))
        yield browser
        browser.close()


def open_context(
    browser: Browser,
    address: str,
    *,
    size: tuple[int, int] = DESK,
    scheme: Literal["light", "dark"] = "light",
    language: str = "en-GB",
    scripts: bool = True,
) -> BrowserContext:
    """A person with a screen of their own; pages are named from ``address`` on."""
    width, height = size
    return browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        locale=language,
        java_script_enabled=scripts,
        is_mobile=width < 500,
        has_touch=width < 500,
        reduced_motion="reduce",
    )


def complaints(page: Page) -> list[str]:
    """What the page logs as an error from now on: a refused script, a file that is not there."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda message: found.append(f"{page.url}: {message.text}") if message.type == "error" else None,
    )
    return found


def overflow_px(page: Page) -> int:
    """By how much the page is wider than the screen."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def violations(page: Page, axe: Path) -> list[str]:
    """What axe finds by the rules of WCAG 2.2 AA and its own best practices: rule, place and reason."""
    page.evaluate(axe.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url} {one['id']}: {node['html'][:160]}: {node['failureSummary'][:240]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
