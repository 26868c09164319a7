"""What the harness must know of an engine before it starts a container there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """One engine, as it describes itself.

    Attributes:
        podman: Its service takes some options otherwise than Docker's.
        no_limits: Why it cannot hold a container to any limit; empty: it can.
        default_runtime: The name of the runtime of a container that asks for none.
        gvisor_runtimes: The names of those of its runtimes that are gVisor.
    """

    podman: bool
    no_limits: str = ""
    default_runtime: str = ""
    gvisor_runtimes: frozenset[str] = frozenset()

    def runs_on_gvisor(self, runtime: str | None) -> bool:
        """Tell whether gVisor runs a container.

        Args:
            runtime: What the container asks for; None: the engine's default.
        """
        name = runtime or self.default_runtime
        return name in self.gvisor_runtimes or _is_gvisor(name)


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
    runtimes: Mapping[str, Any] = info.get("Runtimes") or {}
    return EngineFacts(
        podman=any("podman" in str(part.get("Name", "")).lower() for part in components),
        no_limits=why,
        default_runtime=str(info.get("DefaultRuntime") or ""),
        gvisor_runtimes=frozenset(name for name, told in runtimes.items() if _is_gvisor(name, told or {})),
    )


def _is_gvisor(name: str, told: Mapping[str, Any] = MappingProxyType({})) -> bool:
    """Tell gVisor by a runtime's name, program or shim, one of which is `runsc` however it was set up."""
    program = PurePath(str(told.get("path") or "")).name
    return any("runsc" in word for word in (name, program, str(told.get("runtimeType") or "")))
