"""What the watchers of a page are told of, and the word by which they say what they have seen of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contest.rules.teams import scores_are_shown
from harness.core.types import SetName
from harness.portal.api.route_parts import ROOT
from harness.portal.looking import phase_now
from harness.portal.schemas import EntryAnswer
from harness.portal.site import Contest, Site
from harness.results.store import board_rows


def board_seen(site: Site, contest: Contest) -> dict[str, Any]:
    """Return what a watcher of a contest's board sees of it."""
    with site.store.read() as connection:
        known = board_rows.versions(connection, contest.name)
    shown = SetName.PRIVATE.value if scores_are_shown(contest.state, site.now()) else SetName.PUBLIC.value
    version, computed, _ = known.get(shown, known.get(SetName.PUBLIC.value, ("", "", 0)))
    return {"version": version, "computed": computed, "phase": phase_now(site, contest)}


def team_seen(site: Site, contest: Contest, entries: Sequence[EntryAnswer]) -> dict[str, Any]:
    """Return what a watcher of a team's entries sees of them, and of the board."""
    return {"board": board_seen(site, contest)} | {one.entry: one.model_dump() for one in entries}


def word_of(seen: Mapping[str, Any]) -> str:
    """Return the word for something seen; another if anything of it is another."""
    text = json.dumps(seen, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def board_address(site: Site, contest: Contest) -> str:
    """Return where a page follows a board from what it shows on."""
    return f"{ROOT}/challenges/{contest.name}/board/events?seen={word_of(board_seen(site, contest))}"


def team_address(site: Site, contest: Contest, entries: Sequence[EntryAnswer]) -> str:
    """Return where a page follows a team's entries from what it shows on."""
    return f"{ROOT}/challenges/{contest.name}/events?seen={word_of(team_seen(site, contest, entries))}"
