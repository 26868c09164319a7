"""A contest that was lost comes back, also into a database of the other kind; what is damaged does not."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from made_contest import write_contest

from harness.cli.app import run_command
from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules.commands import CreateContest, GrantTries, RegisterTeam
from harness.core.blobs import BlobStore
from harness.core.contest import ContestRules
from harness.core.errors import ConfigError, InfrastructureError
from harness.portal.backup import backups, damage, make_backup, restore_backup
from harness.portal.database_copy import read_copy
from harness.results.run_folder import RunFolder
from harness.results.store import Store
from harness.results.store.tables import METADATA

pytestmark = pytest.mark.slow

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
RULES = ContestRules(timezone="UTC", opens=NOW - timedelta(days=1), closes=NOW + timedelta(days=9))
CREATE = CreateContest(challenge="made", challenge_sha256="ab" * 32, public_decimals=4, rules=RULES)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_contest(folder, entries=2, videos=20, people=10)
    return folder / "runs"


@pytest.fixture
def other_url(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An empty database of the other kind."""
    if not url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'other.db'}"
    found = str(request.getfixturevalue("postgresql"))
    engine = sa.create_engine(found)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    return found


def contest(url: str, runs: Path) -> Store:
    store = Store(url)
    ledger = Ledger(store, "made", path="/old/place/made/challenge.toml")
    for command in (
        CREATE,
        RegisterTeam(team="red", name="Rød 'team' ½"),
        GrantTries(team="red", tries=2, reason="x"),
    ):
        assert isinstance(ledger.ask(command, now=NOW), Accepted)
    for folder in sorted(runs.glob("2*")):
        store.record(RunFolder(path=folder))
    return store


