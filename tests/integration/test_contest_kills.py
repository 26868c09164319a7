"""A contest on four nodes comes to the same results, whatever of it is killed meanwhile."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.core.challenge import load_challenge
from harness.core.types import OutcomeKind, SetName, Verdict
from harness.results.result import read_result
from harness.results.run_folder import RunFolder
from harness.videos.ready_set import ready_set
from tests.contest_kit import CRASHES, RAISES, write_challenge, write_entry
from tests.contest_kit.chaos import (
    Contest,
    accepted_once,
    by_content,
    left_behind,
    outcomes,
    to_the_end,
    tries,
)
from tests.contest_kit.servers import Postgres, RayNodes

pytestmark = pytest.mark.docker

KILLS = int(os.environ.get("HARNESS_KILLS", "10"))
SEED = int(os.environ.get("HARNESS_KILLS_SEED", "1"))
# Entries, videos of each set, videos of a shard: enough work for all that is killed meanwhile.
ENTRIES, VIDEOS, SHARD = (10, 4, 2) if KILLS <= 10 else (20, 32, 4)
PAUSE_SECONDS = 2.0 if KILLS <= 10 else 5.0  # between two kills, on average; less if the work gets done


@pytest.fixture
def contest(tmp_path: Path, light_image: str) -> Iterator[Contest]:
    name = f"kills{os.getpid()}"
    challenge = write_challenge(tmp_path / "challenge", name=name, public=VIDEOS, private=VIDEOS)
    for number in range(ENTRIES - 2):
        write_entry(tmp_path / "entries", team=f"team{number % 12}", name=f"entry{number}", sleep=0.05)
    write_entry(tmp_path / "entries", team="crashes", module=CRASHES)
    write_entry(tmp_path / "entries", team="raises", module=RAISES)
    with ThreadPoolExecutor(1) as beside:
        server = beside.submit(Postgres)
        nodes = RayNodes(tmp_path, nodes=4)  # in the main thread: Ray sets up signals for a node that starts
        database = server.result()
    found = Contest(
        challenge=challenge,
        entries=tmp_path / "entries",
        folder=tmp_path,
        image=light_image,
        nodes=nodes,
        database=database,
        shard_videos=SHARD,
        prefix=f"kills{os.getpid()}-",
    )
    yield found
    if found.driver is not None and found.driver.poll() is None:
        found.driver.kill()
        found.driver.wait()
    nodes.close()
    database.close()


@pytest.mark.timeout(600 + 30 * KILLS)
def test_the_results_are_those_of_an_undisturbed_contest(contest: Contest) -> None:
    shards = ENTRIES * 2 * (VIDEOS // SHARD)
    to_the_end(contest, kills=KILLS, seed=SEED, shards=shards, pause_seconds=PAUSE_SECONDS)
    print(*contest.log, sep="\n")
    print(dict(contest.kills), tries(contest.database.url))
    print((contest.folder / "driver.log").read_text()[-6000:])
    challenge = load_challenge(contest.challenge)
    sets = {name: ready_set(name, challenge, cache=contest.folder / "cache") for name in challenge.sets}
    folders = [RunFolder(path=path) for path in contest.runs.iterdir()]
    entries = len(list(contest.entries.glob("*/*")))
    assert len(folders) == entries >= ENTRIES
    for folder in folders:
        result = read_result(folder.result)
        for name, ready in sets.items():
            found = outcomes(folder, name)
            team, verdict = folder.run_id, result.sets[name].verdict
            if "-raises-" in team:
                assert (verdict, found) == (Verdict.RUNTIME_ERROR, {})
                continue
            assert verdict is Verdict.OK or "-crashes-" in team  # its share of failures decides its verdict
            key = "" if "-crashes-" in team else _key(contest, folder)
            assert found == {
                video.video_id: _expected(key, video.path.read_bytes()) for video in ready.videos
            }, f"{folder.run_id} {name}"
    assert accepted_once(contest.database.url, challenge.name) == entries * 2 * (VIDEOS // SHARD)
    assert sum(contest.kills.values()) == KILLS
    assert left_behind(contest) == []


def _key(contest: Contest, folder: RunFolder) -> str:
    """Find the entry of a run: the only one whose answers are these."""
    answers = outcomes(folder, SetName.PUBLIC)
    challenge = load_challenge(contest.challenge)
    ready = ready_set(SetName.PUBLIC, challenge, cache=contest.folder / "cache")
    first = ready.videos[0]
    for path in contest.entries.glob("*/*"):
        key = f"{path.parent.name}/{path.name}"
        if answers[first.video_id][1] == by_content(key, first.path.read_bytes()):
            return key
    raise AssertionError(f"no entry answers like {folder.run_id}")


def _expected(key: str, data: bytes) -> tuple[OutcomeKind, float | None]:
    if key:
        return OutcomeKind.PREDICTED, by_content(key, data)
    import hashlib

    drawn = int(hashlib.sha256(data).hexdigest()[:8], 16)
    if drawn % 11 == 0:
        return OutcomeKind.RUNTIME_ERROR, None
    return OutcomeKind.PREDICTED, (drawn % 1000) / 1000


def test_the_seed_decides_the_kills() -> None:
    one, other = random.Random(SEED), random.Random(SEED)
    assert [one.random() for _ in range(5)] == [other.random() for _ in range(5)]
