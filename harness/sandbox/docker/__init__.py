"""The real sandbox: containers of a container engine."""

from __future__ import annotations

from typing import Final

ISOLATION: Final = "docker"  # as every run on it has on record
