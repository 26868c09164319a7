"""What a portal answers, as text for a terminal. What others wrote is shown as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from harness.core.limits import seconds_in_words
from harness.core.text import printable
from harness.portal.client.replies import RUNNING, UNDER_WAY, Refused, moment

_STATUS_STYLES = {"scored": "green", "failed": "red", "voided": "yellow", "cancelled": "dim"}
_SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}

Document = Mapping[str, Any]


def entry_in_a_line(entry: Document) -> str:
    """Say how an entry is: its place in the queue, how far it is, or what it came to."""
    parts = [f"{entry['entry']} {entry['status']}"]
    queue, progress, score = (_part(entry, key) for key in ("queue", "progress", "score"))
    if queue and entry["status"] != RUNNING:
        parts.append(f"place {queue.get('place')} of {queue.get('of')}")
    if queue and queue.get("seconds") is not None:
        error = queue.get("error_seconds")
        more = "" if error is None else f" ± {seconds_in_words(float(error))}"
        parts.append(f"result in about {seconds_in_words(float(queue['seconds']))}{more}")
    if progress and entry["status"] == RUNNING:
        parts.append(f"public {progress.get('public_done')} of {progress.get('public_total')}")
        parts.append(f"private {progress.get('private')}")
    if entry.get("verdict"):
        parts.append(str(entry["verdict"]))
    if score and score.get("shown") is not None:
        parts.append(f"public score {score['shown']}{_interval(score)}")
    if entry.get("hidden"):
        parts.append(printable(str(entry["hidden"])))
    return ", ".join(parts)


def entry_lines(entry: Document) -> Iterable[Text]:
    """Return an entry in full: what it came to, in words."""
    yield Text.assemble((str(entry["entry"]), "bold"), f"  handed in {local(entry.get('submitted'))}")
    if entry["status"] in UNDER_WAY:
        yield Text(f"  {entry_in_a_line(entry).removeprefix(str(entry['entry'])).strip()}")
    else:
        yield Text.assemble("  ", _status(entry), _verdict(entry))
    if entry.get("words"):
        yield Text(f"  {printable(str(entry['words']))}")
    score = _part(entry, "score")
    if score and score.get("shown") is not None:
        place = f", place {score['place']}" if score.get("place") is not None else ""
        group = f", tie group {score['group']}" if score.get("group") is not None else ""
        yield Text(f"  public score {score['shown']}{_interval(score)}{place}{group}")
    if entry.get("hidden"):
        yield Text(f"  {printable(str(entry['hidden']))}")
    if entry.get("stopped_early"):
        yield Text("  private set: stopped early, as the rules announce; the public score stands")
    elif entry.get("private_valid") is not None:
        yield Text(f"  private set: {'valid' if entry['private_valid'] else 'not valid'}")
    if entry.get("disqualified"):
        yield Text(f"  disqualified: {printable(str(entry['disqualified']))}", "red")


def entry_table(entries: Sequence[Document]) -> Table | Text:
    """Return the team's entries."""
    if not entries:
        return Text("no entry yet: `harness remote submit PACKAGE`")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("entry", "handed in", "status", "public", "95%", "final"):
        table.add_column(heading, no_wrap=heading != "status", overflow="fold")  # ids are copied from here
    for one in entries:
        score = _part(one, "score")
        table.add_row(
            Text(str(one["entry"])),
            local(one.get("submitted"), short=True),
            _came_to(one),
            Text("hidden" if one.get("hidden") else str(score.get("shown", ""))),
            Text(_ends(score)),
            "yes" if one.get("final") else "",
        )
    return table


def team_lines(team: Document) -> Iterable[Text]:
    """Say who the team is and what its quotas still allow."""
    allowed = _part(team, "allowance")
    yield Text.assemble((printable(str(team.get("name", ""))), "bold"))
    left = [
        f"{allowed[key]} {word}"
        for key, word in (
            ("valid_left", "valid"),
            ("failed_left", "failed"),
            ("total_left", "in all"),
            ("grants_left", "granted"),
        )
        if allowed.get(key) is not None
    ]
    if left:
        yield Text(f"  left today: {', '.join(left)}; the next day begins {local(allowed.get('next_day'))}")
    if allowed.get("may_submit") is False:
        again = f"; again from {local(allowed['again'])}" if allowed.get("again") else ""
        yield Text(f"  nothing is taken now: {printable(str(allowed.get('why_not') or ''))}{again}", "yellow")
    finals = ", ".join(map(str, team.get("finals", ()))) or "the best by public score"
    yield Text(f"  judged by: {finals}")


def board_table(board: Document) -> Table:
    """Return a board; entries of one group cannot be told from the group's first."""
    decimals = int(board.get("decimals") or 4)
    title = Text(f"{printable(str(board.get('challenge', '')))}, {board.get('set', '')} set")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("", "team", "score", "95%", "group", "P(best)", "entries"):
        right = heading not in {"team", "95%"}
        table.add_column(
            heading, justify="right" if right else "left", no_wrap=heading != "team", overflow="fold"
        )
    for one in board.get("rows", ()):
        low, high, best = one.get("low"), one.get("high"), one.get("best_percent")
        table.add_row(
            str(one.get("place", "")),
            Text(printable(str(one.get("name") or one.get("team") or ""), cap=60)),
            _number(one.get("score"), decimals),
            "" if low is None or high is None else f"{low:.{decimals}f}-{high:.{decimals}f}",
            "" if one.get("group") is None else str(one["group"]),
            "" if best is None else f"{best}%",
            str(one.get("entries", "")),
        )
    return table


def refusal_lines(refused: Refused) -> Iterable[Text]:
    """Say why something was not done, with the findings of a check if there are any."""
    yield Text.assemble(("refused:", "bold red"), f" {refused.in_words}")
    check = _part(refused.document, "check")
    for one in check.get("findings", ()):
        style = _SEVERITY_STYLES.get(str(one.get("severity")), "")
        line = Text.assemble(
            (f"  {one.get('severity')}", style),
            f" {one.get('code')} ",
            printable(str(one.get("place") or "")),
            f": {printable(str(one.get('message')))}"
            if one.get("place")
            else printable(str(one.get("message"))),
        )
        if one.get("remedy"):
            line.append(f"\n    → {printable(str(one['remedy']))}", "dim")
        yield line


def local(text: object, *, short: bool = False) -> str:
    """Return a time as the reader's clock shows it, without the year if short; empty if there is none."""
    if not text:
        return ""
    found: datetime = moment(text)
    return f"{found.astimezone():{'%m-%d %H:%M' if short else '%Y-%m-%d %H:%M'}}"


def _status(entry: Document) -> Text:
    status = str(entry["status"])
    return Text(status, _STATUS_STYLES.get(status, ""))


def _verdict(entry: Document) -> str:
    return f", public set {entry['verdict']}" if entry.get("verdict") else ""


def _came_to(entry: Document) -> Text:
    """Return the status, and the verdict where it says more."""
    found = _status(entry)
    if entry.get("verdict") and entry["verdict"] != "OK":
        found.append(f", {entry['verdict']}")
    return found


def _interval(score: Document) -> str:
    ends = _ends(score)
    return f" (95%: {ends})" if ends else ""


def _ends(score: Document) -> str:
    low, high = score.get("low"), score.get("high")
    return "" if low is None or high is None else f"{low} to {high}"


def _number(value: object, decimals: int) -> str:
    return f"{value:.{decimals}f}" if isinstance(value, (int, float)) else ""


def _part(document: Document, key: str) -> Document:
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}
