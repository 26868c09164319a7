"""What an organiser sees of a contest: exact scores, work, cost, regrades, the log. Not for teams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.events import ContestPhase, Regraded, from_json
from harness.contest.progress import has_died, progress_of
from harness.contest.rules.finals import final_entries
from harness.contest.rules.quotas import Allowance, allowance
from harness.contest.shard_ledger import SILENT_SECONDS
from harness.contest.state import PHASE_RANK, PHASES, Entry, EntryStatus, State, Team, fold
from harness.core.types import SetName
from harness.portal.looking import phase_now
from harness.portal.site import Contest, Site
from harness.portal.visible import was_stopped_early
from harness.results.run_row import RunRow
from harness.results.store import drivers, jobs, runs
from harness.results.store.chain import Record
from harness.results.store.jobs import Job, JobState

FAULTS_SHOWN = 10
_GRAVEST_FIRST = (JobState.FAILED, JobState.WAITING, JobState.CLAIMED, JobState.DONE)


@dataclass(frozen=True, kw_only=True)
class EntryLine:
    """One entry, with all that the organiser may know."""

    entry: Entry
    team: str  # its name
    package: str
    public: float | None
    private: float | None
    public_verdict: str
    private_verdict: str
    stopped: bool  # early, on the private set


@dataclass(frozen=True, kw_only=True)
class TeamLine:
    """One team, with what its quota still allows."""

    team: Team
    entries: int
    scored: int
    allowance: Allowance
    judged: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NodeLine:
    """One machine that has worked for the contest."""

    node: str
    shards: int
    videos: int
    seconds: float
    disturbed: int
    last: str  # when it finished something


@dataclass(frozen=True, kw_only=True)
class Work:
    """Who works on the contest, how far it is, and what it cost. Entries are counted by the contest's log."""

    silent_seconds: float | None
    alive: bool
    wish: str
    waiting: int
    begun: int
    done: int  # have a result, of whatever kind
    voided: int
    cancelled: int
    stopped: int  # of those that are done: early, on the private set
    saved_seconds: float
    shards: int  # that somebody has claimed
    hours: float
    cost: float
    left_seconds: float | None
    left_cost: float | None
    nodes: tuple[NodeLine, ...]
    faults: tuple[Job, ...]  # jobs that were given back or given up, the gravest first
    further_faults: int  # that are not among them


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a phase would make visible, and to whom, before it begins."""

    phase: ContestPhase
    words: tuple[str, ...]
    hindrance: str  # why it cannot begin just now; empty if it can
    teams: tuple[tuple[str, float | None, str], ...] = ()  # at release: name, private score, entry
    without: tuple[str, ...] = ()  # at release: teams that have an entry with a result, and no private score


@dataclass(frozen=True, kw_only=True)
class Regrading:
    """One regrade's public scores, before and after."""

    regrade: str
    reason: str
    at: datetime
    rows: tuple[tuple[str, str, float | None, float], ...]  # entry, team, before, after


def entry_lines(
    site: Site, contest: Contest, *, status: str = "", team: str = "", text: str = ""
) -> tuple[EntryLine, ...]:
    """Return entries, the newest first: all, or those that fit a filter."""
    state = contest.state
    rows = _rows(site, state)
    has_private = SetName.PRIVATE in contest.challenge.sets
    found = []
    for one in reversed(state.entries.values()):
        row = rows.get(one.run_id or "")
        line = EntryLine(
            entry=one,
            team=state.teams[one.team].name,
            package=row.package if row else "",
            public=row.public_log_loss if row else None,
            private=row.private_log_loss if row else None,
            public_verdict=(row.public_verdict or "") if row else "",
            private_verdict=(row.private_verdict or "") if row else "",
            stopped=has_private and was_stopped_early(one, row),
        )
        words = (
            f"{one.entry} {line.package} {one.package_sha256} {line.public_verdict} {line.private_verdict}"
        )
        fits = status in {"", one.status.value} and team in {"", one.team}
        if fits and text.lower() in words.lower():
            found.append(line)
    return tuple(found)


def team_lines(site: Site, contest: Contest) -> tuple[TeamLine, ...]:
    """Return every team that was not merged into another, by name."""
    state = contest.state
    return tuple(
        TeamLine(
            team=team,
            entries=len(team.entries),
            scored=sum(one.status is EntryStatus.SCORED for one in state.entries_of(team.team)),
            allowance=allowance(state, team.team, site.now()),
            judged=tuple(one.entry for one in final_entries(state, team.team)),
        )
        for team in sorted(state.teams.values(), key=lambda each: each.name.casefold())
        if team.merged_into is None
    )


