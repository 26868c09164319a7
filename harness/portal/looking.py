"""Reads, in one go, what answers are made of: jobs, runs, boards, quotas, members."""

from __future__ import annotations

from datetime import datetime

from harness.contest.board.published import PARTS_SHOWN
from harness.contest.events import ContestPhase
from harness.contest.rules import team_actor
from harness.contest.rules.commands import Refusal, Submit
from harness.contest.rules.decide import decide
from harness.contest.rules.finals import final_entries
from harness.contest.rules.phases import due, moment_of
from harness.contest.rules.quotas import allowance
from harness.contest.rules.teams import scores_are_shown
from harness.contest.state import PHASES, EntryStatus, State
from harness.core.contest import ContestRules, ShownRule
from harness.core.limits import limits_table
from harness.core.types import SetName
from harness.portal.problems import moment, not_found
from harness.portal.schemas import (
    AllowanceAnswer,
    BoardAnswer,
    BoardLine,
    BoardPart,
    ChallengeAnswer,
    EntryAnswer,
    LimitLine,
    MemberLine,
    PhaseLine,
    RulesAnswer,
    TeamAnswer,
)
from harness.portal.site import Contest, Site
from harness.portal.visible import Seen, entry_answer
from harness.results.store import access_rows, board_rows, runs
from harness.results.store.access_rows import AccessKind, AccessRow
from harness.results.store.board_rows import BoardRow
from harness.results.store.jobs import moment_text


def rules_of(state: State) -> ContestRules:
    """Return a contest's rules.

    Raises:
        Problem: there is no contest.
    """
    if state.rules is None:
        raise not_found("challenge")
    return state.rules


def phase_now(site: Site, contest: Contest) -> str:
    """Return the phase at this moment, by the calendar or by decision."""
    begun = due(contest.state, site.now())
    return (begun[-1][0] if begun else contest.state.phase).value


def challenge_answer(site: Site, contest: Contest) -> ChallengeAnswer:
    """Return a contest and its rules."""
    rules, phase = rules_of(contest.state), phase_now(site, contest)
    order = [one.value for one in PHASES]
    begun = {one.value: order.index(one.value) <= order.index(phase) for one in PHASES}
    ladder = rules.public_scores.rule is ShownRule.LADDER
    return ChallengeAnswer(
        challenge=contest.name,
        title=contest.title,
        phase=phase,
        phases=[
            PhaseLine(
                phase=one.value,
                begins=moment(_date_of(rules, one, site.now(), begun=begun[one.value])),
                begun=begun[one.value],
            )
            for one in PHASES
            if one.value != "blind" or rules.blind_from is not None or phase == "blind"
        ],
        timezone=rules.timezone,
        limits=[
            LimitLine(key=key, value=value, number=getattr(contest.challenge.limits, key), meaning=meaning)
            for key, value, meaning in limits_table(contest.challenge.limits)
        ],
        rules=RulesAnswer(
            valid_per_day=rules.valid_per_day,
            failed_per_day=rules.failed_per_day,
            total=rules.total,
            finals=rules.finals,
            shown=rules.public_scores.rule.value,
            step=rules.public_scores.step if ladder else None,
            external_data_declaration=rules.external_data_declaration,
            finals_until=moment(rules.finals_until),
            merge_until=moment(rules.merge_until),
            early_stopping=rules.early_stopping.in_words() if rules.early_stopping else None,
        ),
        modes=[mode.value for mode in contest.challenge.contract.modes],
        failure_rule=contest.challenge.scoring.failure_rule.value,
        sets=[name.value for name in contest.challenge.sets if name is not SetName.CONTROL],
        about=contest.about,
    )


def _date_of(rules: ContestRules, phase: ContestPhase, now: datetime, *, begun: bool) -> datetime | None:
    """Return a phase's date; None if there is none, or the organiser had it begin before that."""
    date = moment_of(rules, phase)
    return None if begun and date is not None and date > now else date


def board_row(site: Site, contest: Contest, set_name: str) -> BoardRow | None:
    """Return a board as it is kept; None if it was not worked out yet.

    Raises:
        Problem: it is of no set that has a board, or the private one before scores are released.
    """
    private = set_name == SetName.PRIVATE.value
    if not private and set_name != SetName.PUBLIC.value:
        raise not_found("board")
    if private and not scores_are_shown(contest.state, site.now()):
        raise not_found("board")
    with site.store.read() as connection:
        return board_rows.get(connection, contest.name, set_name)


