"""What a run folder says of its run in one row, and by which team it was entered.

`entry.json` is in the run's folder, so that an index can be rebuilt from the folders alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.core.errors import ConfigError, ResultError
from harness.core.files import write_text
from harness.core.text import TEAM_CHARACTERS_MAX, team_name
from harness.core.types import SetName
from harness.results.result import Result, read_result
from harness.results.run_folder import RunFolder
from harness.results.seal import content_sha256

SCHEMA_VERSION = 1  # of entry.json


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run as the index has it."""

    run_id: str
    created: str
    challenge: str
    challenge_sha256: str
    package: str
    package_sha256: str
    image_digest: str
    isolation: str
    public_verdict: str | None
    private_verdict: str | None
    public_log_loss: float | None
    private_log_loss: float | None
    eligible: bool
    team: str | None = None
    submitted: str | None = None
    result_sha256: str | None = None  # of the result in force; None if indexed by an older release
    regrade: str | None = None  # that made it; None if the run itself did


def entry_path(folder: RunFolder) -> Path:
    """Return where a run says by which team it was entered."""
    return folder.path / "entry.json"


def enter(folder: RunFolder, *, team: str, submitted: datetime | None = None) -> None:
    """Write down that a team entered a finished run; for the same team again, nothing changes.

    Raises:
        ConfigError: the name is empty, too long or not printable; or the run was entered by another team.
        ResultError: the folder contains no result that can be read.
    """
    name = _team(team)
    read_result(folder.result)
    before = _read_entry(folder)
    if before is not None and before["team"] != name:
        raise ConfigError(
            f"was already entered by {before['team']!r}",
            place=folder.path,
            remedy="Run the package again.",
        )
    if before is None:
        moment = (submitted or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
        document = {"schema_version": SCHEMA_VERSION, "team": name, "submitted": moment}
        write_text(entry_path(folder), json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_row(folder: RunFolder) -> RunRow:
    """Read a finished run's row out of its folder.

    Raises:
        ResultError: the folder contains no result that can be read, or that of another run.
    """
    holds = folder.current
    result, entry = read_result(holds.result), _read_entry(folder)
    if result.run_id != folder.run_id:
        raise ResultError(
            f"is the result of {result.run_id}",
            place=holds.result,
            remedy="Put it back into its own folder.",
        )
    return RunRow(
        run_id=result.run_id,
        created=result.created.astimezone(UTC).isoformat(timespec="microseconds"),
        challenge=result.challenge.name,
        challenge_sha256=result.challenge.sha256,
        package=result.package.name,
        package_sha256=result.package.sha256,
        image_digest=result.image.digest,
        isolation=result.isolation,
        public_verdict=_verdict(result, SetName.PUBLIC),
        private_verdict=_verdict(result, SetName.PRIVATE),
        public_log_loss=_log_loss(result, SetName.PUBLIC),
        private_log_loss=_log_loss(result, SetName.PRIVATE),
        eligible=result.leaderboard.eligible,
        team=entry["team"] if entry else None,
        submitted=entry["submitted"] if entry else None,
        result_sha256=content_sha256(holds.result),
        regrade=None if holds == folder else holds.path.name,
    )


def _verdict(result: Result, name: SetName) -> str | None:
    return result.sets[name].verdict.value if name in result.sets else None


def _log_loss(result: Result, name: SetName) -> float | None:
    return result.sets[name].score.log_loss if name in result.sets else None


def _read_entry(folder: RunFolder) -> dict[str, str] | None:
    path = entry_path(folder)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] == SCHEMA_VERSION:
            moment = datetime.fromisoformat(document["submitted"]).astimezone(UTC)
            return {"team": _team(document["team"]), "submitted": moment.isoformat(timespec="microseconds")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"entry.json cannot be read: {error}",
            place=path,
            remedy="Restore it, or delete it and submit again.",
        ) from error
    raise ResultError("entry.json is of an unknown schema version", place=path, remedy="Update the harness.")


def _team(name: str) -> str:
    team = team_name(name)
    if team is None:
        raise ConfigError(
            f"{name[:TEAM_CHARACTERS_MAX]!r} is not a name of a team",
            remedy=f"Use 1 to {TEAM_CHARACTERS_MAX} printable characters.",
        )
    return team
