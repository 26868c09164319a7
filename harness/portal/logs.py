"""What a portal says about each request: one line of JSON, without anything that opens a door.

A line names the route's template and never the path that was asked for, which may contain a link's secret;
no query, no body, no header, no cookie. Who asked is a role and a team, never a token.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGGER = "harness.portal"
REQUEST_HEADER = b"x-request-id"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "(none)"


def install_logs(app: FastAPI) -> None:
    """Have each request logged, and its answer carry the number under which it is."""
    app.add_middleware(_Logged)


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: moment, level, logger, message, and the facts it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`. A traceback is the type and the place alone: its text may quote."""
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, Mapping):
            document |= facts
        if record.exc_info and record.exc_info[0] is not None:
            document["exception"] = record.exc_info[0].__name__
            document["place"] = _place(record)
        return json.dumps(document, ensure_ascii=False, default=str)


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request came to; of files of our own, the folder.

    A router that was included with a prefix keeps its routes' whole templates apart from the routes.
    """
    included = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(included, "path", None) or getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return scope.get("root_path", "").removeprefix(scope.get("app_root_path", "")) or NO_ROUTE


def method_of(scope: Scope) -> str:
    """Return a request's method, if it is one: it is the client's word, and any word would do."""
    return str(scope["method"]) if scope["method"] in METHODS else "OTHER"


class _Logged:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = logging.getLogger(LOGGER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, number, status = time.monotonic(), secrets.token_hex(6), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (REQUEST_HEADER, number.encode())]
                message = {**message, "headers": headers}
            await send(message)

        failed = ""
        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            failed = type(error).__name__
            raise
        finally:
            self._say(scope, status, time.monotonic() - began, number, failed)

    def _say(self, scope: Scope, status: int, seconds: float, number: str, failed: str) -> None:
        facts: dict[str, object] = {
            "request": number,
            "method": method_of(scope),
            "route": route_of(scope),
            "status": status or None,  # None: whoever asked was gone before there was an answer
            "seconds": round(seconds, 4),
            **_who(scope),
        }
        if failed:
            facts["exception"] = failed
        level = logging.ERROR if failed or status >= 500 else logging.INFO
        self._log.log(level, "request", extra={"facts": facts})


def _who(scope: Scope) -> dict[str, object]:
    """Return the role and the team of whoever asked, as `visitor.visitor_of` found them."""
    visitor = scope.get("state", {}).get("visitor")
    row = getattr(visitor, "row", None)
    if row is None:
        return {"role": None, "team": None}
    return {"role": row.role, "team": row.team, "access": row.access}


def _place(record: logging.LogRecord) -> str:
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    return f"{traceback.tb_frame.f_globals.get('__name__', '')}:{traceback.tb_lineno}"
