"""The pages in a real browser: they open from disk, fetch nothing, sort, filter, and fit a phone."""

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
    tab.set_default_timeout(10_000)
    yield tab
    context.close()
    assert complaints == []


def column(table: sync_api.Locator, number: int) -> list[float]:
    """The numbers of a column as they are shown, without the reference row and the small type."""
    cells = table.locator(f"tbody tr:not(.reference):not(.group) > :nth-child({number})")
    return [float(re.match(r"[\d.]+", text)[0]) for text in cells.all_inner_texts()]


def test_captions_stay_text(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.as_uri())
    assert opened.title() == "Repainted pictures and their captions · toy · Palimpsest"
    opened.get_by_role("navigation", name="Pages").get_by_text("Gallery").click()
    assert opened.title() == "Gallery · toy · Palimpsest"
    assert opened.locator("del", has_text="<script>").count() > 0


def test_headings_sort_and_the_originals_stay_on_top(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.with_name("corpus-scenes.html").as_uri())
    table = opened.locator("#quality table").first
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


def test_the_region_is_switched_by_keyboard(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.with_name("corpus-scenes.html").as_uri())
    views = opened.locator("#fidelity .view")
    assert [view.is_visible() for view in views.all()] == [True, False, False]
    opened.get_by_role("radio", name="inside the mask").first.focus()
    opened.keyboard.press("ArrowRight")
    assert [view.is_visible() for view in views.all()] == [False, True, False]


def visible(tab: sync_api.Page) -> list[dict[str, str]]:
    """What the gallery's entries that can be seen say of themselves, in their order."""
    return tab.evaluate("[...document.querySelectorAll('.gallery > li:not([hidden])')].map((li) => ({...li.dataset}))")


def test_the_gallery_filters_and_a_link_opens_it_filtered(opened: sync_api.Page, page: Path) -> None:
    gallery = page.with_name("gallery.html").as_uri()
    opened.goto(gallery)
    everything = len(visible(opened))
    opened.locator("#filter [name=corpus]").select_option("photos")
    opened.locator("#filter [name=inpainter]").select_option("patch")
    shown = visible(opened)
    assert 0 < len(shown) < everything
    assert {(entry["corpus"], entry["inpainter"]) for entry in shown} == {("photos", "patch")}
    assert opened.locator("#shown").inner_text() == f"{len(shown)} of {everything} shown"
    assert opened.url == f"{gallery}#corpus=photos&inpainter=patch"
    assert "as-is" not in opened.locator("#filter").inner_text(), "the control is not in the gallery"
    opened.goto("about:blank")
    opened.goto(f"{gallery}#corpus=photos&inpainter=patch")
    assert visible(opened) == shown
    assert opened.locator("#filter [name=inpainter]").input_value() == "patch"
    opened.locator("#filter [name=error]").select_option("other words")
    assert {entry["error"] for entry in visible(opened)} == {"other words"}
    opened.goto(f"{gallery}#corpus=nowhere")
    assert visible(opened) == [] and opened.locator("#nothing").is_visible()
    opened.get_by_role("link", name="Show all").click()
    assert len(visible(opened)) == everything
    opened.goto(f"{gallery}#corpus=photos&inpainter=patch")
    opened.locator(".skip").press("Enter")
    assert visible(opened) == shown, "a link within the page is no filter"


def test_the_gallery_sorts_by_drift(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.with_name("gallery.html").as_uri() + "#sort=drift")
    drifts = [float(entry["drift"]) for entry in visible(opened)]
    assert drifts == sorted(drifts) and drifts[0] < drifts[-1] <= 0, "the largest first, stored as its negative"
    opened.locator("#filter [name=sort]").select_option("cosine")
    cosines = [float(entry["cosine"]) for entry in visible(opened)]
    assert cosines == sorted(cosines) and cosines[0] < cosines[-1]


def test_a_mark_says_what_it_is_and_opens_its_examples(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.with_name("corpus-scenes.html").as_uri())
    tip, marks = opened.locator("#tip"), opened.locator("#correlations a.mark")
    assert marks.count() == 7 and not tip.is_visible()
    mark = marks.filter(has_text="patch (blur)")
    mark.focus()
    assert re.fullmatch(r"patch \(blur\): LPIPS 0\.\d+, SBERT 0\.\d+", tip.inner_text())
    assert tip.is_visible() and mark.get_attribute("aria-describedby") == "tip"
    opened.keyboard.press("Escape")
    assert not tip.is_visible()
    marks.filter(has_text="telea (any)").locator(".shape").hover()
    assert tip.inner_text().startswith("telea (any): LPIPS")
    mark.press("Enter")
    assert opened.title() == "Gallery · toy · Palimpsest"
    shown = visible(opened)
    assert {(e["corpus"], e["degradation"], e["inpainter"]) for e in shown} == {("scenes", "blur", "patch")}


