"""What `harness access` prints with `--json`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from harness.cli.documents import Document


class AccessLine(BaseModel):
    """One link, token or session. Its secret is kept nowhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    access: str = Field(description="its id, for `access revoke`")
    kind: str = Field(description="link, token or session")
    challenge: str | None = Field(description="null: of an organiser of all contests")
    role: str
    team: str | None
    label: str
    scopes: list[str]
    created: str
    expires: str


class AccessListDocument(Document):
    """Everything that is good for entering, or was and is not revoked."""

    access: list[AccessLine]
