"""The page in a real browser: it opens from disk, fetches nothing, sorts, filters, and fits a phone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser test needs the playwright package")
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: install it to test the page")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: sync_api.Browser, page: Path) -> Iterator[sync_api.Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url))
    tab.goto(page.as_uri())
    yield tab
    context.close()
    assert complaints == []


def column(table: sync_api.Locator, number: int) -> list[float]:
    """The numbers of a column as they are shown, without the reference row and the small type."""
    cells = table.locator(f"tbody tr:not(.reference):not(.group) > :nth-child({number})")
    return [float(re.match(r"[\d.]+", text)[0]) for text in cells.all_inner_texts()]


def test_captions_stay_text(opened: sync_api.Page) -> None:
    assert opened.title() == "toy · Palimpsest"
    assert opened.locator("del", has_text="<script>").count() > 0


def test_headings_sort_and_the_originals_stay_on_top(opened: sync_api.Page) -> None:
    table = opened.locator("#corpus-1 .views").nth(1).locator("table").first
    heading = table.get_by_role("button", name=re.compile("CIDEr"))
    before = column(table, 6)
    heading.focus()
    opened.keyboard.press("Enter")
    best_first = column(table, 6)
    assert best_first == sorted(before, reverse=True) != before
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    heading.click()
    assert column(table, 6) == sorted(before)
    assert table.locator("tbody tr").nth(1).locator("th").inner_text() == "original pictures"


def test_the_region_is_switched_by_keyboard(opened: sync_api.Page) -> None:
    views = opened.locator("#corpus-1 .views").first.locator(".view")
    assert [view.is_visible() for view in views.all()] == [True, False, False]
    opened.get_by_role("radio", name="inside the mask").first.focus()
    opened.keyboard.press("ArrowRight")
    assert [view.is_visible() for view in views.all()] == [False, True, False]


def test_the_gallery_filters(opened: sync_api.Page) -> None:
    entries = opened.locator(".gallery > li")
    everything = entries.count()
    opened.locator("#filter [name=corpus]").select_option("photos")
    opened.locator("#filter [name=inpainter]").select_option("patch")
    shown = [entry for entry in entries.all() if entry.is_visible()]
    assert 0 < len(shown) < everything
    assert {e.get_attribute("data-corpus") for e in shown} == {"photos"}
    assert {e.get_attribute("data-inpainter") for e in shown} == {"patch"}
    assert opened.locator("#shown").inner_text() == f"{len(shown)} of {everything} shown"
    assert "as-is" not in opened.locator("#filter").inner_text(), "the control is not in the gallery"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(browser: sync_api.Browser, page: Path, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    red = int(re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert red > 200 if scheme == "light" else red < 60
    context.close()


def test_without_scripts_everything_is_there(browser: sync_api.Browser, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.locator(".gallery > li").first.is_visible()
    assert not tab.locator("#filter").is_visible()
    tab.get_by_text("whole picture", exact=True).first.click()
    assert tab.locator("#corpus-1 .views").first.locator(".view").nth(2).is_visible()
    context.close()
