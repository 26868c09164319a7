"""Turns values into pages: every value is escaped, an unknown one is an error, no page has inline code."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache

import jinja2
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from harness import __version__
from harness.contest.board.published import PublishedBoard
from harness.contest.rules.commands import Role
from harness.core.limits import bytes_in_words, seconds_in_words
from harness.portal.problems import Problem
from harness.portal.site import Contest
from harness.portal.visitor import Visitor
from harness.report import words

_HEADINGS = {
    401: "Who are you?",
    403: "That is not for you",
    404: "There is nothing here",
    409: "The contest's rules say no",
    413: "That is too large",
    429: "Too many requests",
    500: "This is our own fault",
    503: "This is our own fault",
}
PAUSES = (100, 600)  # milliseconds: a thousand watchers of a board do not come back in the same moment


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What every page says beside its own: where one is, and as whom.

    Attributes:
        title: Of the page.
        here: The link of the navigation that is this page.
        csrf: The session's word for forms.
        who: As whom; empty for nobody.
        challenge: The contest's name; empty outside one.
        challenge_title: Its title.
        team: The visitor's team in it; None if they have none.
        organises: Whether the visitor is its organiser.
        live: The address of what changes, if the page follows it.
        renews: Whether a part of the page is loaded again, by events or by the clock.
        pause: Milliseconds between an event and the load: another for each reader.
        said: What came of the last form, in words.
    """

    title: str
    here: str = ""
    csrf: str = ""
    who: str = ""
    challenge: str = ""
    challenge_title: str = ""
    team: str | None = None
    organises: bool = False
    live: str = ""
    said: str = ""
    renews: bool = False
    pause: int = PAUSES[0]


def frame_of(
    visitor: Visitor,
    contest: Contest | None,
    *,
    title: str,
    here: str = "",
    live: str = "",
    said: str = "",
    renews: bool = False,
) -> Frame:
    """Return what a page says beside its own."""
    team = None if contest is None else visitor.team_in(contest.state)
    who = visitor.label
    if contest is not None and team is not None:
        who = f"{contest.state.teams[team].name} · {visitor.label}"
    elif visitor.role is Role.ORGANISER:
        who = f"organiser · {visitor.label}"
    return Frame(
        title=title,
        here=here,
        csrf=visitor.csrf,
        who=who,
        challenge="" if contest is None else contest.name,
        challenge_title="" if contest is None else contest.title,
        team=team,
        organises=visitor.organises(None if contest is None else contest.name),
        live=live,
        said=said,
        renews=renews or bool(live),
        pause=random.randint(*PAUSES),
    )


def page(name: str, frame: Frame, *, status: int = 200, **values: object) -> HTMLResponse:
    """Render a page."""
    text = _environment().get_template(name).render(frame=frame, release=__version__, **values)
    return HTMLResponse(text, status_code=status)


@lru_cache(maxsize=64)
def _board_lines(board: PublishedBoard, most: int) -> Markup:
    text = _environment().get_template("board_table.html").render(board=board, rows=board.rows[:most])
    return Markup(text)  # noqa: S704  (rendered by a template that escapes)


def board_table(board: PublishedBoard, most: int, own: str | None) -> Markup:
    """Render a board's first lines: once for all readers of a version, with the reader's own team marked."""
    lines = _board_lines(board, most)
    if own is None:
        return lines
    mark = Markup('<tr data-team="{}">').format(own)
    return Markup(lines.replace(mark, Markup('<tr class="own" data-team="{}">').format(own)))  # noqa: S704  (markup in, markup out)


def problem_page(error: Problem, visitor: Visitor, contest: Contest | None) -> HTMLResponse:
    """Render an error for people, who stay where they are: in their session, and in their contest."""
    heading = _HEADINGS.get(error.status, "That did not work")
    return page(
        "problem.html",
        frame_of(visitor, contest, title=heading),
        status=error.status,
        number=error.status,
        heading=heading,
        message=error.message,
        remedy=error.remedy,
    )


def said_of(request: Request) -> str:
    """Return what came of the last form: one of our own sentences, named by its key; never the visitor's."""
    return SAID.get(request.query_params.get("said", ""), "")


SAID = {
    "cancelled": "The entry is cancelled. What it cost is refunded.",
    "finals": "Your finals are chosen.",
    "revoked": "It is revoked, and good for nothing from now on.",
    "phase": "The phase has begun.",
    "amended": "The rules are amended.",
    "requeued": "The entry waits again.",
    "disqualified": "It is disqualified.",
    "reinstated": "It is in good standing again.",
    "granted": "The tries are granted.",
    "merged": "The teams are merged.",
    "registered": "The team takes part.",
    "created": "It is a contest now.",
    "asked": "It is asked for. Nothing changes before you have seen what it moves.",
    "wanted": "The worker makes it hold now.",
    "withdrawn": "It is withdrawn. Nothing was changed.",
    "wish": "The worker follows within seconds; if none runs, the next one does.",
}


def when(text: str | datetime | None) -> Markup:
    """Write a moment; the browser puts it into the reader's own time zone."""
    if not text:
        return Markup("–")
    moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), f"{moment:%Y-%m-%d %H:%M} UTC"
    )


def duration(seconds: float | None) -> str:
    """Write a duration, or a dash."""
    return "–" if seconds is None else seconds_in_words(round(seconds))


def brief(text: str, characters: int) -> str:
    """Write a name in little room: its beginning, and a sign that it goes on."""
    line = words.one_line(text)
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """Write an error's message, which begins small for programs, as a sentence."""
    line = words.clean(text, characters=2000)
    return line[:1].upper() + line[1:] + ("" if line.endswith((".", "?", "!")) else ".")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.portal"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": when,
        "duration": duration,
        "score": words.score,
        "size": bytes_in_words,
        "one_line": words.one_line,
        "brief": brief,
        "sentence": sentence,
    }
    return environment