def test_arrow_keys_walk_a_heat_map(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.with_name("corpus-scenes.html").as_uri())
    cells, tip = opened.locator("#correlations .heat").first.locator("td[data-tip]"), opened.locator("#tip")
    assert [cell.get_attribute("tabindex") for cell in cells.all()].count("0") == 1
    cells.first.focus()
    assert tip.inner_text().startswith("MSE and BLEU-1")
    for key, pair in (
        ("ArrowRight", "MSE and CIDEr"),
        ("ArrowDown", "PSNR and CIDEr"),
        ("ArrowLeft", "PSNR and BLEU-1"),
    ):
        opened.keyboard.press(key)
        assert tip.inner_text().startswith(pair), key
    opened.keyboard.press("ArrowLeft")
    assert tip.inner_text().startswith("PSNR and BLEU-1"), "there is an end"


def test_a_number_opens_its_lineage(opened: sync_api.Page, page: Path) -> None:
    corpus = page.with_name("corpus-scenes.html").as_uri()
    opened.goto(corpus)
    row = opened.locator("#quality table").first.locator("tr", has_text="patch").filter(has_text="blur")
    number = row.locator("td.num").nth(2)
    assert number.evaluate("(cell) => getComputedStyle(cell).cursor") == "pointer"
    number.evaluate("(cell) => getSelection().selectAllChildren(cell)")
    number.dispatch_event("click")
    assert opened.url == corpus, "text is being selected"
    opened.evaluate("getSelection().removeAllRanges()")
    number.click()
    assert opened.url.endswith("lineage.html#scenes/blur/patch/blip")
    assert "palimpsest trace scenes/blur/patch/blip" in opened.locator(":target").inner_text()
    opened.go_back()
    opened.locator("#fidelity table").first.get_by_role("link", name="patch").first.press("Enter")
    assert opened.locator(":target h3").inner_text().startswith("scenes/centre/patch")


def test_the_lineage_is_folded_but_for_what_an_address_asks_for(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.with_name("lineage.html").as_uri())
    cells = opened.locator("details.origin")
    assert cells.count() > 10 and opened.locator("details.origin[open]").count() == 0
    assert opened.evaluate("document.documentElement.scrollHeight") < 100 * cells.count()
    opened.goto(page.with_name("lineage.html").as_uri() + "#scenes/blur/patch/blip")
    assert opened.locator("details.origin[open]").count() == 1 and opened.locator(":target").is_visible()


def test_what_scrolls_sideways_says_so_and_its_first_column_stays(browser: sync_api.Browser, page: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    for file, table in (("corpus-scenes.html", "#quality table"), ("index.html", ".findings")):
        tab.goto(page.with_name(file).as_uri())
        frame = tab.locator(table).first.locator("xpath=..")
        frame.scroll_into_view_if_needed()
        tab.wait_for_function("(frame) => frame.classList.contains('more')", arg=frame.element_handle())
        first = frame.locator("tbody tr > th:first-child").last
        before = first.bounding_box()["x"]
        frame.evaluate("(frame) => frame.scrollLeft = frame.scrollWidth")
        tab.wait_for_function("(frame) => !frame.classList.contains('more')", arg=frame.element_handle())
        assert first.bounding_box()["x"] == before, file
    context.close()


def test_the_first_screen_has_the_answer_and_a_picture(opened: sync_api.Page, page: Path) -> None:
    opened.goto(page.as_uri())
    assert opened.locator(".answer").is_visible()
    for seen in (opened.locator(".answer"), opened.locator(".strip svg image").first):
        box = seen.bounding_box()
        assert box["y"] + box["height"] < 900


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(browser: sync_api.Browser, page: Path, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    tab = context.new_page()
    for file in sorted(page.parent.glob("*.html")):
        tab.goto(file.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == 390, file.name
    red = int(re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert red > 200 if scheme == "light" else red < 60
    context.close()


def test_without_scripts_everything_is_there(browser: sync_api.Browser, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.with_name("gallery.html").as_uri())
    assert tab.locator(".gallery > li").first.is_visible()
    assert not tab.locator("#filter").is_visible()
    tab.goto(page.with_name("corpus-scenes.html").as_uri())
    tab.get_by_text("whole picture", exact=True).first.click()
    assert tab.locator("#fidelity .view").nth(2).is_visible()
    context.close()
