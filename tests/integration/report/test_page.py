"""The page in a real browser: Chromium without a window, driven by Playwright, examined by axe-core."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from lab.packages import find
from tasks.report.formats import Look, write
from tasks.report.rows import Report
from tests.unit.report.fleet import fleet, with_copy

PHONE, NARROWEST, TABLET, DESK = 390, 320, 1000, 1280
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror=window.hacked=1>{{7*7}}"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
KINDS = "days => days.map(day => day.classList[1])"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium-headless-shell"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a report's page; in the end nothing may have been asked of a network and nothing complained of."""
    asked: list[str] = []
    said: list[str] = []
    pages: list[Page] = []

    def open_(report: Report, width: int = DESK, **more: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_text(write(report, "html", Look()))
        page = browser.new_page(viewport={"width": width, "height": 900}, **more)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []


def shown(page: Page) -> list[str]:
    """Return app and source of the table's visible rows."""
    rows = page.locator("tbody tr:visible").all_inner_texts()
    return [" ".join(row.split()[:2]) for row in rows]


@pytest.mark.parametrize(("width", "scheme"), [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")])
def test_axe_finds_no_fault(opened: Open, width: int, scheme: str) -> None:
    report = fleet()
    some = {row.app for row in report.apps if row.status != "ok"} | {"shop"}
    chosen = replace(report, apps=tuple(row for row in report.apps if row.app in some))
    page = opened(with_copy(chosen, "shop", "vault"), width, color_scheme=scheme)

    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")

    assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found["violations"]] == []


@pytest.mark.parametrize("width", [DESK, 1152, 1151, 1137, TABLET, PHONE, NARROWEST])
def test_nothing_has_to_be_scrolled_sideways(opened: Open, width: int) -> None:
    report = fleet()
    long = replace(report.apps[0], app="a" * 64, host="b" * 90, error="c" * 300)
    words = replace(report.apps[2], app="-".join(["vereinigte"] * 6), size=123 * 10**15, stored=98 * 10**15)
    many = replace(report.apps[1], recoverable_until=report.generated, archives=1_234_567)

    rows = (long, words, many, *report.apps[3:9])
    page = opened(replace(report, apps=(*rows, *(replace(row, storage="disk-in-the-cellar") for row in rows))), width)

    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("copies", [False, True])
def test_a_row_of_a_desk_is_one_line(opened: Open, copies: bool) -> None:
    report = fleet()
    report = replace(report, apps=report.apps[:40])

    page = opened(with_copy(report, "blog", "disk") if copies else report)

    heights = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert max(heights) - min(heights) <= 2


def test_sorting_and_filtering(opened: Open) -> None:
    page = opened(fleet())
    inventory = shown(page)

    page.get_by_role("button", name="size").click()
    sizes = page.locator("tbody td[data-name=size]").evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    known = [int(size) for size in sizes if size]
    assert known == sorted(known)
    assert sizes[-3:] == ["", "", ""]  # what is not known comes last
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("size")
    page.get_by_role("button", name="size").click()
    assert page.locator("tbody td[data-name=size]").first.get_attribute("data-key") == str(max(known))

    page.locator("#status").select_option("failed")
    assert sorted(shown(page)) == ["archiv files", "billing mariadb"]
    assert page.locator("article:visible h3").count() == 2
    page.locator("#search").fill("RELOAD bill")
    assert shown(page) == ["billing mariadb"]
    assert "1 of" in page.locator("output").inner_text()
    page.locator("#search").fill("")
    page.locator("#status").select_option("")
    assert sorted(shown(page)) == sorted(inventory)


def test_each_copy_of_an_app_is_told_apart(opened: Open) -> None:
    """Rows, links, the filter, charts and calendars."""
    page = opened(with_copy(fleet(), "shop", "vault"))
    cards = page.locator("article")

    assert [" ".join(text.split()) for text in cards.locator("h3").all_inner_texts()[:2]] == [
        "shop on box ✓ ok",
        "shop on vault ✕ failed",
    ]
    assert cards.nth(0).locator("path.line").first.get_attribute("d") != cards.nth(1).locator(
        "path.line"
    ).first.get_attribute("d")
    kinds = [cards.nth(each).locator("svg.calendar .day").evaluate_all(KINDS)[-4:] for each in (0, 1)]
    assert kinds[1] == ["partly", "failed", "failed", "failed"]
    assert kinds[0] != kinds[1]
    page.locator('tbody th a[href="#app-shop@vault"]').first.click()
    assert page.locator("article:target h3").inner_text().startswith("shop on vault")
    page.locator("#search").fill("shop vault")
    assert [text.split()[:5] for text in page.locator("tbody tr:visible").all_inner_texts()] == [
        ["shop", "files", "✕", "failed", "vault"],
        ["shop", "mariadb", "✕", "failed", "vault"],
    ]
    assert [text.split()[:3] for text in page.locator("article:visible h3").all_inner_texts()] == [
        ["shop", "on", "vault"]
    ]


def test_days_differ_by_more_than_their_colour(opened: Open) -> None:
    """In the legend and in the calendars: a day that was saved in part has a shape of its own, and says what is missing."""
    page = opened(fleet())

    legend = [text.strip() for text in page.locator(".key > span").all_inner_texts()]
    assert legend == [
        "every source saved",
        "with something to look at",
        "some only, or incomplete",
        "something failed",
        "no backup recorded",
    ]
    for place in (".key", "svg.calendar"):
        shapes = {
            kind: page.locator(f"{place} .day.{kind} > path").first.get_attribute("d")
            for kind in ("warned", "partly", "failed")
        }
        assert len({*shapes.values(), None}) == 4
    told = page.locator("svg.calendar .day.partly title").all_text_contents()
    assert told
    assert all("no backup of" in text and " saved" in text for text in told)


def test_without_javascript_all_is_there(opened: Open) -> None:
    report = fleet()

    page = opened(report, java_script_enabled=False)

    assert shown(page) == [f"{row.app} {row.source}" for row in report.worst_first]
    assert set(shown(page)[:2]) == {"archiv files", "billing mariadb"}  # what failed
    assert not page.locator("#controls").is_visible()
    assert page.locator("section").first.inner_text().startswith("Needs a look")
    assert page.locator("svg.calendar").count() == len({row.app for row in report.apps})


def test_names_with_markup_do_no_harm(opened: Open) -> None:
    row = replace(fleet().apps[0], app=HOSTILE, host=HOSTILE, storage=HOSTILE, status="failed", error=HOSTILE)
    report = fleet()
    (records, *_) = report.records.values()
    bad = {(HOSTILE, HOSTILE): [replace(each, app=HOSTILE, outcome="failed", error=HOSTILE) for each in records[-9:]]}
    storage = replace(report.storages[1], storage=HOSTILE, error=HOSTILE)

    page = opened(replace(report, apps=(row,), records=bad, storages=(storage,)))

    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert HOSTILE.replace("  ", " ") in page.locator("tbody th").inner_text()


def test_no_script_but_its_own_runs(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(write(fleet(), "html", Look()).replace("</main>", "<script>window.hacked = 1</script></main>"))
    page = browser.new_page()

    page.goto(file.as_uri())

    assert page.evaluate("window.hacked") is None
    assert page.locator("#controls").is_visible()
    page.close()


def test_on_paper(opened: Open) -> None:
    page = opened(fleet(), color_scheme="dark")

    page.emulate_media(media="print")

    assert not page.locator("#controls").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('tbody tr')).display") == "table-row"
    assert page.pdf(format="A4").startswith(b"%PDF-")
