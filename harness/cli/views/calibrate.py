"""How two machines' speeds look in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.diagnose.calibrate.project import ratios
from harness.diagnose.calibrate.speeds import Calibration, Reference


def render_speeds(own: Calibration, reference: Reference) -> RenderableType:
    """Return a table for rich: each part here, at the organiser's, and how the two compare."""
    table = Table(
        title=f"{own.cpus:g} cores of {own.cpu or 'this machine'}, {own.device}", title_justify="left"
    )
    for heading in ("part", "here", reference.name, "the organiser's takes"):
        table.add_column(Text(heading), justify="left" if heading == "part" else "right")
    for part, ratio in ratios(own, reference).items():
        table.add_row(
            part,
            f"{1000 * own.seconds.of(part):.1f} ms",
            f"{1000 * reference.seconds.of(part):.1f} ms",
            f"{ratio:.2f} times as long",
        )
    notes = [
        text
        for text, is_so in (
            (f"This machine was busy (load {own.load:.1f}): measure again when it is not.", own.busy),
            (
                f"{reference.name}'s speeds are provisional: they were taken on a busy machine.",
                reference.provisional,
            ),
        )
        if is_so
    ]
    return Group(table, *(Text(note, "yellow") for note in notes))
