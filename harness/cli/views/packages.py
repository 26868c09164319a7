"""The folder of packages as text: what nothing needs, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.contest.kept_packages import KeptPackages, WhyUnneeded
from harness.core.limits import bytes_in_words


def render_packages(found: KeptPackages, *, removed: bool) -> Iterator[RenderableType]:
    """Render what is needed, and what was removed or could be."""
    if found.unneeded:
        table = Table(title="Removed" if removed else "Not needed by any entry", title_justify="left")
        table.add_column("sha256", no_wrap=True)
        table.add_column("size", justify="right", no_wrap=True)
        table.add_column("why", overflow="fold")
        for one in found.unneeded:
            why = one.why if one.why is WhyUnneeded.NO_ENTRY else f"{one.why}: {', '.join(one.entries)}"
            table.add_row(one.sha256[:16], bytes_in_words(one.size_bytes), Text(why))
        yield table
    yield (
        f"needed: {found.needed}, {bytes_in_words(found.needed_bytes)};"
        f" {'removed' if removed else 'not needed'}: {len(found.unneeded)},"
        f" {bytes_in_words(found.unneeded_bytes)}"
    )
    if found.unneeded and not removed:
        yield (
            "Nothing was removed. --remove removes those of cancelled entries; with --no-entry also the rest."
        )
