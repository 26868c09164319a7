"""Puts the portal together: routes, errors, walls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from harness import __version__
from harness.core.errors import HarnessError
from harness.core.text import printable
from harness.portal import pages
from harness.portal.api import live_routes, open_routes, team_routes, upload_routes
from harness.portal.api.route_parts import ROOT
from harness.portal.config import PortalConfig
from harness.portal.logs import install_logs
from harness.portal.pages.rendering import problem_page
from harness.portal.problems import Problem, invalid
from harness.portal.prometheus import install_metrics
from harness.portal.pulse import Pulses
from harness.portal.site import Site
from harness.portal.visitor import Visitor
from harness.portal.walls import Walls
from harness.results.store import access_rows
from harness.results.store.jobs import moment_text

STATIC = Path(__file__).with_name("static")
STATIC_SECONDS = 3600
FORGET_DAYS = 30  # after its end a link, token or session is forgotten
_CODES = {404: "not_found", 405: "method_not_allowed"}
_WORDS = {404: "there is no such page", 405: "this address is not asked in that way"}


def create_app(config: PortalConfig, *, site: Site | None = None) -> FastAPI:
    """Make the portal.

    Args:
        config: What it is started with.
        site: Its surroundings, if they were made already.

    Raises:
        StoreError: the database cannot be reached.
    """
    here = site or Site(config)
    app = FastAPI(
        title="Contest portal",
        version=__version__,
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,  # it would load scripts from elsewhere; docs/portal.md describes the API
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.site = here
    app.state.pulses = Pulses()
    for prefix, router in routers():
        app.include_router(router, prefix=prefix)
    app.add_route("/static/base.css", _base_style)
    app.mount("/static", CachedFiles(directory=STATIC), name="static")
    _add_errors(app)
    app.add_middleware(Walls, config=config)
    install_metrics(app, here)  # around the walls: what they keep out is counted and logged, too
    install_logs(app)
    return app


def routers() -> tuple[tuple[str, APIRouter], ...]:
    """Return every router of the portal with its prefix: all that it answers but its own static files."""
    api = (open_routes, team_routes, upload_routes, live_routes)
    return (*((ROOT, module.router) for module in api), *(("", router) for router in pages.routers()))


async def _base_style(request: Request) -> Response:
    """Return the reports' own style, which the portal's builds on."""
    del request
    text = files("harness.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
    headers = {"cache-control": f"public, max-age={STATIC_SECONDS}"}
    return Response(text, media_type="text/css", headers=headers)


class CachedFiles(StaticFiles):
    """Our own files, which browsers may keep for a while."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """See `StaticFiles.file_response`."""
        found = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        found.headers["cache-control"] = f"public, max-age={STATIC_SECONDS}"
        return found


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    site: Site = app.state.site
    old = moment_text(site.now() - timedelta(days=FORGET_DAYS))
    await run_in_threadpool(site.store.write, lambda connection: access_rows.forget(connection, before=old))
    yield
    site.close()


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def makes_no_sense(request: Request, error: RequestValidationError) -> Response:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]
        return answer(request, invalid(printable("; ".join(found))))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(
            request,
            Problem(
                error.status_code,
                _CODES.get(error.status_code, "invalid"),
                _WORDS.get(error.status_code, "") or str(error.detail),
            ),
        )

    @app.exception_handler(HarnessError)
    async def ours(request: Request, error: HarnessError) -> Response:
        del error  # its text names files and databases of ours
        return answer(request, Problem(503, "ours", "this is our own fault: try again", wait_seconds=5))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        del error
        return answer(request, Problem(500, "ours", "this is our own fault"))


def answer(request: Request, error: Problem) -> Response:
    """Answer with an error: JSON for programs, a page for people."""
    headers = {} if error.wait_seconds is None else {"retry-after": str(error.wait_seconds)}
    if not request.url.path.startswith(ROOT):
        visitor = getattr(request.state, "visitor", Visitor())
        shown = problem_page(error, visitor, getattr(request.state, "contest", None))
        shown.headers.update(headers)
        return shown
    return JSONResponse(error.document, status_code=error.status, headers=headers)
