"""What `backup` and `access` print as JSON. `remote` prints what the portal's API answers, as it is."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from harness.cli.documents import Document


class BackupMakeDocument(Document):
    """What a backup holds."""

    name: str
    rows: dict[str, int] = Field(description="of the database, by table")
    files: int
    size_bytes: int
    new_files: int = Field(description="that the last backup did not have as they are now")
    skipped: tuple[str, ...] = Field(description="what is neither a file nor a folder")


class BackupListDocument(Document):
    """The whole backups of a folder."""

    backups: tuple[str, ...] = Field(description="the oldest first")


class BackupVerifyDocument(Document):
    """Whether a backup is as it was written."""

    ok: bool
    backup: str
    damage: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AccessLine:
    """One link, token or session that is good for entering."""

    access: str
    kind: str
    challenge: str | None  # null: all
    role: str
    team: str | None
    label: str
    expires: str


class AccessListDocument(Document):
    """What is good for entering, without the secrets."""

    accesses: tuple[AccessLine, ...]