def rows_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def files_of(root: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_everything_comes_back_into_a_database_of_the_other_kind(
    url: str, other_url: str, runs: Path, tmp_path: Path
) -> None:
    kept, blobs = tmp_path / "kept", BlobStore(str(tmp_path / "kept/files"))
    store = contest(url, runs)
    report = make_backup(store, {"runs": runs}, kept, blobs, now=NOW)  # four events: it opened by itself
    assert (report.rows["harness_events"], report.rows["harness_runs"]) == (4, 2)
    assert report.new_files == report.files == len(files_of(runs))
    assert not any((kept / one).stat().st_mode & 0o077 for one in (report.name, "files"))
    before = rows_of(store)
    Ledger(store, "made").ask(GrantTries(team="red", tries=1, reason="later"), now=NOW)
    store.close()
    back = Store(other_url)
    problems = restore_backup(
        kept, report.name, back, {"runs": tmp_path / "back"}, blobs, moved=("/old/place", "/new")
    )
    assert problems == ()
    moved = [
        tuple(
            "/new/made/challenge.toml" if cell == "/old/place/made/challenge.toml" else cell for cell in row
        )
        for row in before["harness_challenges"]
    ]
    assert rows_of(back) == before | {"harness_challenges": moved}
    assert files_of(tmp_path / "back") == files_of(runs)
    assert Ledger(back, "made").state().teams["red"].granted == 2
    Ledger(back, "made").ask(GrantTries(team="red", tries=1, reason="it goes on"), now=NOW)
    with pytest.raises(ConfigError, match="not empty"):
        restore_backup(kept, report.name, back, {"runs": tmp_path / "again"}, blobs)
    back.close()


def test_a_second_backup_copies_what_is_new_and_the_first_stays(url: str, runs: Path, tmp_path: Path) -> None:
    areas = {"runs": tmp_path / "runs"}
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/log").write_text("first\n")
    (tmp_path / "runs/one/half.part").write_text("of a killed writer")
    (tmp_path / "runs/one/link").symlink_to("/etc/passwd")
    kept, blobs = tmp_path / "kept", BlobStore(str(tmp_path / "kept/files"))
    store = contest(url, runs)
    first = make_backup(store, areas, kept, blobs, now=NOW)
    assert first.skipped == (str(tmp_path / "runs/one/link"),)
    with (tmp_path / "runs/one/log").open("a") as stream:
        stream.write("second\n")
    (tmp_path / "runs/new").write_text("new")
    second = make_backup(store, areas, kept, blobs, now=NOW + timedelta(seconds=1))
    assert (second.files, second.new_files) == (2, 2)
    assert make_backup(store, areas, kept, blobs, now=NOW + timedelta(seconds=2)).new_files == 0
    store.close()
    assert backups(kept)[:2] == (first.name, second.name)
    for name, text in ((first.name, "first\n"), (second.name, "first\nsecond\n")):
        back = Store(f"sqlite:///{tmp_path / name}.db")
        restore_backup(kept, name, back, {"runs": tmp_path / name}, blobs)
        back.close()
        assert (tmp_path / name / "one/log").read_text() == text


def test_what_is_damaged_is_named_and_is_not_brought_back(runs: Path, tmp_path: Path) -> None:
    kept, blobs = tmp_path / "kept", BlobStore(str(tmp_path / "kept/files"))
    store = contest(f"sqlite:///{tmp_path / 'a.db'}", runs)
    name = make_backup(store, {"runs": runs}, kept, blobs, now=NOW).name
    store.close()
    assert damage(kept, name, blobs) == ()
    victim = next(path for path in sorted((kept / "files").rglob("*")) if path.is_file())
    data = bytearray(victim.read_bytes())
    data[0] ^= 1
    victim.write_bytes(data)
    assert len(damage(kept, name, blobs)) == 1
    back = Store(f"sqlite:///{tmp_path / 'b.db'}")
    with pytest.raises(InfrastructureError, match="does not fit its name"):
        restore_backup(kept, name, back, {"runs": tmp_path / "back"}, blobs)
    assert not any(rows_of(back).values()), "the database comes last"
    copy = kept / name / "database.jsonl"
    copy.write_text(copy.read_text().replace("later", "never") + "\n")
    assert "database.jsonl" in damage(kept, name, blobs)[0]
    with pytest.raises(ConfigError, match="not as it was written"):
        restore_backup(kept, name, back, {"runs": tmp_path / "other"}, blobs)
    (kept / name / "backup.json").unlink()
    assert backups(kept) == ()
    back.close()


@pytest.mark.parametrize("cut", [1, 2, -1])
def test_a_copy_that_is_cut_off_leaves_an_empty_database(runs: Path, tmp_path: Path, cut: int) -> None:
    store = contest(f"sqlite:///{tmp_path / 'a.db'}", runs)
    blobs = BlobStore(str(tmp_path / "files"))
    name = make_backup(store, {}, tmp_path / "kept", blobs, now=NOW).name
    store.close()
    lines = (tmp_path / "kept" / name / "database.jsonl").read_text().splitlines(keepends=True)
    back = Store(f"sqlite:///{tmp_path / 'b.db'}")
    with pytest.raises(ConfigError, match="copy of the database"):
        read_copy(back, lines[:cut])
    newer = [json.dumps({"format": 1, "schema": "v9999"}) + "\n", *lines[1:]]
    with pytest.raises(ConfigError, match="v9999"):
        read_copy(back, newer)
    assert not any(rows_of(back).values())
    assert sum(read_copy(back, lines).values()) > 0
    back.close()


def test_an_event_that_somebody_changed_is_said_when_it_comes_back(runs: Path, tmp_path: Path) -> None:
    store = contest(f"sqlite:///{tmp_path / 'a.db'}", runs)
    events = METADATA.tables["harness_events"]
    changed = sa.func.replace(events.c.event, '"tries":2', '"tries":9')
    store.write(lambda connection: connection.execute(sa.update(events).values(event=changed)))
    blobs = BlobStore(str(tmp_path / "files"))
    name = make_backup(store, {}, tmp_path / "kept", blobs, now=NOW).name
    store.close()
    back = Store(f"sqlite:///{tmp_path / 'b.db'}")
    problems = restore_backup(tmp_path / "kept", name, back, {}, blobs)
    back.close()
    assert problems
    assert all(one.startswith("made: ") for one in problems)


def test_a_backup_beside_a_writer_is_of_one_moment(url: str, runs: Path, tmp_path: Path) -> None:
    store, stop = contest(url, runs), threading.Event()

    def write() -> None:
        ledger = Ledger(store, "made")
        while not stop.is_set():
            ledger.ask(GrantTries(team="red", tries=1, reason="again"), now=NOW)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        blobs = BlobStore(str(tmp_path / "files"))
        for number in range(5):
            now = NOW + timedelta(seconds=number)
            report = make_backup(store, {}, tmp_path / "kept", blobs, now=now)
    finally:
        stop.set()
        writer.join()
    store.close()
    back = Store(f"sqlite:///{tmp_path / 'back.db'}")
    assert restore_backup(tmp_path / "kept", report.name, back, {}, blobs) == ()
    state = Ledger(back, "made").state()
    assert state.teams["red"].granted == report.rows["harness_events"] - 2
    back.close()


def test_the_commands_make_verify_and_restore(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the defaults, under which the database lies among the runs that it is an index of."""
    monkeypatch.chdir(tmp_path)

    def harness(*arguments: object) -> int:
        return run_command(["backup", *map(str, arguments)])

    shutil.copytree(runs, "runs")
    contest(f"sqlite:///{tmp_path / 'runs/index.db'}", tmp_path / "runs").close()
    assert harness("make", "runs/kept") == 2, "a backup inside what it is of would grow without end"
    assert harness("make", "kept") == 0
    assert harness("list", "kept") == 0
    name = capsys.readouterr().out.split()[-1]
    assert name == backups(tmp_path / "kept")[0]
    assert harness("verify", "kept") == 0
    assert harness("restore", "kept") == 2, "what is there is not overwritten"
    new = ("--store", f"sqlite:///{tmp_path / 'new/index.db'}", "--runs", "new", "--packages", "new/packages")
    assert harness("restore", "kept", *new) == 0
    assert files_of(tmp_path / "new").keys() - {"index.db"} == files_of(runs).keys()
    assert harness("verify", "nowhere") == 2
