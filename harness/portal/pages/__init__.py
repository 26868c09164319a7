"""The pages: rendered here, of the same values that the API answers with."""

from __future__ import annotations

from fastapi import APIRouter

from harness.portal.pages import open_pages, organiser_forms, organiser_pages, regrade_pages, team_pages


def routers() -> tuple[APIRouter, ...]:
    """Return the routes of all pages."""
    modules = (open_pages, team_pages, organiser_pages, organiser_forms, regrade_pages)
    return tuple(module.router for module in modules)
