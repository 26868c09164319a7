"""A contest as text: phase, teams, entries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.contest.events import Purse
from harness.contest.rules.finals import final_entries
from harness.contest.rules.phases import next_moment, phase_at
from harness.contest.rules.quotas import allowance
from harness.contest.state import PHASES, Entry, State


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
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
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
    table.add_column("id, run", no_wrap=True)  # both are copied from here
    for heading in ("team", "day", "status", "public loss", "note"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "day")
    for one in state.entries.values():
        if team is None or one.team == team:
            table.add_row(
                "\n".join(filter(None, (one.entry, one.run_id))),
                one.team,
                one.day.isoformat(),
                f"{one.status}" + (f" ({one.verdict})" if one.verdict not in {None, "OK"} else ""),
                _loss(one, state.public_decimals),
                Text("; ".join(_notes(one))),
            )
    return table


def _loss(one: Entry, decimals: int) -> str:
    if one.public_loss is None:
        return ""
    shown = "" if one.shown is None else f"\nshown {one.shown:.{decimals}f}"
    return f"{one.public_loss:.6f}{shown}"


def _notes(one: Entry) -> Iterator[str]:
    if one.costs is not Purse.QUOTA:
        yield "refunded" if one.costs is None else f"paid by {one.costs}"
    if one.disqualified:
        yield f"disqualified: {one.disqualified}"
