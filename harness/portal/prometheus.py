"""What Prometheus may ask: how the portal answers, and how the contests' queues are.

Requests are counted in this process: of several portals beside each other each is asked for its own. What is
said of contests is read from the database when it is asked for, and is the same wherever it is asked. Nothing
here names a team, an entry or a score.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime

import sqlalchemy as sa
from fastapi import FastAPI
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from harness.core.errors import StoreError
from harness.portal.access import Scope
from harness.portal.logs import method_of, route_of
from harness.portal.problems import forbidden, unauthorised
from harness.portal.site import Site
from harness.portal.visitor import ApiVisitor
from harness.results.store.tables import CHALLENGES, DRIVERS, ENTRIES, JOBS, TEAMS

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


def install_metrics(app: FastAPI, site: Site) -> None:
    """Count requests, and answer `GET /metrics` to a token with the scope `metrics`.

    There is no exception for requests of the same machine: behind a proxy, all of them are.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(ContestMetrics(site))
    app.add_middleware(_Counted, counts=_Counts(registry))

    @app.get("/metrics", include_in_schema=False)
    def metrics(visitor: ApiVisitor) -> Response:
        if visitor.row is None:
            raise unauthorised()
        if Scope.METRICS not in visitor.scopes:
            raise forbidden("this needs the scope `metrics`")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Counts:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "harness_portal_requests",
            "Requests that were answered; status 0: whoever asked was gone before.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "harness_portal_request_seconds",
            "From a request to the end of its answer, without event streams.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self.streams = Gauge("harness_portal_streams", "Event streams that are open now.", registry=registry)
        self.received = Counter(
            "harness_portal_received_bytes", "Bytes of bodies of requests.", registry=registry
        )


class _Counted:
    def __init__(self, app: ASGIApp, counts: _Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, is_stream = time.monotonic(), 0, False

        async def counting_in() -> Message:
            message = await receive()
            self._counts.received.inc(len(message.get("body", b"")))
            return message

        async def counting_out(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(message):
                    is_stream = True
                    self._counts.streams.inc()
            await send(message)

        try:
            await self._app(scope, counting_in, counting_out)
        finally:
            method, route = method_of(scope), route_of(scope)
            self._counts.requests.labels(method, route, str(status)).inc()
            if is_stream:
                self._counts.streams.dec()
            else:
                self._counts.seconds.labels(method, route).observe(time.monotonic() - began)


class ContestMetrics(Collector):
    """Reads the database when Prometheus asks; if it does not answer, that is what is said."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say nothing beforehand: what there is depends on the database."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read everything in one transaction."""
        up = GaugeMetricFamily("harness_portal_database_up", "Whether the database answered just now.")
        try:
            with self._site.store.read() as connection:
                found = list(_read(connection, self._site.now()))
        except StoreError:
            up.add_metric((), 0.0)
            yield up
            return
        up.add_metric((), 1.0)
        yield up
        yield from found


def _read(connection: sa.Connection, now: datetime) -> Iterator[GaugeMetricFamily]:
    yield _by_status(connection, ENTRIES, "status", "harness_contest_entries", "Entries by their status.")
    yield _by_status(connection, JOBS, "state", "harness_contest_shards", "Shards by their state.")
    yield _by_status(connection, TEAMS, None, "harness_contest_teams", "Teams that were ever registered.")
    events = GaugeMetricFamily(
        "harness_contest_events", "Decisions in the log; never fewer than before.", labels=("challenge",)
    )
    for row in connection.execute(sa.select(CHALLENGES.c.challenge, CHALLENGES.c.events)):
        events.add_metric((row.challenge,), row.events)
    yield events
    oldest = GaugeMetricFamily(
        "harness_contest_oldest_waiting_seconds",
        "For how long the oldest waiting entry has waited; 0 if none waits.",
        labels=("challenge",),
    )
    waiting = sa.func.min(ENTRIES.c.submitted).filter(ENTRIES.c.status == "waiting")
    for row in connection.execute(
        sa.select(ENTRIES.c.challenge, waiting.label("since")).group_by(ENTRIES.c.challenge)
    ):
        oldest.add_metric((row.challenge,), _since(row.since, now))
    yield oldest
    beat = GaugeMetricFamily(
        "harness_contest_worker_silent_seconds",
        "Since the contest's worker last gave a sign; no line if there is no worker.",
        labels=("challenge",),
    )
    at_work = sa.select(DRIVERS.c.challenge, DRIVERS.c.heartbeat).where(DRIVERS.c.driver.is_not(None))
    for row in connection.execute(at_work):
        beat.add_metric((row.challenge,), _since(row.heartbeat, now))
    yield beat


def _by_status(
    connection: sa.Connection, table: sa.Table, column: str | None, name: str, text: str
) -> GaugeMetricFamily:
    labels = ("challenge",) if column is None else ("challenge", column)
    keys = [table.c[label] for label in labels]
    family = GaugeMetricFamily(name, text, labels=labels)
    for row in connection.execute(sa.select(*keys, sa.func.count()).group_by(*keys)):
        *values, count = row
        family.add_metric(tuple(map(str, values)), count)
    return family


def _since(text: str | None, now: datetime) -> float:
    return 0.0 if text is None else max(0.0, (now - datetime.fromisoformat(text)).total_seconds())


def _is_stream(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message.get("headers", ())
    )
