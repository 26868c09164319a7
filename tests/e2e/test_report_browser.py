"""Both pages in a real browser, as wide as a desk and as a phone.

Needs Debian's `chromium` and `chromium-driver`; fails without them. The browser is driven over WebDriver,
whose requests are plain HTTP on a loopback port.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from example_run import example_result, example_run
from real_browser import AXE, OVERFLOWING, WIDTHS, browser, chromedriver

from harness.report.write import write_reports
from harness.results.run_folder import RunFolder

PAYLOAD = '<script>alert(1)</script>"><img src=x onerror=alert(1)></pre><svg onload=alert(1)>' + "W" * 400


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
    with chromedriver() as address:
        yield address


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    example_run(root / "plain")
    example_run(root / "hostile", message=PAYLOAD, log=f"{PAYLOAD}\n" * 50)
    return {name: root / name for name in ("plain", "hostile")}


@pytest.mark.parametrize("width", list(WIDTHS))
def test_pages_fit_ask_for_nothing_and_run_nothing(driver: str, folders: dict[str, Path], width: str) -> None:
    with browser(driver, width) as page:
        for folder in folders.values():
            for name in ("report.html", "contestant.html"):
                page.open(folder / name)  # an alert that the payload opened would fail the next request
                page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
                where = f"{folder.name}/{name} at {width}"
                assert page.run("return window.innerWidth") == WIDTHS[width][0], where
                scrolled = page.run("return document.documentElement.scrollWidth - window.innerWidth")
                assert scrolled <= 0, where
                assert page.run(OVERFLOWING) == [], where
                run = page.run("return [...document.scripts].filter(one => one.type === '').length")
                assert run == (name == "report.html"), where  # the table's own, and nothing of a package
                # chrome: is the browser's own first tab
                outside = {url for url in page.requests() if not url.startswith(("data:", "chrome:"))}
                assert outside == {(folder / name).as_uri()}, where
                assert [entry for entry in page.log("browser") if entry["level"] == "SEVERE"] == [], where


def test_text_of_the_plots_is_readable_on_a_phone(driver: str, folders: dict[str, Path]) -> None:
    with browser(driver, "phone") as page:
        page.open(folders["plain"] / "report.html")
        heights = page.run(
            "return [...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height)"
        )
        assert len(heights) > 50
        assert min(heights) >= 7


def test_every_picture_is_shown(driver: str, folders: dict[str, Path]) -> None:
    with browser(driver, "desktop") as page:
        page.open(folders["plain"] / "report.html")
        page.run("document.querySelectorAll('img').forEach(one => one.loading = 'eager')")
        sizes = page.run(
            "return Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
        )
        assert len(sizes) == 18
        assert all(size > 0 for size in sizes)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(driver: str, folders: dict[str, Path], scheme: str) -> None:
    with browser(driver, "desktop") as page:
        page.open(folders["plain"] / "report.html")
        page.prefer(scheme)
        ratio = page.run(
            """
            const light = text => {
              const [r, g, b] = text.match(/[\\d.]+/g).map(Number).slice(0, 3)
                .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const card = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
            return ['.number', '.muted', '.truth-fake', '.truth-real', '.number + .muted'].map(name => {
              const text = light(getComputedStyle(document.querySelector('.card ' + name)).color);
              return (Math.max(text, card) + 0.05) / (Math.min(text, card) + 0.05);
            });
            """
        )
        assert min(ratio) >= 4.5  # WCAG 2.1 AA


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report.html", "contestant.html"])
def test_an_accessibility_checker_finds_nothing(
    driver: str, folders: dict[str, Path], width: str, scheme: str, name: str
) -> None:
    with browser(driver, width) as page:
        page.open(folders["plain"] / name)
        page.prefer(scheme)
        page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        found = page.run(f"{AXE}\nreturn axe.run({{exclude: [['svg']]}}).then(seen => seen.violations)")
        assert [(one["id"], [node["target"] for node in one["nodes"]][:5]) for one in found] == []


def test_headings_go_down_one_level_at_a_time(driver: str, folders: dict[str, Path]) -> None:
    with browser(driver, "desktop") as page:
        for name in ("report.html", "contestant.html"):
            page.open(folders["plain"] / name)
            levels = page.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
            assert levels[0] == 1
            assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_a_printed_report_is_short_and_white(driver: str, folders: dict[str, Path]) -> None:
    with browser(driver, "desktop") as page:
        page.open(folders["plain"] / "report.html")
        printed = base64.b64decode(page.command("Page.printToPDF", {"preferCSSPageSize": True})["data"])
        assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 8
        page.media("print")
        assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 10,000 videos in each of its sets."""
    folder = tmp_path_factory.mktemp("large")
    result, data = example_result(folder)
    many = {
        name: replace(
            one,
            rows=tuple(
                replace(row, video_id=f"{number:05d}-{row.video_id}")
                for number, row in enumerate((one.rows * (10_000 // len(one.rows) + 1))[:10_000])
            ),
        )
        for name, one in data.items()
    }
    write_reports(result, many, RunFolder(path=folder))
    return folder / "report.html"


def test_ten_thousand_videos_can_be_sorted_and_filtered(driver: str, large: Path) -> None:
    assert large.stat().st_size < 5_000_000
    with browser(driver, "desktop") as page:
        page.open(large)
        status = "return document.querySelector('#private-videos [role=status]').textContent"
        assert page.run(status) == "1 to 100 of 10000"
        page.run(
            """
            const field = document.querySelector('#private-videos input');
            field.value = '00042-';
            field.dispatchEvent(new Event('input'));
            """
        )
        assert page.run(status) == "1 to 1 of 1"
        page.run(
            """
            const card = document.querySelector('#private-videos');
            card.querySelector('input').value = '';
            card.querySelector('input').dispatchEvent(new Event('input'));
            card.querySelectorAll('thead button')[0].click();
            """
        )
        first = "return document.querySelector('#private-videos tbody td').textContent"
        assert page.run(first).startswith("00000-")
        page.run("document.querySelector('#private-videos [data-step=\"1\"]').click()")
        assert page.run(status) == "101 to 200 of 10000"
        page.run(
            """
            const kind = document.querySelector('#private-videos select');
            kind.value = 'RUNTIME_ERROR';
            kind.dispatchEvent(new Event('change'));
            """
        )
        rows = "const rows = [...document.querySelectorAll('#private-videos tbody tr')];"
        kinds = page.run(f"{rows} return [...new Set(rows.map(row => row.cells[6].textContent))]")
        assert kinds == ["RUNTIME_ERROR"]