def board_answer(site: Site, contest: Contest, row: BoardRow | None, set_name: str) -> BoardAnswer:
    """Return a board as everybody may see it; an empty one if none was worked out yet."""
    if row is None:
        rule = rules_of(contest.state).public_scores.rule.value
        return BoardAnswer(
            challenge=contest.name,
            set=set_name,
            version="",
            computed="",
            decimals=contest.state.public_decimals,
            rule=rule,
            rows=[],
            parts=[],
        )
    found = site.board(row)
    return BoardAnswer(
        challenge=found.challenge,
        set=found.set,
        version=found.version,
        computed=found.computed,
        decimals=found.decimals,
        rule=found.rule,
        rows=[
            BoardLine(
                place=one.place,
                team=one.team,
                name=one.name,
                score=one.score,
                low=one.low,
                high=one.high,
                group=one.group,
                best_percent=one.best_percent,
                entries=one.entries,
                last=one.last,
                public_place=one.public_place,
            )
            for one in found.rows
        ],
        parts=[
            BoardPart(name=one.name, videos=one.videos, scores=list(one.scores[:PARTS_SHOWN]))
            for one in found.parts
        ],
    )


def seen_of(site: Site, contest: Contest, team: str) -> Seen:
    """Read everything that a team's entries are shown by."""
    state = contest.state
    ids = tuple(one.run_id for one in state.entries_of(team) if one.run_id is not None)
    work = site.work(contest)
    with site.store.read() as connection:
        rows = {row.run_id: row for row in runs.all_runs(connection, run_ids=ids)}
        board = board_rows.get(connection, contest.name, SetName.PUBLIC.value)
    return Seen(
        state=state,
        now=site.now(),
        queue=work.queue,
        jobs=work.by_label,
        rows=rows,
        board=None if board is None else site.board(board),
        finals=frozenset(state.teams[team].finals),
        runs=site.config.runs,
        private_set=SetName.PRIVATE in contest.challenge.sets,
    )


def entries_answer(site: Site, contest: Contest, team: str) -> list[EntryAnswer]:
    """Return a team's entries, the newest first."""
    seen = seen_of(site, contest, team)
    return [entry_answer(seen, one) for one in reversed(contest.state.entries_of(team))]


def allowance_answer(site: Site, contest: Contest, team: str) -> AllowanceAnswer:
    """Return what a team's quota still allows, and whether an entry would be taken just now."""
    found = allowance(contest.state, team, site.now())
    no = would_refuse(site, contest, team)
    return AllowanceAnswer(
        day=found.day.isoformat(),
        valid_left=found.valid_left,
        failed_left=found.failed_left,
        total_left=found.total_left,
        grants_left=found.grants_left,
        next_day=found.next_day.isoformat(timespec="seconds"),
        may_submit=no is None,
        why_not=None if no is None else no.message,
        again=None if no is None else moment(no.again),
    )


def would_refuse(site: Site, contest: Contest, team: str) -> Refusal | None:
    """Ask the rules about an entry that is not handed in yet; None if they would take it."""
    asked = Submit(entry="not-handed-in-yet", team=team, package_sha256="0" * 64, external_data=())
    decided = decide(contest.state, asked, site.now(), team_actor(team))
    return decided if isinstance(decided, Refusal) else None


def members_of(site: Site, contest: Contest, team: str) -> list[MemberLine]:
    """Return who and what may act for a team at this moment; also for teams that were merged into it."""
    names = tuple(
        one.team
        for one in contest.state.teams.values()
        if one.team == team or _merged_into(contest.state, one.team) == team
    )
    with site.store.read() as connection:
        rows = access_rows.listed(connection, challenge=contest.name, teams=names)
    now = moment_text(site.now())
    return [member_line(row) for row in rows if _is_good(row, now)]


def member_line(row: AccessRow) -> MemberLine:
    """Return a row of access without what only the portal needs."""
    return MemberLine(
        access=row.access,
        kind=row.kind.value,
        label=row.label,
        scopes=row.scopes.split(),
        created=row.created,
        expires=row.expires,
    )


def team_answer(site: Site, contest: Contest, team: str) -> TeamAnswer:
    """Return one's own team."""
    found = contest.state.teams[team]
    return TeamAnswer(
        team=team,
        name=found.name,
        allowance=allowance_answer(site, contest, team),
        finals=list(found.finals),
        finals_most=rules_of(contest.state).finals,
        judged_by=[one.entry for one in final_entries(contest.state, team)]
        if found.finals or _all_shown(contest.state, team)
        else [],
        members=members_of(site, contest, team),
        disqualified=found.disqualified,
    )


def _all_shown(state: State, team: str) -> bool:
    """Tell whether a team may know which of its entries is best: not while a score is hidden or coarse."""
    exact = rules_of(state).public_scores.rule is ShownRule.ROUNDED
    scored = [one for one in state.entries_of(team) if one.status is EntryStatus.SCORED]
    return exact and all(one.shown is not None for one in scored)


def _merged_into(state: State, team: str) -> str:
    found = state.teams[team]
    while found.merged_into is not None:
        found = state.teams[found.merged_into]
    return found.team


def _is_good(row: AccessRow, now: str) -> bool:
    used_up = row.kind is AccessKind.LINK and row.used is not None
    return row.revoked is None and row.expires > now and not used_up
