"""A contest whose driver, nodes, containers and database are killed at random, by a seed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import docker
import sqlalchemy as sa

from harness.core.types import OutcomeKind, SetName
from harness.gateway.journal import read_journal
from harness.results.run_folder import RunFolder
from harness.results.store import Store, jobs
from harness.results.store.jobs import JobState
from harness.sandbox.docker.sandbox import RUN_LABEL
from tests.contest_kit import write_entry
from tests.contest_kit.servers import Postgres, RayNodes

SHARD_FILES = "*/sets/*/shards/*-*.json"
LAST_KILL = 0.7  # of all shards are in when the last kill comes, at the latest


@dataclass(kw_only=True)
class Contest:
    """A contest at work, and what may be killed of it."""

    challenge: Path
    entries: Path
    folder: Path
    image: str
    nodes: RayNodes
    database: Postgres
    shard_videos: int
    prefix: str  # of its run ids
    kills: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    driver: subprocess.Popen[bytes] | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def start_driver(self) -> None:
        command = [
            *(str(Path(sys.executable).with_name("harness")), "contest", "run", str(self.challenge)),
            *("--entries", str(self.entries), "--runs", str(self.runs)),
            *("--cache", str(self.folder / "cache")),
            *("--store", self.database.url, "--engine", "ray", "--address", self.nodes.address),
            *("--blobs", str(self.folder / "blobs"), "--shard-videos", str(self.shard_videos)),
            *("--image", self.image, "--no-reports", "--attempts", "1000"),
        ]
        environment = {**os.environ, "TMPDIR": str(self.nodes.temporary)}
        with (self.folder / "driver.log").open("ab") as log:
            self.driver = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def tell(self, text: str) -> None:
        self.log.append(f"{time.monotonic() - self.began:7.1f} s  {text}")
        with (self.folder / "kills.log").open("a") as log:
            log.write(self.log[-1] + "\n")

    def kill(self, kind: str, rng: random.Random) -> bool:
        """Kill one thing of a kind; tells whether there was one."""
        killed = {
            "driver": self._kill_driver,
            "node": self._kill_node,
            "container": self._kill_container,
            "database": self._kill_database,
        }[kind](rng)
        if killed:
            self.kills[kind] += 1
            self.tell(f"killed a {kind}: {killed}")
        return bool(killed)

    def hand_in_another(self) -> None:
        self.tell("the work was done: another entry is handed in")
        write_entry(self.entries, team=f"late{len(list(self.entries.iterdir()))}", sleep=0.2)

    def shards_in(self) -> int:
        """Count the shards that have brought an outcome, in files: the database may be away."""
        return len({path.with_name(path.name.split("-")[0]) for path in self.runs.glob(SHARD_FILES)})

    def containers(self) -> list[str]:
        client = docker.from_env(timeout=120)
        try:
            found = client.api.containers(all=True, filters={"label": RUN_LABEL})
            return [one["Id"] for one in found if one["Labels"][RUN_LABEL].startswith(self.prefix)]
        finally:
            client.close()

    def _kill_driver(self, rng: random.Random) -> str:
        assert self.driver is not None
        if self.driver.poll() is not None:
            return ""
        self.driver.send_signal(signal.SIGKILL)
        self.driver.wait()
        return str(self.driver.pid)

    def _kill_node(self, rng: random.Random) -> str:
        number = rng.randrange(4)
        self.nodes.kill(number)
        return str(number)

    def _kill_container(self, rng: random.Random) -> str:
        found = self.containers()
        if not found:
            return ""
        chosen = rng.choice(found)
        how = rng.choice((["kill"], ["rm", "-f"]))
        done = subprocess.run(["docker", *how, chosen], capture_output=True, check=False)
        return f"{' '.join(how)} {chosen[:12]}" if done.returncode == 0 else ""

    def _kill_database(self, rng: random.Random) -> str:
        self.database.kill()
        time.sleep(rng.uniform(0, 1))
        self.database.start()
        return "started again"


def to_the_end(contest: Contest, *, kills: int, seed: int, shards: int, pause_seconds: float) -> None:
    """Run a contest to its end, restarting its driver like a service manager, and kill meanwhile.

    Every kill comes after a random pause, or earlier if the work would be done before all kills were; if it
    is nevertheless, another entry is handed in. So on a machine of any speed all hit a contest at work.
    """
    rng = random.Random(seed)
    planned = ["driver", "node", "container", "database"] * (kills // 4 + 1)
    planned = planned[:kills]
    rng.shuffle(planned)
    contest.start_driver()
    following = time.monotonic() + rng.uniform(0, 2 * pause_seconds)
    while True:
        assert contest.driver is not None
        code = contest.driver.poll()
        if code == 0 and not planned:
            return
        if code == 0:
            contest.hand_in_another()
        if code is not None:
            contest.tell(f"the driver ended with {code}; it is started again")
            contest.start_driver()
        done = contest.shards_in()
        early = done / shards > LAST_KILL * (1 - (len(planned) - 1) / kills)
        if planned and (early or time.monotonic() >= following) and contest.kill(planned[0], rng):
            contest.tell(f"  … with {done} of {shards} shards in")
            planned.pop(0)
            following = time.monotonic() + rng.uniform(0, 2 * pause_seconds)
        time.sleep(0.1)


def by_content(key: str, data: bytes) -> float:
    """What the predictor of a made entry answers."""
    return 0.2 + 0.6 * (int(hashlib.sha256(key.encode() + data).hexdigest()[:8], 16) / 2**32)


def outcomes(folder: RunFolder, name: SetName) -> dict[str, tuple[OutcomeKind, float | None]]:
    """Every outcome of a set as the journal has it.

    Raises:
        AssertionError: a video has two.
    """
    _, lines = read_journal(folder.journal(name))
    found = {line.outcome.video_id: (line.outcome.kind, line.outcome.probability) for line in lines}
    assert len(found) == len(lines), f"{folder.run_id}: a video has two outcomes"
    return found


def accepted_once(url: str, challenge: str) -> int:
    """Count the shards that were accepted.

    Raises:
        AssertionError: one is not done.
    """
    store = Store(url)
    try:
        with store.read() as connection:
            found = jobs.listed(connection, challenge=challenge)
            count = connection.execute(sa.text("SELECT count(*) FROM harness_jobs")).scalar()
        assert {job.state for job in found} == {JobState.DONE}, Counter(job.state for job in found)
        assert count == len(found)
        return len(found)
    finally:
        store.close()


def tries(url: str) -> dict[int, int]:
    """Count shards by the attempt that was accepted."""
    store = Store(url)
    try:
        with store.read() as connection:
            return dict(sorted(Counter(job.attempt for job in jobs.listed(connection)).items()))
    finally:
        store.close()


def left_behind(contest: Contest) -> list[str]:
    """Name what a finished contest has left: containers, folders of videos, and processes of its workers."""
    found = [f"container {one[:12]}" for one in contest.containers()]
    found += [f"folder {path}" for path in contest.nodes.temporary.iterdir()]
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(contest.folder) in words and str(os.getpid()) != place.parent.name and "postgres" not in words:
            found.append(f"process {words[:100]}")
    return found
