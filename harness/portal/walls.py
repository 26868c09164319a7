"""What stands before every request: headers, sizes, rates, patience, and where a change may come from.

Plain ASGI, so that streams stay streams. Rates are counted in this process alone: they keep a flood out and
are no rule; with several portals beside each other a client may ask each of them so often.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.portal.config import BODY_BYTES, REGRADE_BYTES, PortalConfig
from harness.portal.pages.rendering import problem_page
from harness.portal.problems import Problem, forbidden
from harness.portal.visitor import SAFE_METHODS, Visitor

BODY_SECONDS = 30.0  # without a byte of a body that is still to come
REFUSED_SECONDS = 2.0  # for the body of a request that is refused
REGRADE_FORM = "/organise/regrades/ask"  # the one form that brings a file
HOUSE_BITS = 64
CLIENTS_MAX = 20_000  # whose rates are remembered
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # `no-referrer` would have browsers hide where their own forms are from
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(kw_only=True)
class Rates:
    """A bucket of requests for each client, refilled over a minute."""

    per_minute: int
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, client: str, now: float) -> float:
        """Take one; returns 0, or after how many seconds there is one again."""
        if len(self._left) > CLIENTS_MAX:
            self._left.clear()
        left, then = self._left.get(client, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - then) * self.per_minute / 60.0)
        self._left[client] = (max(0.0, left - 1.0), now)
        return 0.0 if left >= 1.0 else (1.0 - left) * 60.0 / self.per_minute


class Walls:
    """Wraps the whole portal.

    Args:
        app: What is behind the walls.
        config: Sizes and rates.
    """

    def __init__(self, app: ASGIApp, config: PortalConfig) -> None:
        self._app = app
        self._config = config
        self._all = Rates(per_minute=config.requests_per_minute)
        self._links = Rates(per_minute=config.links_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit = self._admit(scope)
        except Problem as problem:
            await _let_arrive(scope, receive)
            await _answer(self._headed(send), problem, page=_is_page(scope))
            return
        body = _Body(receive, limit)
        headed = self._headed(send)

        async def unless_of_the_body(message: Message) -> None:
            """Leave out the answer of whoever read a body that was refused: they call it unreadable."""
            if body.problem is None:
                await headed(message)

        try:
            await self._app(scope, body.receive, unless_of_the_body)
        except Problem:
            if body.problem is None:
                raise
        if body.problem is not None:
            await _answer(headed, body.problem, page=_is_page(scope))

    def _admit(self, scope: Scope) -> int:
        """Return how large the body may be.

        Raises:
            Problem: the request does not come in.
        """
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        self._check_rate(scope, path)
        host = headers.get("host", "").rpartition("@")[2].partition(":")[0]
        if self._config.hosts and host not in self._config.hosts:
            raise Problem(421, "not_found", "this portal does not answer to that name")
        if "transfer-encoding" in headers and "content-length" in headers:  # a proxy may cut it elsewhere
            raise Problem(400, "invalid", "a body has a length, or comes in chunks: not both")
        if method not in SAFE_METHODS:
            _check_origin(headers)
        limit = self._config.chunk_bytes if method == "PATCH" else BODY_BYTES
        if method == "POST" and path.endswith(REGRADE_FORM):
            limit = REGRADE_BYTES
        length = headers.get("content-length")
        if length is not None and (not length.isdecimal() or int(length) > limit):
            raise too_large(limit)
        return limit

    def _check_rate(self, scope: Scope, path: str) -> None:
        client, now = _household((scope.get("client") or ("", 0))[0]), time.monotonic()
        wait = self._all.take(client, now)
        if not wait and path.startswith("/enter/"):
            wait = self._links.take(client, now)
        if wait:
            seconds = int(wait) + 1
            raise Problem(429, "rate_limited", f"too many requests: wait {seconds} s", wait_seconds=seconds)

    def _headed(self, send: Send) -> Send:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._config.secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        return headed


class _Body:
    """Counts a body as it comes, and does not wait for ever."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._seen, self._over = 0, False
        self.problem: Problem | None = None  # what was wrong with it

    async def receive(self) -> Message:
        if self._over:
            return await self._receive()  # until the client leaves: a stream may listen for hours
        try:
            message = await asyncio.wait_for(self._receive(), BODY_SECONDS)
        except TimeoutError as error:
            self.problem = Problem(408, "invalid", f"nothing came for {BODY_SECONDS:.0f} s")
            raise self.problem from error
        self._seen += len(message.get("body", b""))
        self._over = not message.get("more_body", False)
        if self._seen > self._limit:
            self.problem = too_large(self._limit)
            raise self.problem
        return message


def _household(address: str) -> str:
    """Return who shares a rate: an address, and of version 6 its network, of which one house has them all."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, HOUSE_BITS), strict=False))


def too_large(limit: int) -> Problem:
    """Return: the body is too large."""
    return Problem(413, "too_large", f"the body is larger than {limit:,} bytes")


def _check_origin(headers: Headers) -> None:
    """Refuse what another site's page sends, whatever cookies it comes with."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise forbidden("this was sent by a page of another site")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise forbidden("this was sent by a page of another site")


async def _let_arrive(scope: Scope, receive: Receive) -> None:
    """Take in a small body that is refused: closed on while it sends, a client never reads why."""
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or not 0 < int(length) <= BODY_BYTES:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(REFUSED_SECONDS):
            while (await receive()).get("more_body", False):
                pass


def _is_page(scope: Scope) -> bool:
    """Tell whether people read the answer: programs ask the API."""
    return not str(scope["path"]).startswith(("/api/", "/metrics"))


async def _answer(send: Send, problem: Problem, *, page: bool) -> None:
    body = (
        bytes(problem_page(problem, Visitor(), None).body) if page else json.dumps(problem.document).encode()
    )
    headers: list[tuple[bytes, Any]] = [
        (b"content-type", b"text/html; charset=utf-8" if page else b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what else comes of the body is not read
    ]
    if problem.wait_seconds is not None:
        headers.append((b"retry-after", str(problem.wait_seconds).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
