"""An entry watched until nothing more happens to it, over a line that may break."""

from __future__ import annotations

import time
from collections.abc import Iterator

from harness.core.errors import PortalError
from harness.portal.client.broken_line import LineBroke, Patience
from harness.portal.client.connection import Portal
from harness.portal.client.replies import EntryView, entry_of

STEADY_SECONDS = 10.0  # a stream that lasted so long is worth opening again at once


def follow(portal: Portal, challenge: str, entry: str) -> Iterator[EntryView]:
    """Yield an entry as it is now, and again at every change, until it is over.

    The portal tells of changes by itself; if its stream breaks, the entry is asked for and the stream opened
    again. While a stream cannot be had at all, the entry is asked for every half minute.

    Raises:
        ConfigError: there is no such entry of this team.
        PortalError: the portal does not answer for longer than its patience.
    """
    patience = Patience(float("inf"), say=lambda _why: None)
    last: EntryView | None = None
    while True:
        found = entry_of(portal.get(f"/challenges/{challenge}/entries/{entry}"))
        if found != last:
            last = found
            yield found
        if found.over:
            return
        broke, opened = None, time.monotonic()
        for event in portal.events(f"/challenges/{challenge}/events"):
            if isinstance(event, LineBroke):
                broke = event
                break
            if time.monotonic() - opened > STEADY_SECONDS:
                patience.rested()
            if event.name != "entry" or event.data.get("entry") != entry:
                continue
            found = entry_of(event.data)
            if found != last:
                last = found
                yield found
            if found.over:
                return
        if broke is None:  # a stream always says why it ended
            raise PortalError("ends its stream without a word", place=portal.url)
        patience.wait(broke.why)
