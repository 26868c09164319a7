"""A finished run's private score, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PrivateScore:
    """One run's."""

    team: str
    log_loss: float
