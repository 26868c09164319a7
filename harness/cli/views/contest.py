"""A contest as text: phase, teams, entries."""

from __future__ import annotations

from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.contest.rules.finals import final_entries
from harness.contest.rules.phases import next_moment, phase_at
from harness.contest.rules.quotas import allowance
from harness.contest.state import PHASES, State


def render_state(state: State, *, now: datetime, team: str | None = None) -> list[RenderableType]:
    """Render a contest for its organiser: exact public scores are shown."""
    if state.rules is None:
        return [Text("there is no contest of this name yet: `harness contest init`")]
    zone = state.rules.zone
    ahead = [
        f"{phase} from {moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"
        for phase in PHASES
        if (moment := next_moment(state, phase, now)) is not None
    ]
    title = f"{state.challenge}: {phase_at(state, now)}"
    return [Text("; ".join([title, *ahead])), _teams(state, now), _entries(state, team)]


def _teams(state: State, now: datetime) -> Table:
    table = Table(title="Teams", title_justify="left")
    for heading in ("id", "name", "entries", "left today", "left in all", "granted", "judged by", "note"):
        table.add_column(heading, overflow="fold")
    for key, one in state.teams.items():
        if one.merged_into is not None:
            table.add_row(key, Text(one.name), "", "", "", "", "", f"went up in {one.merged_into}")
            continue
        left = allowance(state, key, now)
        failed = "" if left.failed_left is None else f" valid, {left.failed_left} failed"
        table.add_row(
            key,
            Text(one.name),
            str(len(one.entries)),
            f"{left.valid_left}{failed}",
            "no limit" if left.total_left is None else str(left.total_left),
            str(left.grants_left),
            " ".join(entry.entry for entry in final_entries(state, key)),
            Text(f"disqualified: {one.disqualified}" if one.disqualified else ""),
        )
    return table


def _entries(state: State, team: str | None) -> Table:
    table = Table(title="Entries", title_justify="left")
    for heading in ("id", "team", "day", "status", "paid by", "public loss", "shown", "run", "note"):
        table.add_column(heading, overflow="fold")
    for one in state.entries.values():
        if team is None or one.team == team:
            table.add_row(
                one.entry,
                one.team,
                one.day.isoformat(),
                f"{one.status}" + (f" ({one.verdict})" if one.verdict not in {None, "OK"} else ""),
                str(one.costs or "refunded"),
                "" if one.public_loss is None else f"{one.public_loss:.6f}",
                "" if one.shown is None else f"{one.shown:.{state.public_decimals}f}",
                one.run_id or "",
                Text(f"disqualified: {one.disqualified}" if one.disqualified else ""),
            )
    return table
