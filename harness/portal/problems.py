"""Every error that the portal answers with: one shape for the API, one page for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from harness.contest.rules import Refusal


class Problem(Exception):  # noqa: N818  (an answer, not a fault)
    """Ends a request with an error. Its text may be shown to whoever asked.

    Args:
        status: Of HTTP.
        code: For programs; docs/portal.md lists them.
        message: What is wrong.
        remedy: What can be done about it.
        refusal: Of the contest's rules, if that is what it is.
        offset: Where an upload goes on.
        more: Further keys beside `error`.
        wait_seconds: After which it may be tried again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        remedy: str | None = None,
        refusal: Refusal | None = None,
        offset: int | None = None,
        more: dict[str, Any] | None = None,
        wait_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.remedy = status, code, message, remedy
        self.refusal, self.offset, self.more, self.wait_seconds = refusal, offset, more or {}, wait_seconds

    @property
    def document(self) -> dict[str, Any]:
        """The JSON answer."""
        refusal = self.refusal
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "remedy": self.remedy,
                "rule": None if refusal is None else refusal.rule.value,
                "count": None if refusal is None else refusal.count,
                "limit": None if refusal is None else refusal.limit,
                "again": None if refusal is None else moment(refusal.again),
                "offset": self.offset,
            },
            **self.more,
        }


def unauthorised(message: str = "this needs a token or a session") -> Problem:
    """Return: nobody knows who asks."""
    return Problem(
        401, "unauthorised", message, remedy="Ask the organiser for a link or a token; it may have expired."
    )


def forbidden(message: str) -> Problem:
    """Return: whoever asks may not."""
    return Problem(403, "forbidden", message)


def not_found(what: str) -> Problem:
    """Return: it does not exist, or is not the asker's to know of."""
    return Problem(404, "not_found", f"there is no such {what}")


def refused(refusal: Refusal) -> Problem:
    """Return: a rule of the contest says no."""
    remedy = None if refusal.again is None else f"Possible again from {moment(refusal.again)}."
    return Problem(409, "refused", f"{refusal.rule}: {refusal.message}", remedy=remedy, refusal=refusal)


def invalid(message: str, *, remedy: str | None = None) -> Problem:
    """Return: the request makes no sense."""
    return Problem(422, "invalid", message, remedy=remedy)


def moment(when: datetime | None) -> str | None:
    """Write a moment as the API has it."""
    return None if when is None else when.isoformat(timespec="seconds")
