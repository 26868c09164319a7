"""What a portal is started with. Secrets are not among it: they are in the database, hashed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 8_000_000
BODY_BYTES = 65_536  # of any request that is not a part of an upload
REGRADE_BYTES = 4_000_000  # of a form with corrected labels: those of 20,000 videos


@dataclass(frozen=True, kw_only=True)
class PortalConfig:
    """Where things are, and how much is allowed.

    Attributes:
        store: The database's URL.
        runs: The folder of run folders, as the worker has it.
        packages: Where packages are kept, each by its sha256.
        uploads: Where uploads grow; several portals beside each other share it.
        challenges: A folder of challenge folders, from which an organiser may make contests; None if that is
            done by `harness contest init` only.
        address: As readers reach it, e.g. https://contest.example; links are made of it.
        hosts: Names by which it may be called; any if empty.
        requests_per_minute: By one client; a flood is answered 429.
        links_per_minute: That one client may look at or follow.
        price_per_hour: Of one place for a shard, for the cost so far.
    """

    store: str
    runs: Path
    packages: Path
    uploads: Path
    challenges: Path | None = None
    address: str = "http://127.0.0.1:8000"
    hosts: tuple[str, ...] = ()
    requests_per_minute: int = 3000
    links_per_minute: int = 30
    price_per_hour: float = 0.0
    chunk_bytes: int = CHUNK_BYTES
    uploads_per_team: int = 3
    upload_hours: float = 48.0
    session_hours: float = 12.0
    link_days: float = 7.0
    token_days: float = 180.0

    @property
    def secure(self) -> bool:
        """Whether readers come by HTTPS: cookies are then for HTTPS alone."""
        return self.address.startswith("https://")
