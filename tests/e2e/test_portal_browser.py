"""The portal in a real Chromium, with the real worker and Docker: from a dropped zip to the released board.

And every page at both widths and in both colours: nothing sticks out, and axe-core finds nothing.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from portal_kit import Kit, portal, write_package
from real_browser import OVERFLOWING, WIDTHS, Browser, browser, chromedriver

from harness.contest.board.published import PublishedRow
from harness.contest.events import ContestPhase
from harness.contest.regrade.what_moves import Preview, SetMove, Side, TeamMove
from harness.contest.rules.commands import EnterPhase, Role
from harness.portal.access import Holder, make_link
from harness.results.store import regrade_rows
from harness.results.store.regrade_rows import RegradeRow, RegradeState

SHOTS = os.environ.get("PORTAL_SHOTS")  # a folder for pictures of every page, for whoever wants to look
TEAM_PAGES = ("", "/board", "/submit", "/entries", "/team")
ORGANISER_PAGES = (
    *(
        "",
        "/entries",
        "/teams",
        "/regrades",
        "/regrades/20261127-070000-abcdef",
        "/log",
        "/phase?to=released",
    ),
)


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
    with chromedriver() as address:
        yield address


@contextmanager
def worker(kit: Kit) -> Iterator[None]:
    """Run the contest's worker, as an organiser does."""
    command = [
        *(sys.executable, "-m", "harness", "contest", "run", str(kit.toml), "--entries", "store", "--watch"),
        *("--store", kit.config.store, "--runs", str(kit.config.runs)),
        *("--packages", str(kit.config.packages), "--cache", str(kit.folder / "cache"), "--workers", "1"),
    ]
    kit.config.packages.mkdir(parents=True, exist_ok=True)
    with (kit.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=120)


def enter(page: Browser, kit: Kit, team: str | None) -> None:
    role = Role.ORGANISER if team is None else Role.TEAM
    holder = Holder(role=role, label="Ada", challenge=team and kit.name, team=team)
    page.open(make_link(kit.site, holder).text)
    page.click("button.first")
    page.wait(lambda: "/enter/" not in page.run("return location.href"), "nobody was let in")


@pytest.mark.docker
def test_from_a_dropped_zip_to_the_released_board(driver: str, tmp_path: Path) -> None:
    with portal(tmp_path, chunk_bytes=60_000) as kit, worker(kit), browser(driver, "desktop") as page:
        place = f"{kit.address}/c/{kit.name}"
        enter(page, kit, "red")
        page.open(f"{place}/submit")
        broken = write_package(tmp_path / "broken.zip", more={"predictor.py": "class Predictor(:\n"})
        drop(page, broken)
        page.click("#send")
        page.wait(lambda: "P301" in page.text("#findings"), "the check's findings are not shown")
        assert "nothing was spent" in page.text("#findings")
        page.open(f"{place}/submit")
        weights = {"weights.txt": secrets.token_hex(300_000)}
        page.type("#file", str(write_package(tmp_path / "good.zip", answer="0.4", more=weights)))
        page.click("#no-data")
        offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
        page.command("Network.enable", {})
        page.command("Network.emulateNetworkConditions", offline | {"offline": False})
        page.click("#send")
        page.wait(lambda: "Sending" in page.text("#step"), "nothing is sent")
        page.command("Network.emulateNetworkConditions", offline | {"offline": True})
        page.wait(lambda: "line broke" in page.text("#step"), "a broken line is not noticed")
        page.command("Network.emulateNetworkConditions", offline | {"offline": False, "uploadThroughput": -1})
        page.wait(lambda: "/entries/" in page.run("return location.href"), "the upload does not go on")
        seen = set[str]()

        def scored() -> bool:
            seen.add(page.text("main"))
            return "Public log loss" in page.text("main")

        page.wait(scored, (tmp_path / "worker.log").read_text())
        assert any("WHERE IT IS" in text.upper() for text in seen), (
            "nothing was shown while it waited and ran"
        )
        assert "valid" in page.text("main")
        shown = page.text(".number")
        page.open(f"{place}/board")
        page.wait(lambda: shown in page.text("main"), "the score is not on the board")
        assert "The red team" in page.text("tr.own")
        regrade_as_organiser(driver, kit)
        page.wait(lambda: shown not in page.text("tr.own"), "the new score does not come by itself")
        page.open(f"{place}/team")
        page.click("input[name=entry]")
        page.click("form[action$='/finals'] button")
        page.wait(lambda: "Your finals are chosen" in page.text("main"), "finals cannot be chosen")
        page.open(f"{place}/board")
        page.run("document.querySelector('#as-csv').focus()")
        enter_release(driver, kit)
        page.wait(
            lambda: "PRIVATE BOARD" in page.text("main").upper() and "The red team" in page.text("main"),
            "the private board does not appear by itself",
            seconds=60,
        )
        # Whoever reads on is not thrown back, though a link has come before theirs.
        assert page.run("return document.activeElement.textContent") == "CSV"
        page.wait(
            lambda: "UTC" not in page.text("main"), "times are not the reader's after a part was renewed"
        )
        assert [one for one in page.log("browser") if "Content Security Policy" in one["message"]] == []


def drop(page: Browser, path: Path) -> None:
    """Drop a file onto the page, as a hand does."""
    data = base64.b64encode(path.read_bytes()).decode()
    page.run(f"""
        const bytes = Uint8Array.from(atob({data!r}), one => one.charCodeAt(0));
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], {path.name!r}, {{type: "application/zip"}}));
        const told = {{dataTransfer: carried, bubbles: true, cancelable: true}};
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", told));
    """)


