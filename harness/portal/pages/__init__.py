"""The pages: rendered here, of the same values that the API answers with."""

from __future__ import annotations

from fastapi import APIRouter

from harness.portal.pages import open_pages, organiser_forms, organiser_pages, team_pages


def routers() -> tuple[APIRouter, ...]:
    """Return the routes of all pages."""
    return open_pages.router, team_pages.router, organiser_pages.router, organiser_forms.router
