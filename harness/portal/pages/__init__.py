"""The pages: rendered here, of the same values that the API answers with."""

from __future__ import annotations

from fastapi import APIRouter

from harness.portal.pages import everybody, team


def routers() -> tuple[APIRouter, ...]:
    """Return the routes of all pages."""
    return everybody.router, team.router
