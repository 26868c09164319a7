"""Of the kept packages only those are removed that nothing can need any more, whatever else happens then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from harness.cli.app import run_command
from harness.contest.intake import hand_in, package_path
from harness.contest.kept_packages import WhyUnneeded, find_unneeded, remove_unneeded
from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import HARNESS
from harness.contest.rules import commands as cm
from harness.core.challenge import load_challenge
from harness.core.contest import ContestRules
from harness.core.errors import ConfigError, ResultError
from harness.results.store import Store

pytestmark = pytest.mark.slow

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SAMPLES = Path(__file__).parents[3] / "sample_videos" / "challenge.toml"
MakePackage = Callable[..., Path]


def sha(letter: str) -> str:
    return letter * 64


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    found = Store(url)
    yield found
    found.close()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


def keep(packages: Path, letter: str, size: int = 10) -> Path:
    path = package_path(packages, sha(letter))
    path.write_bytes(b"x" * size)
    return path


def begin(store: Store, name: str = "c") -> Ledger:
    ledger = Ledger(store, name)
    rules = ContestRules.model_validate(
        {"timezone": "UTC", "opens": NOON - timedelta(days=1), "closes": NOON + timedelta(days=60)}
        | {"valid_per_day": 50}
    )
    ask(
        ledger,
        cm.CreateContest(challenge=name, challenge_sha256=sha("0"), public_decimals=4, rules=rules),
        cm.RegisterTeam(team="us", name="Us"),
    )
    return ledger


def ask(ledger: Ledger, *commands: cm.Command, **more: Any) -> None:
    for one in commands:
        assert isinstance(ledger.ask(one, now=NOON, **more), Accepted), one


def submit(ledger: Ledger, entry: str, letter: str) -> None:
    ask(ledger, cm.Submit(entry=entry, team="us", package_sha256=sha(letter), external_data=()))


def cancel(ledger: Ledger, entry: str) -> None:
    ask(ledger, cm.CancelEntry(entry=entry, reason="a mistake"))


def fate(ledger: Ledger, entry: str, end: cm.Command | None) -> None:
    ask(ledger, cm.Start(entry=entry, attempt=1), *([end] if end else []), by=HARNESS)


def test_only_what_is_cancelled_or_never_was_an_entry_can_go(store: Store, packages: Path) -> None:
    ledger = begin(store)
    run: dict[str, Any] = {"attempt": 1, "run_id": "r", "verdict": "OK"}
    for entry, letter in zip(("waits", "runs", "scored", "failed", "spoiled", "gone"), "abcdef", strict=True):
        submit(ledger, entry, letter)
        keep(packages, letter, size=ord(letter))
    fate(ledger, "runs", None)
    fate(ledger, "scored", cm.RecordScore(entry="scored", result_sha256=sha("9"), public_loss=0.5, **run))
    fate(ledger, "failed", cm.RecordFailure(entry="failed", **run))
    fate(ledger, "spoiled", cm.VoidAttempt(entry="spoiled", attempt=1, reason="our disk"))
    cancel(ledger, "gone")
    keep(packages, "9", size=5)
    found = find_unneeded(store, packages)
    assert (found.needed, found.needed_bytes) == (5, sum(map(ord, "abcde")))
    assert [(one.sha256, one.why, one.entries) for one in found.unneeded] == [
        (sha("f"), WhyUnneeded.CANCELLED, ("c/gone",)),
        (sha("9"), WhyUnneeded.NO_ENTRY, ()),
    ]
    assert found.unneeded_bytes == ord("f") + 5
    assert len(list(packages.iterdir())) == 7, "looking removes nothing"
    gone: list[Path] = []
    assert len(remove_unneeded(store, packages, removed=gone.append).unneeded) == 1
    assert gone == [package_path(packages, sha("f"))]
    assert {one.stem[0] for one in packages.iterdir()} == set("abcde9")
    remove_unneeded(store, packages, no_entry=True)
    assert {one.stem[0] for one in packages.iterdir()} == set("abcde")


def test_a_package_that_any_other_entry_needs_stays(store: Store, packages: Path) -> None:
    """The same bytes by another entry of the team, or in another contest of the store."""
    first, second = begin(store), begin(store, "d")
    kept = keep(packages, "a")
    submit(first, "e1", "a")
    submit(first, "e2", "a")
    submit(second, "e3", "a")
    for ledger, entry, left in ((first, "e1", True), (second, "e3", True), (first, "e2", False)):
        cancel(ledger, entry)
        remove_unneeded(store, packages, no_entry=True)
        assert kept.exists() is left, entry


def test_files_that_are_no_kept_packages_stay(store: Store, packages: Path) -> None:
    submit(begin(store), "e1", "a")
    keep(packages, "a")
    strange = [packages / "notes.txt", packages / "mine.zip", packages / f".{sha('a')}.zip.part"]
    for path in strange:
        path.write_bytes(b"x")
    (packages / f"{sha('b')}.zip").mkdir()
    assert find_unneeded(store, packages).unneeded == ()
    remove_unneeded(store, packages, no_entry=True)
    assert package_path(packages, sha("a")).exists()
    assert all(path.exists() for path in strange)


def test_with_the_wrong_store_nothing_is_removed(store: Store, packages: Path) -> None:
    """An empty one is made where a name is mistyped: then no entry of it needs anything."""
    kept = keep(packages, "a")
    for name in ("c", "d"):  # without any contest, and with one that has none of these packages
        with pytest.raises(ConfigError, match=r"(?s)no entry with any.*--store"):
            remove_unneeded(store, packages, no_entry=True)
        begin(store, name)
    assert remove_unneeded(store, packages).unneeded == ()
    assert kept.exists()


def test_with_a_damaged_log_nothing_is_removed(store: Store, packages: Path) -> None:
    ledger = begin(store)
    kept = keep(packages, "a")
    submit(ledger, "e1", "a")
    cancel(ledger, "e1")
    change = "UPDATE harness_events SET event = replace(event, 'Us', 'Them') WHERE number = 3"
    store.write(lambda connection: connection.execute(sa.text(change)))
    with pytest.raises(ResultError, match=r"contest c.*event 3 was changed"):
        remove_unneeded(store, packages, no_entry=True)
    assert kept.exists()


def test_a_folder_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    for look in (find_unneeded, remove_unneeded):
        with pytest.raises(ConfigError, match=r"(?s)nowhere.*--packages"):
            look(store, tmp_path / "nowhere")


def test_what_is_handed_in_again_while_it_is_removed_is_kept_again(
    store: Store, packages: Path, make_package: MakePackage
) -> None:
    """The worst moment: after `hand_in` has seen the file, and before its entry is on record."""

    class Removing(Ledger):
        def ask(self, command: cm.Command, **more: Any) -> Any:
            assert len(remove_unneeded(store, packages, no_entry=True).unneeded) == 1
            return super().ask(command, **more)

    package = make_package("return 0.5")
    submit(begin(store), "another", "a")
    keep(packages, "a")
    taken = hand_in(
        Removing(store, "c"),
        package,
        team="us",
        challenge=load_challenge(SAMPLES),
        packages=packages,
        now=NOON,
        declares_none=True,
    )
    assert isinstance(taken.answer, Accepted)
    assert taken.package is not None
    assert taken.package.is_file()


def test_the_command_says_first_and_removes_only_when_told(
    tmp_path: Path, packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    store = Store(url)
    ledger = begin(store)
    submit(ledger, "e1", "a")
    cancel(ledger, "e1")
    submit(ledger, "e2", "c")
    store.close()
    kept, refused, _ = keep(packages, "a", 2_000_000), keep(packages, "b"), keep(packages, "c")

    def typed(*more: str) -> tuple[int, str]:
        code = run_command(["contest", "packages", "--store", url, "--packages", str(packages), *more])
        return code, capsys.readouterr().out

    code, out = typed()
    assert code == 0
    assert "cancelled: c/e1" in out
    assert "2 MB" in out
    assert "Nothing was removed" in out
    assert kept.exists()
    assert typed("--no-entry")[0] == 2, "without --remove it would say nothing of what it does"
    document = json.loads(typed("--remove", "--json")[1])
    assert (document["removed"], [one["sha256"] for one in document["unneeded"]]) == (True, [sha("a")])
    assert (kept.exists(), refused.exists()) == (False, True)
    assert typed("--remove", "--no-entry")[0] == 0
    assert not refused.exists()
    assert typed()[1].splitlines() == ["needed: 1, 10 bytes; not needed: 0, 0 bytes"]
