"""One class owns the paths of a run; nothing else joins them.

The folder is the truth about a run. The index of runs can be rebuilt from it, a killed harness resumes from
it, and files in it are written beside their place and renamed, so no file is ever half there.
"""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.core.errors import ConfigError, ResultError
from harness.core.files import write_text
from harness.core.types import SetName


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What makes two runs the same: a run is resumed only if all of it agrees."""

    package_sha256: str
    challenge_sha256: str
    image: str
    isolation: str
    sets_sha256: str  # of the prepared sets known when it began: of one entry's run the public set's


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run's name, which sorts by time."""
        return self.path.name

    @property
    def request(self) -> Path:
        """The request: the identity and the seed."""
        return self.path / "run.json"

    @property
    def result(self) -> Path:
        """The result: there exactly when the run is finished."""
        return self.path / "result.json"

    @property
    def report(self) -> Path:
        """The organiser's report."""
        return self.path / "report.html"

    @property
    def contestant_report(self) -> Path:
        """What the contestant may see."""
        return self.path / "contestant.html"

    def journal(self, name: SetName) -> Path:
        """Return the file of one set's outcomes, a line each, written before the next video."""
        return self.path / "sets" / name.value / "outcomes.jsonl"

    def set_run(self, name: SetName) -> Path:
        """Return the file that summarises one set's run: it exists only when that set is finished."""
        return self.path / "sets" / name.value / "set_run.json"

    def score(self, name: SetName) -> Path:
        """Return the file of a finished set's score, which the public set has before the run is finished."""
        return self.path / "sets" / name.value / "score.json"

    def log(self, name: SetName) -> Path:
        """Return the file with the end of what the package printed, capped."""
        return self.path / "sets" / name.value / "log.txt"

    def repeat(self, number: int) -> RunFolder:
        """Where a further pass over the sets is kept: journals, summaries and logs, as here."""
        return RunFolder(path=self.path / "repeats" / str(number))

    def regrade(self, name: str) -> RunFolder:
        """Where the result of a regrade is kept, with its seal; this run's own stays as it is."""
        return RunFolder(path=self.path / "regrades" / name)

    @property
    def regrades(self) -> tuple[RunFolder, ...]:
        """The valid regrades of this run, the oldest first: their names sort by time.

        A regrade is of many runs. It holds, for all of them at once, when its record is beside the runs.
        """
        root = self.path / "regrades"
        paths = sorted(root.iterdir()) if root.is_dir() else []
        return tuple(
            RunFolder(path=path)
            for path in paths
            if (path / "result.json").is_file() and regrade_record(self.path.parent, path.name).is_file()
        )

    @property
    def current(self) -> RunFolder:
        """The path of the result in force: of the last regrade, or the run's own."""
        return self.regrades[-1] if self.regrades else self

    def shard(self, name: SetName, number: int, *, attempt: int, token: int) -> Path:
        """Return the folder of one attempt at one shard; the store says which attempt counts."""
        return self.path / "sets" / name.value / "shards" / f"{number}-{attempt}-{token}.json"

    def stop(self, name: SetName, number: int) -> Path:
        """Return the file that exists if a shard is no longer wanted."""
        return self.path / "sets" / name.value / "shards" / f"{number}.stop"

    def videos_done(self, name: SetName, number: int) -> Path:
        """Return the file in which a shard's worker counts videos while it is at work."""
        return self.path / "sets" / name.value / "shards" / f"{number}.videos"

    def disturbance(self, name: SetName) -> Path:
        """Return the file of what disturbed a set's run on its cores, if it ran beside others."""
        return self.path / "sets" / name.value / "disturbance.json"

    def sharding(self, name: SetName) -> Path:
        """Return the file that says whether a set's answers in shards are those of the whole set."""
        return self.path / "sets" / name.value / "sharding.json"

    def seed(self) -> int:
        """Return the seed of the order in which videos are fed.

        Raises:
            ResultError: `run.json` is damaged.
        """
        seed = self._read_request().get("order_seed")
        if not isinstance(seed, int):
            raise ResultError("has no order_seed", place=self.request, remedy="Delete this run folder.")
        return seed

    def belongs_to(self, identity: RunIdentity) -> bool:
        """Tell whether this run was made from the same package, challenge, image and sets.

        Releases up to 0.1 prepared every set first, and put all of them on record.
        """
        known, asked = self._read_request().get("identity"), asdict(identity)
        if not isinstance(known, dict):
            return False
        sets = set(str(known.get("sets_sha256")).split(" "))
        return set(identity.sets_sha256.split(" ")) <= sets and asked == known | {
            "sets_sha256": identity.sets_sha256
        }

    def _read_request(self) -> dict[str, object]:
        try:
            document = json.loads(self.request.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResultError(
                "cannot be read", place=self.request, remedy="Delete this run folder."
            ) from error
        return document if isinstance(document, dict) else {}


def regrade_record(runs_root: Path, name: str) -> Path:
    """Return where the record of a regrade is: there exactly when it is finished."""
    return runs_root / "regrades" / f"{name}.json"


def new_run(
    runs_root: Path, identity: RunIdentity, *, order_seed: int | None = None, run_id: str | None = None
) -> RunFolder:
    """Make a fresh run folder. Without a seed, a random one is drawn and recorded.

    Args:
        runs_root: Where run folders are made.
        identity: What is run on what.
        order_seed: Of the order in which videos are fed.
        run_id: The run's name; by default one that sorts by time. A folder of that name that was cut off
            before its first video is used.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = RunFolder(path=runs_root / (run_id or f"{stamp}-{secrets.token_hex(3)}"))
    folder.path.mkdir(parents=True, exist_ok=run_id is not None)
    seed = secrets.randbits(63) if order_seed is None else order_seed
    document = {"run_id": folder.run_id, "order_seed": seed, "identity": asdict(identity)}
    write_text(folder.request, json.dumps(document, indent=2) + "\n")
    return folder


def unfinished_run(runs_root: Path, identity: RunIdentity) -> RunFolder | None:
    """Find the newest run of the same things that was cut off, if there is one."""
    if not runs_root.is_dir():
        return None
    for path in sorted(runs_root.iterdir(), reverse=True):
        folder = RunFolder(path=path)
        if folder.request.is_file() and not folder.result.exists() and _matches(folder, identity):
            return folder
    return None


def _matches(folder: RunFolder, identity: RunIdentity) -> bool:
    try:
        return folder.belongs_to(identity)
    except ResultError:
        return False  # a damaged folder is nobody's run; it is left for its owner to look at


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Hold a run for one harness at a time; the lock goes with the process, however it ends.

    Raises:
        ConfigError: another harness is at work on this run.
    """
    with (folder.path / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                "another harness is at work on this run",
                place=folder.path,
                remedy="Wait for it, or pass --fresh to start a new run.",
            ) from error
        yield
