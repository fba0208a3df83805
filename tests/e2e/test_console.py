"""An owner's first day with the dashboard, in a real Chromium; and every page as those see it who see otherwise.

With ``D8_PICTURES=1`` the pictures that the README shows are taken anew.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from master.api.app import create_api
from master.capabilities import load_capabilities
from master.settings import load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.migrate import migrate
from tests.bench.console import page_addresses
from tests.bench.evolving.bed import put_evolution
from tests.bench.history import Size, fill, put_files
from tests.conftest import StartProcess
from tests.e2e.browser import (
    DESK,
    PHONE,
    chromium,
    complaints,
    open_context,
    overflow_px,
    violations,
)
from tests.e2e.fleet import Fleet, environment_of, worker_cli
from tests.npm import install_npm
from tests.support import ROOT, wait_until

pytestmark = pytest.mark.services

PASSWORD = "four words are good"
PICTURES = ROOT / "docs" / "pictures"
#: Asked now: a test's environment has no settings of ours.
_WANTED = bool(os.environ.get("D8_PICTURES"))
#: A page follows what happens within seconds; a run of this test's within some more.
_LIVE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = install_npm(Path(__file__).parent / "npm", tmp_path_factory.mktemp("npm"))
    return folder / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def fleet(start_process: StartProcess, d8_home: Path) -> Fleet:
    return Fleet(start_process, d8_home)


def become_owner(context: BrowserContext, code: str) -> Page:
    """The first run: the code of the terminal, a name and a password."""
    page = context.new_page()
    page.goto(f"/welcome?code={code}")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password again").fill(PASSWORD)
    page.get_by_role("button", name="Become the owner").click()
    expect(page).to_have_title(re.compile("Home"))
    return page


def keep(page: Page, name: str) -> None:
    """As a picture of the README, when those are wanted."""
    if _WANTED:
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


def test_first_day_from_the_code_in_the_terminal_to_an_approval_on_the_phone(
    browser: Browser, fleet: Fleet, start_process: StartProcess, tmp_path: Path
) -> None:
    master = fleet.start_master()
    found = master.wait_for_line(r"(http://\S+)/welcome\?code=(\S+)")
    address, code = found.group(1), found.group(2)
    desk = open_context(browser, address)
    page = become_owner(desk, code)
    errors = complaints(page)
    assert fleet.fail("admin", "code").returncode == 0, "another code, for whoever lost this one"

    # Invite: the page has the one command, and the machine that ran it appears on the page by itself.
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Fleet").click()
    page.get_by_label("Its name in the fleet").fill("garage")
    page.get_by_role("button", name="Make an invite").click()
    page.get_by_text("In a checkout of D8").click()
    command = shlex.split(page.locator("#join-checkout").inner_text())
    page.goto("/fleet")
    home = tmp_path / "garage"
    joined = worker_cli(home, *command[command.index("join") :])
    assert joined.returncode == 0, joined.stderr
    environment = environment_of(home)
    start_process(
        [sys.executable, "-m", "worker.cli", "start", "--slots", "2"],
        env=environment,
        cwd=ROOT,
        name="garage",
    )
    expect(page.get_by_role("heading", name="garage")).to_be_visible(timeout=_LIVE_MS)
    wait_until(lambda: fleet.workers()["garage"]["state"] == "active", 60, "garage is active", master.tail)

    # A run from start to finish, without a reload.
    run = fleet.start_noop(steps=6, duration_s=0.5)
    page.goto(f"/runs/{run}")
    page.evaluate("window.d8_same_page = true")
    expect(page.locator("h1 ~ * .chip, h1 .chip, .chip").first).to_have_text("done", timeout=_LIVE_MS)
    assert page.evaluate("window.d8_same_page"), "the page followed the run without being loaded again"
    assert fleet.show(run)["state"] == "done"

    # An approval, from the phone, in the dark.
    asked = fleet.ask("approval", "rehearse")["run"]
    phone = open_context(browser, address, size=PHONE, scheme="dark")
    small = phone.new_page()
    small.goto("/login")
    small.get_by_label("Name").fill("ana")
    small.get_by_label("Password").fill(PASSWORD)
    small.get_by_role("button", name="Log in").click()
    card = small.get_by_role("article").filter(has_text="A rehearsal")
    expect(card).to_be_visible(timeout=_LIVE_MS)
    assert overflow_px(small) == 0
    keep(small, "phone-dark")
    card.get_by_role("button", name="Approve").tap()
    expect(card).to_have_count(0)
    answered = fleet.wait_done(asked)["result"]
    assert answered["approved"] is True
    assert answered["by"] == "ana"
    assert errors == []
    phone.close()
    desk.close()


def test_every_page_is_for_everybody(browser: Browser, fleet: Fleet, axe: Path, d8_home: Path) -> None:
    settings = load_settings()
    load_capabilities()
    database = Database(settings.sqlalchemy_url)
    migrate(database)
    ids = put_evolution(database, settings, evals=60)
    ids |= fill(database, Size(events=12_000, largest=600, ledger_entries=300), until=datetime.now(UTC))
    put_files(ArtifactFolder(settings.artifact_folder), ids)
    database.close()
    addresses, skipped = page_addresses(
        create_api(load_settings(home=d8_home.parent / "empty", broker_url="memory://")).routes, ids
    )
    assert skipped == []
    assert len(addresses) > 15
    master = fleet.start_master()
    found = master.wait_for_line(r"(http://\S+)/welcome\?code=(\S+)")
    desk = open_context(browser, found.group(1))
    become_owner(desk, found.group(2))
    signed_in = desk.storage_state()
    wrong: list[str] = []
    pictured = {"/": "home", f"/darwin/{ids['/darwin/{run_id}'][0]}": "evolution"}
    for size, scheme in ((DESK, "light"), (PHONE, "dark")):
        context = browser.new_context(
            base_url=found.group(1),
            viewport={"width": size[0], "height": size[1]},
            color_scheme="light" if scheme == "light" else "dark",
            storage_state=signed_in,
            reduced_motion="reduce",
        )
        page = context.new_page()
        errors = complaints(page)
        for address in addresses:
            page.goto(address)
            wrong += violations(page, axe)
            if wider := overflow_px(page):
                wrong.append(f"{address} is {wider} px wider than {size[0]} px")
            if address in pictured and size is DESK:
                keep(page, pictured[address])
        wrong += errors
        context.close()
    assert not wrong, "\n".join(wrong)

    # Without scripts, and in Spanish.
    plain = open_context(browser, found.group(1), language="es-ES", scripts=False)
    plain.add_cookies(desk.cookies())
    page = plain.new_page()
    page.goto("/approvals")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.get_by_role("heading", level=1)).to_have_text("Aprobaciones")
    title = page.get_by_role("article").first.get_by_role("heading").first.inner_text()
    page.get_by_role("article").filter(has_text=title).first.get_by_role("button", name="Aprobar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Aprobaciones")
    plain.close()
    desk.close()