def enter_release(driver: str, kit: Kit) -> None:
    """Release the scores as the organiser does, in a browser of their own."""
    with browser(driver, "desktop") as page:
        enter(page, kit, None)
        page.open(f"{kit.address}/c/{kit.name}/organise/phase?to=released")
        assert "The red team" in page.text("main")
        page.type("input[name=reason]", "it is over")
        page.click("form[action$='/phase'] button")
        page.wait(lambda: "The phase has begun" in page.text("main"), "nothing was released")
        page.open(f"{kit.address}/c/{kit.name}/organise/log")
        assert "whole" in page.text("main")
        assert "organiser Ada" in page.text("main")


def regrade_as_organiser(driver: str, kit: Kit) -> None:
    """Correct a public label with a file, see what that moves, and let it hold."""
    corrected = kit.folder / "corrected.csv"
    corrected.write_text("filename,label\nclip00000.mp4,fake\n", encoding="utf-8")
    with browser(driver, "desktop") as page:
        enter(page, kit, None)
        page.open(f"{kit.address}/c/{kit.name}/organise/regrades")
        page.click("select[name=set] option[value=public]")
        page.type("input[type=file]", str(corrected))
        page.wait(
            lambda: page.run("return document.getElementById('labels').value.includes('clip00000')"),
            "the file is not put into the field",
        )
        page.type("input[name=reason]", "its label was wrong")
        page.click("form[action$='/regrades/ask'] button")
        page.wait(lambda: "1 label changes" in page.text("main"), "no preview comes")
        assert "1 have another score" in page.text("main")
        page.click("form[action$='/apply'] button")
        page.accept()
        page.wait(lambda: "It holds" in page.text("main"), "it is not applied")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Two teams with several entries and names of every length, and both boards."""
    with portal(tmp_path_factory.mktemp("pages")) as found:
        entries = []
        for number, loss in enumerate((0.61, 0.52, 0.58, 0.49), start=3):
            entries.append(found.hand_in("red", answer=f"0.{number}"))
            found.finish(entries[-1], loss=loss, log="loading weights\n" + "x" * 300 + "\n")
        other = found.hand_in("blue", answer="0.9")
        found.finish(other, loss=0.55)
        found.ask(EnterPhase(phase=ContestPhase.RELEASED, reason="it is over"))
        rows = tuple(
            PublishedRow(
                place=place,
                team=team,
                name=name,
                score=0.4 + place / 50,
                low=0.35,
                high=0.5 + place / 50,
                group=1 + place // 6,
                best_percent=max(0, 60 - 20 * place),
                entries=place,
                last="2026-11-27T07:00:00+00:00",
                entry=entries[0],
                public_place=1 + (place * 7) % 12,
            )
            for place, (team, name) in enumerate(
                [("red", "The red team"), ("blue", "W" * 80), *((f"t{n}", f"Team {n}") for n in range(10))], 1
            )
        )
        found.publish(rows)
        found.publish(rows, set_name="private")
        put_regrade(found, rows)
        yield found


def put_regrade(kit: Kit, rows: tuple[PublishedRow, ...]) -> None:
    """Put a regrade on record that waits for the organiser's decision."""
    moves = tuple(
        TeamMove(
            team=row.team,
            name=row.name,
            before=Side(place=row.place, score=row.score, group=row.group, entry=row.entry),
            after=Side(place=row.place + 1, score=row.score + 0.01, group=2, entry=row.entry),
        )
        for row in rows
    )
    counts = {"labels_changed": 3, "dropped": 2, "teams": 12, "scores": 12, "places": 12, "groups": 5}
    sets = tuple(SetMove(set=name, moves=moves, **counts) for name in ("public", "private"))
    preview = Preview(
        runs=5, events=9, regrades=(), left_out=("run-1: is of another set",), sets=sets, correction={}
    )
    moment = "2026-11-27T07:00:00+00:00"
    row = RegradeRow(
        challenge=kit.name,
        regrade="20261127-070000-abcdef",
        state=RegradeState.PREVIEWED,
        by="organiser Ada",
        reason="three labels were wrong",
        asked=moment,
        changed=moment,
        document="{}",
        preview=preview.to_json(),
    )
    kit.site.store.write(lambda connection: regrade_rows.add(connection, row))


@pytest.mark.parametrize(("width", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_every_page_fits_and_axe_finds_nothing(driver: str, kit: Kit, width: str, scheme: str) -> None:
    place = f"{kit.address}/c/{kit.name}"
    first = kit.ledger.state().teams["red"].entries[0]
    mine = [*(place + path for path in TEAM_PAGES), f"{place}/entries/{first}", f"{place}/board?set=public"]
    theirs = [*(f"{place}/organise{path}" for path in ORGANISER_PAGES), f"{kit.address}/create", kit.address]
    with browser(driver, width) as page:
        page.prefer(scheme)
        for team, urls in (("red", mine), (None, theirs)):
            enter(page, kit, team)
            for url in urls:
                page.open(url)
                where = f"{url} at {width}, {scheme}"
                page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
                assert page.run("return window.innerWidth") == WIDTHS[width][0], where
                assert page.run("return document.documentElement.scrollWidth - window.innerWidth") <= 0, where
                assert page.run(OVERFLOWING) == [], where
                assert page.violations() == [], where
                if SHOTS:
                    name = url.removeprefix(kit.address).strip("/").replace("/", "-").replace("?", "-")
                    page.picture(Path(SHOTS) / f"{width}-{scheme}-{name or 'index'}.png")
        severe = [one["message"] for one in page.log("browser") if one["level"] == "SEVERE"]
        assert severe == [], severe
