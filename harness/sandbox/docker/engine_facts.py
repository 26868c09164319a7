"""What the harness must know of an engine before it starts a container there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """One engine, as it describes itself.

    Attributes:
        podman: Its service takes some options otherwise than Docker's.
        no_limits: Why it cannot hold a container to any limit; empty: it can.
    """

    podman: bool
    no_limits: str = ""


def facts_of(version: Mapping[str, Any], info: Mapping[str, Any]) -> EngineFacts:
    """Read an engine's answers to `/version` and `/info`."""
    components = version.get("Components") or ()
    options = [str(one) for one in info.get("SecurityOptions") or ()]
    rootless = info.get("Rootless") is True or any("rootless" in one for one in options)
    why = ""
    if info.get("CgroupDriver") == "none":
        why = "it uses no control groups"
    elif rootless and str(info.get("CgroupVersion", "1")) == "1":  # Podman ignores every limit in silence
        why = "it is rootless, and control groups of version 1 are only root's"
    return EngineFacts(
        podman=any("podman" in str(part.get("Name", "")).lower() for part in components), no_limits=why
    )
