"""Packages on their way into a contest, and finished runs on their way into its record."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import HARNESS, ORGANISER, Actor, Command, Refusal
from harness.contest.rules.commands import RecordFailure, RecordScore, Submit, VoidAttempt
from harness.contest.state import Entry
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError
from harness.core.types import VERDICT_PRIORITY, SetName, Verdict
from harness.package.check import CheckReport, check_package
from harness.package.pack import pack
from harness.package.source import survey
from harness.results.result import NO_ISOLATION, Result, SetResult, read_result
from harness.results.run_folder import RunFolder
from harness.results.seal import content_sha256
from harness.results.store import runs


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What happened to a package that was handed in.

    Attributes:
        report: What the static check found.
        answer: Of the contest; None if the check found errors: then nothing was asked or spent.
        entry: The id it was handed in under.
        package: Where it is kept; None if it was not taken.
    """

    report: CheckReport
    answer: Accepted | Refusal | None
    entry: str
    package: Path | None


def package_path(packages: Path, sha256: str) -> Path:
    """Return where a package is kept, by its sha256."""
    return packages / f"{sha256}.zip"


def hand_in(
    ledger: Ledger,
    package: Path,
    *,
    team: str,
    challenge: Challenge,
    packages: Path,
    now: datetime,
    by: Actor = ORGANISER,
    declares_none: bool = False,
) -> Intake:
    """Check a package without starting it, keep it, and ask for it to be taken as an entry.

    It is kept before it is taken: an entry's package is always there.

    Args:
        ledger: The contest's.
        package: A folder or zip.
        team: Its id.
        challenge: For the limits and the contract.
        packages: The folder of packages, each by its sha256.
        now: The moment.
        by: Who gives the command.
        declares_none: It says that nothing was trained on further data, if its manifest names none.

    Raises:
        PackageError: it cannot be opened as a package.
        InfrastructureError: it cannot be kept.
    """
    entry = f"{now:%Y%m%d}-{secrets.token_hex(4)}"
    report = check_package(package, limits=challenge.limits, contract=challenge.contract)
    if not report.ok:
        return Intake(report=report, answer=None, entry=entry, package=None)
    packages.mkdir(parents=True, exist_ok=True)
    kept = package_path(packages, report.sha256)
    _keep(package, kept, report.sha256, challenge)
    with survey(package, limits=challenge.limits) as looked:
        named = looked.manifest.external_data if looked.manifest else ()
    declared = tuple(one.name for one in named) or (() if declares_none else None)
    asked = Submit(entry=entry, team=team, package_sha256=report.sha256, external_data=declared)
    answer = ledger.ask(asked, now=now, by=by)
    if isinstance(answer, Accepted):  # it may have been removed until it was an entry's: `kept_packages`
        _keep(package, kept, report.sha256, challenge)
    return Intake(report=report, answer=answer, entry=entry, package=kept)


def _keep(package: Path, kept: Path, sha256: str, challenge: Challenge) -> None:
    """Pack a package to its place, unless it is there."""
    if kept.exists():
        return
    packed = pack(package, kept, limits=challenge.limits)
    if packed.package_sha256 != sha256:
        kept.unlink()
        raise ConfigError("changed while it was read", place=package, remedy="Hand it in again.")


def record_run(ledger: Ledger, entry: Entry, folder: RunFolder, *, now: datetime) -> Accepted | Refusal:
    """Record the result of an entry's attempt, and the run into the index, both or neither.

    Raises:
        ConfigError: the run is of another package or challenge, or ran without isolation.
        ResultError: the folder contains no result that can be read.
        StoreError: the database cannot be written.
    """
    holds = folder.current.result  # of the regrade in force, if there is one
    result = read_result(holds)
    _fits(result, entry, ledger.state().challenge_sha256, folder)
    asked = command_of(result, entry, result_sha256=content_sha256(holds))
    return ledger.ask(
        asked,
        now=now,
        by=HARNESS,
        also=lambda connection, _state, _events: _index(runs.record(connection, folder)),
    )


def command_of(result: Result, entry: Entry, *, result_sha256: str) -> Command:
    """Return what a result comes to for an entry: a score, its own failure, or our fault."""
    verdict = _worst(result.sets)
    if verdict is Verdict.HARNESS_ERROR:
        return VoidAttempt(entry=entry.entry, attempt=entry.attempt, reason=_detail(result.sets, verdict))
    public = result.sets[SetName.PUBLIC].score.log_loss if SetName.PUBLIC in result.sets else None
    if result.valid and public is not None:
        return RecordScore(
            entry=entry.entry,
            attempt=entry.attempt,
            run_id=result.run_id,
            verdict=verdict.value,
            result_sha256=result_sha256,
            public_loss=public,
        )
    return RecordFailure(
        entry=entry.entry, attempt=entry.attempt, run_id=result.run_id, verdict=verdict.value
    )


def _fits(result: Result, entry: Entry, challenge_sha256: str, folder: RunFolder) -> None:
    wrong = [
        f"it is of another {what}"
        for what, found, wanted in (
            ("package", result.package.sha256, entry.package_sha256),
            ("challenge", result.challenge.sha256, challenge_sha256),
        )
        if found != wanted
    ]
    if result.isolation == NO_ISOLATION:
        wrong.append("it ran without isolation")
    if wrong:
        raise ConfigError(
            f"is not a run of entry {entry.entry}: {'; '.join(wrong)}",
            place=folder.path,
            remedy="Run the entry's own package on the contest's challenge, with --sandbox docker.",
        )


def _worst(sets: Mapping[SetName, SetResult]) -> Verdict:
    return min((one.verdict for one in sets.values()), key=VERDICT_PRIORITY.__getitem__, default=Verdict.OK)


def _detail(sets: Mapping[SetName, SetResult], verdict: Verdict) -> str:
    return next((one.detail for one in sets.values() if one.verdict is verdict), "") or str(verdict)


def _index(_row: object) -> None:
    """Ignore the row that was written."""
