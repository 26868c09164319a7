"""Commands that only an organiser needs: score a table, audit a challenge, rank entries, clean up."""

from __future__ import annotations

import typer
from rich.console import Console

from harness.host import connect
from harness.sandbox.docker import reap as reap_containers
from harness.staging import reap_stages

_out = Console()


def add_to(app: typer.Typer) -> None:
    """Add the organiser's commands."""
    app.command()(reap)


def reap() -> None:
    """Remove the containers and staged videos that dead harnesses of this machine left; only those."""
    containers, folders = reap_containers(connect()), reap_stages()
    for name in (*containers, *map(str, folders)):
        _out.print(f"removed {name}", soft_wrap=True)
    _out.print(f"{len(containers)} containers and {len(folders)} folders removed")
