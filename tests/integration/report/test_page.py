"""The page in a real browser: Chromium without a window, driven by Playwright, examined by axe-core."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from lab.packages import find
from tasks.report.formats import Look, write
from tasks.report.rows import Report
from tests.unit.report.fleet import fleet, held, with_copy

PHONE, NARROWEST, TABLET, DESK, WALL = 390, 320, 1000, 1280, 2560
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
    """Return the names of the apps listed."""
    return page.locator("#apps > li:visible .name").all_inner_texts()


@pytest.mark.parametrize(
    ("width", "scheme"), [(DESK, "light"), (WALL, "dark"), (TABLET, "light"), (PHONE, "light"), (PHONE, "dark")]
)
def test_axe_finds_no_fault(opened: Open, width: int, scheme: str) -> None:
    report = fleet()
    some = {row.app for row in report.apps if row.status != "ok"} | {"shop"}
    chosen = replace(report, apps=tuple(row for row in report.apps if row.app in some))
    page = opened(with_copy(chosen, "shop", "vault"), width, color_scheme=scheme)

    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
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
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [1440, PHONE])
def test_an_app_is_one_line(opened: Open, width: int) -> None:
    report = fleet()
    short = replace(report, apps=tuple(row for row in report.apps if len(row.app) < 12))

    heights = opened(short, width).locator("#apps > li").evaluate_all("rows => rows.map(row => row.offsetHeight)")

    assert max(heights) < 48
    assert max(heights) - min(heights) <= 4


def test_of_very_many_apps_all_fit_on_a_few_screens_and_the_worst_on_the_first(opened: Open) -> None:
    report = many(fleet(), 152)
    assert len(gzip.compress(write(report, "html", Look()).encode(), 5)) < 400_000

    for width, height, screens in ((1440, 900, 12), (PHONE, 844, 25)):
        page = opened(report, width)
        assert page.evaluate("document.documentElement.scrollHeight") <= screens * height
    desk = opened(report, 1440)
    bottoms = desk.locator("#wrong + ul > li").evaluate_all("all => all.map(one => one.getBoundingClientRect().bottom)")
    assert len(bottoms) >= 5
    assert max(bottoms) < 900


def many(report: Report, count: int) -> Report:
    """Return the report with `count` apps: further ones are as the first, and well."""
    rows, records = list(report.apps), dict(report.records)
    names = list(dict.fromkeys(row.app for row in rows))
    for number in range(len(names), count):
        origin = names[number % len(names)]
        own = [row for row in report.apps if row.app == origin]
        rows += [replace(row, app=f"{origin}-{number}", status="ok", error=None) for row in own]
        records[own[0].storage, f"{origin}-{number}"] = report.records[own[0].storage, origin]
    return replace(report, apps=tuple(rows), records=records, holdings=partial(held, records))


def test_sorting_and_filtering(opened: Open) -> None:
    page = opened(fleet())
    inventory = shown(page)

    page.locator("#sort").select_option("size")
    sizes = page.locator("#apps > li").evaluate_all("rows => rows.map(row => row.dataset.size)")
    known = [int(size) for size in sizes if size]
    assert known == sorted(known, reverse=True)
    assert sizes[-2:] == ["", ""]  # what is not known comes last
    page.locator("#sort").select_option("app")
    assert shown(page) == sorted(inventory)
    page.locator("#sort").select_option("")

    page.locator("#status").select_option("failed")
    assert sorted(shown(page)) == ["archiv", "billing"]
    assert page.locator("#wrong + ul > li:visible").count() == 2
    page.locator("#search").fill("RELOAD bill")
    assert shown(page) == ["billing"]
    assert "1 of 32 apps" in page.locator("#shown").inner_text()
    page.reload()  # the address keeps what was chosen
    assert "?q=RELOAD+bill&status=failed" in page.url
    assert shown(page) == ["billing"]
    page.locator("#search").fill("")
    page.locator(".legend button", has_text="failed").click()
    assert shown(page) == inventory
    page.locator(".legend button", has_text="late").click()
    assert shown(page) == ["radio"]


def test_what_is_wrong_leads_to_the_app_and_its_details(opened: Open) -> None:
    page = opened(with_copy(fleet(), "shop", "vault"))
    app = page.locator("#app-shop")
    assert not app.locator(".detail").is_visible()

    page.locator("#wrong + ul a", has_text="shop").click()

    app.locator(".detail").wait_for(state="visible")
    assert app.locator("h3").all_inner_texts() == ["box", "vault"]
    assert "inv restore --app shop" in app.locator("code").all_inner_texts()
    first = app.locator(".runs").nth(1).locator("tbody tr").first.inner_text()
    assert "failed" in first
    assert "the storage is not there" in first
    lines = app.locator("path.line").evaluate_all("lines => lines.map(line => line.getAttribute('d'))")
    assert len(set(lines)) == 4
    kinds = [app.locator("svg.calendar").nth(each).locator(".day").evaluate_all(KINDS)[-4:] for each in (0, 1)]
    assert kinds[1] == ["partly", "failed", "failed", "failed"]
    assert kinds[0] != kinds[1]


def test_a_chart_tells_the_value_below_the_pointer(opened: Open) -> None:
    report = fleet()
    page = opened(report)
    page.locator("#app-shop summary").click()
    chart = page.locator("#app-shop svg.size").first
    box = chart.bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 5)

    value = page.locator("#app-shop .value").first.inner_text()
    day, number, unit = value.partition(": ")[0], *value.partition(": ")[2].split()
    (size,) = (row.size for row in report.apps if (row.app, row.source) == ("shop", "files"))
    assert day == "that day"
    assert float(number) * 1000 ** ["B", "kB", "MB", "GB"].index(unit) == pytest.approx(size, rel=0.02)


def test_an_old_page_says_so(opened: Open) -> None:
    page = opened(fleet())  # made a while ago
    assert page.locator("#stale").inner_text().startswith("This report is ")
    assert page.title().startswith("out of date: ")
    new = opened(replace(fleet(), generated=datetime.now(UTC)))
    assert not new.locator("#stale").is_visible()


def test_days_differ_by_more_than_their_colour(opened: Open) -> None:
    """In the legend and in the calendars: a day that was saved in part has a shape of its own, and says what is missing."""
    page = opened(fleet())

    page.locator("#app-shop summary").click()
    legend = [text.strip() for text in page.locator("#app-shop .key > span").all_inner_texts()]
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

    assert set(shown(page)) == {row.app for row in report.apps}
    assert set(shown(page)[:2]) == {"archiv", "billing"}  # what failed
    assert not page.locator("#controls").is_visible()
    assert page.locator("section").first.inner_text().startswith("Needs a look")
    page.locator("#app-shop summary").click()
    assert page.locator("#app-shop svg.calendar").is_visible()


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
    assert HOSTILE.replace("  ", " ") in page.locator(".name").inner_text()


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
    assert page.evaluate("getComputedStyle(document.querySelector('summary')).display") == "grid"
    assert page.pdf(format="A4").startswith(b"%PDF-")