def work_of(site: Site, contest: Contest) -> Work:
    """Return who works on the contest and how far it is."""
    with site.store.read() as connection:
        row = drivers.get(connection, contest.name)
        listed = jobs.listed(connection, challenge=contest.name)
    silent = None
    if row is not None and row.heartbeat is not None:
        silent = (site.now() - datetime.fromisoformat(row.heartbeat)).total_seconds()
    shards = sum(job.state is JobState.CLAIMED for job in listed)
    places, unseen = (row.places or shards, row.unseen or 0) if row else (shards, 0)
    progress = progress_of(listed, places=max(1, places), unseen=unseen, now=site.now())
    count = Counter(one.status for one in contest.state.entries.values())
    faults = sorted(
        (job for job in listed if job.note and job.state is not JobState.CANCELLED),
        key=lambda job: _GRAVEST_FIRST.index(job.state),
    )
    price = site.config.price_per_hour
    left = progress.left_seconds
    return Work(
        silent_seconds=silent,
        alive=silent is not None and silent < SILENT_SECONDS and row is not None and not has_died(row),
        wish=row.wish.value if row else "run",
        waiting=count[EntryStatus.WAITING],
        begun=count[EntryStatus.RUNNING],
        done=count[EntryStatus.SCORED] + count[EntryStatus.FAILED],
        voided=count[EntryStatus.VOIDED],
        cancelled=count[EntryStatus.CANCELLED],
        stopped=progress.count("stopped"),
        saved_seconds=progress.saved_seconds,
        shards=shards,
        hours=progress.worker_seconds / 3600.0,
        cost=progress.cost(price),
        left_seconds=left,
        left_cost=None if left is None else progress.left_work_seconds / 3600.0 * price,
        nodes=_nodes(listed),
        faults=tuple(faults[:FAULTS_SHOWN]),
        further_faults=max(0, len(faults) - FAULTS_SHOWN),
    )


def preview_of(site: Site, contest: Contest, phase: ContestPhase) -> Preview:
    """Say what a phase would make visible."""
    state = contest.state
    now = ContestPhase(phase_now(site, contest))
    hindrance = ""
    if PHASE_RANK[phase] <= PHASE_RANK[now]:
        hindrance = f"The contest is {now}: it does not go back to {phase}."
    elif phase is ContestPhase.RELEASED and state.unfinished:
        hindrance = f"{state.unfinished} entries have no result yet: let them run, or cancel them."
    shown = sum(one.shown is not None for one in state.entries.values())
    words = {
        ContestPhase.ANNOUNCED: (),
        ContestPhase.OPEN: (
            "Every team may hand in.",
            "Everybody sees the public board, and every team its own public scores and logs.",
        ),
        ContestPhase.BLIND: (
            "Teams may hand in as before, and see no score of what they hand in from now on.",
            f"The public board stays as it is: {shown} entries have a shown score.",
        ),
        ContestPhase.CLOSED: (
            "No team may hand in any more.",
            f"{state.unfinished} entries without a result are still run.",
            "Nothing further becomes visible.",
        ),
        ContestPhase.RELEASED: (
            "Everybody sees the private board, with the teams and scores below, beside their public places.",
            "Every team sees the private score of each of its own entries.",
            "This cannot be taken back.",
        ),
    }[phase]
    teams, without = _released(site, state) if phase is ContestPhase.RELEASED else ((), ())
    return Preview(phase=phase, words=words, hindrance=hindrance, teams=teams, without=without)


def later_phases(site: Site, contest: Contest) -> list[ContestPhase]:
    """Return the phases that may still begin."""
    now = ContestPhase(phase_now(site, contest))
    return [phase for phase in PHASES if PHASE_RANK[phase] > PHASE_RANK[now]]


def regradings(records: Sequence[Record]) -> tuple[Regrading, ...]:
    """Return every regrade on record, with the public scores before and after it; the newest first."""
    state, found = State(), []
    for record in records:
        event = from_json(record.document)
        if isinstance(event, Regraded):
            rows = tuple(
                (entry, state.teams[state.entries[entry].team].name, state.entries[entry].public_loss, after)
                for entry, after in event.public_losses.items()
            )
            found.append(Regrading(regrade=event.regrade, reason=event.reason, at=event.at, rows=rows))
        state = fold((event,), state)
    return tuple(reversed(found))


def _released(site: Site, state: State) -> tuple[tuple[tuple[str, float | None, str], ...], tuple[str, ...]]:
    """Return name, private score and entry of each team on the private board, and who is not on it."""
    rows = _rows(site, state)
    found, without = [], []
    for team in state.teams.values():
        judged = final_entries(state, team.team)
        scores = [
            (row.private_log_loss, one.entry)
            for one in judged
            if (row := rows.get(one.run_id or "")) is not None and row.private_log_loss is not None
        ]
        if scores:
            loss, entry = min(scores)
            found.append((team.name, round(loss, state.public_decimals), entry))
        elif judged:
            without.append(team.name)
    return tuple(sorted(found, key=lambda row: row[1])), tuple(without)


def _rows(site: Site, state: State) -> Mapping[str, RunRow]:
    ids = tuple(one.run_id for one in state.entries.values() if one.run_id is not None)
    with site.store.read() as connection:
        return {row.run_id: row for row in runs.all_runs(connection, run_ids=ids)}


def _nodes(listed: Sequence[Job]) -> tuple[NodeLine, ...]:
    found: dict[str, list[tuple[AcceptedShard, str]]] = {}
    for job in listed:
        accepted = AcceptedShard.of(job)
        if accepted is not None:
            found.setdefault(accepted.node, []).append((accepted, job.finished or ""))
    return tuple(
        NodeLine(
            node=node,
            shards=len(own),
            videos=sum(one.videos for one, _ in own),
            seconds=sum(one.seconds for one, _ in own),
            disturbed=sum(bool(one.disturbed) for one, _ in own),
            last=max(finished for _, finished in own),
        )
        for node, own in sorted(found.items())
    )
