"""What the API takes and answers about uploads."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.portal.schemas import Answer, Asked, CheckAnswer, EntryAnswer, Name


class UploadAsked(Asked):
    """A file that is about to come."""

    name: Name
    size_bytes: Annotated[int, Field(ge=1, le=1 << 50)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class UploadAnswer(Answer):
    """How far an upload is."""

    upload: str
    name: str
    size_bytes: int
    sha256: str
    offset: int
    chunk_bytes: int
    expires: str


class FinishAsked(Asked):
    """The upload is complete: check it and hand it in."""

    no_external_data: bool = Field(default=False, description="it was trained on no further data")


class FinishAnswer(Answer):
    """The entry that was taken."""

    entry: EntryAnswer
    check: CheckAnswer
