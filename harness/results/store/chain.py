"""The hash chain of a contest's events: each carries the sha256 of its predecessor.

Anyone who changes, removes, adds or reorders events breaks the chain, unless they rewrite every later event.
Even that shows if the last event's sha256 was kept or published elsewhere before. The chain alone does not
keep somebody with write access to the database from rewriting all of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.results.seal import canonical

GENESIS = "0" * 64
_SCHEME = "contest-event-v1"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One event as it is kept."""

    challenge: str
    number: int  # from 1
    event: str  # canonical JSON
    previous: str  # sha256 of its predecessor
    sha256: str

    @property
    def document(self) -> dict[str, Any]:
        """The event, read from its JSON.

        Raises:
            ValueError: it is not a JSON object.
        """
        found = json.loads(self.event)
        if not isinstance(found, dict):
            raise ValueError(f"event {self.number} is not a JSON object")
        return found


def link(
    challenge: str, documents: Sequence[dict[str, Any]], *, after: int = 0, head: str = GENESIS
) -> tuple[Record, ...]:
    """Chain events to those before.

    Args:
        challenge: The contest's name: an event cannot be moved to another contest.
        documents: What JSON can hold.
        after: How many events there are.
        head: The sha256 of the last of them.
    """
    records = []
    for number, document in enumerate(documents, start=after + 1):
        event = canonical(document).decode("ascii")
        digest = digest_of(challenge, number, head, event)
        records.append(Record(challenge=challenge, number=number, event=event, previous=head, sha256=digest))
        head = digest
    return tuple(records)


def digest_of(challenge: str, number: int, previous: str, event: str) -> str:
    """Return the sha256 of an event at its place."""
    place = canonical([_SCHEME, challenge, number, previous])
    return hashlib.sha256(place + b"\n" + event.encode("utf-8", errors="surrogatepass")).hexdigest()


def verify(
    records: Iterable[Record], *, head: str | None = None, events: int | None = None
) -> tuple[str, ...]:
    """Say everything that is wrong with a chain; nothing if it is whole.

    Args:
        records: All of one contest, in the order of their numbers.
        head: The sha256 that the last event must have, from where it was kept or published.
        events: How many there must be.
    """
    wrong: list[str] = []
    previous, count = GENESIS, 0
    challenge = None
    for count, record in enumerate(records, start=1):
        challenge = challenge or record.challenge
        place = f"event {record.number}"
        if record.number != count:
            wrong.append(f"{place} stands where event {count} belongs")
        if record.challenge != challenge:
            wrong.append(f"{place} is of another contest")
        if record.previous != previous:
            wrong.append(f"{place} does not follow its predecessor")
        if record.sha256 != digest_of(record.challenge, record.number, record.previous, record.event):
            wrong.append(f"{place} was changed")
        previous = record.sha256
    if head is not None and head != previous:
        wrong.append(f"the last event is {previous}, and not {head}")
    if events is not None and events != count:
        wrong.append(f"there are {count} events, and not {events}")
    return tuple(wrong)
