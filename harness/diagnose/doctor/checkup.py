"""Is this machine fit to run a challenge? Every answer at once: OK, a warning or a failure, with its remedy.

Looking changes nothing: no engine is started, no image built, nothing removed. One container is started with
exactly the options of a real run, because what an engine says of its seccomp and what it does are two things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from harness.core.errors import EngineUnavailableError
from harness.core.types import Limits


class Level(StrEnum):
    """How it is, the worst first."""

    FAILURE = "failure"  # runs will fail, or must not be trusted
    WARNING = "warning"  # runs work; somebody should look
    OK = "ok"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One line."""

    check: str
    level: Level
    message: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """Everything that was looked at, in the order of looking."""

    diagnoses: tuple[Diagnosis, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.count(Level.FAILURE)

    def count(self, level: Level) -> int:
        """Count the lines of one level."""
        return sum(one.level is level for one in self.diagnoses)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is to be looked at."""

    connect: Callable[[], docker.DockerClient]  # raises EngineUnavailableError
    limits: Limits  # of the challenge to be run
    cache: Path  # where prepared sets will be kept
    temporary: Path  # where videos will be staged


Check = Callable[[Patient], Iterable[Diagnosis]]
EngineCheck = Callable[[docker.DockerClient, Patient], Iterable[Diagnosis]]


def examine(
    patient: Patient, *, host: Iterable[Check], engine: Iterable[EngineCheck], say: Callable[[str], None]
) -> Checkup:
    """Look at everything. If no engine answers that is one failure, and what needs one is left out.

    Args:
        patient: What is to be looked at.
        host: Looks at this machine; `harness.diagnose.doctor.host.HOST_CHECKS`.
        engine: Looks at the engine; `doctor.engine.ENGINE_CHECKS`, and `probe_container` beside it.
        say: Told before what takes seconds.
    """
    found: list[Diagnosis] = []
    try:
        client = patient.connect()
    except EngineUnavailableError as error:
        found.append(fails("engine", error.message, error.remedy or ""))
    else:
        say("Asking the container engine, and starting one container")
        for look in engine:
            found += _asked(look, client, patient)
        client.close()
    for check in host:
        found += check(patient)
    return Checkup(diagnoses=tuple(found))


def _asked(look: EngineCheck, client: docker.DockerClient, patient: Patient) -> list[Diagnosis]:
    try:
        return list(look(client, patient))
    except (DockerException, requests.RequestException, OSError) as error:
        return [fails("engine", f"it failed while it was asked: {error}", "Look at the engine's log.")]


def well(check: str, message: str) -> Diagnosis:
    """Say that all is well."""
    return Diagnosis(check=check, level=Level.OK, message=message)


def warns(check: str, message: str, remedy: str) -> Diagnosis:
    """Say what somebody should look at."""
    return Diagnosis(check=check, level=Level.WARNING, message=message, remedy=remedy)


def fails(check: str, message: str, remedy: str) -> Diagnosis:
    """Say what keeps runs from working or from being trusted."""
    return Diagnosis(check=check, level=Level.FAILURE, message=message, remedy=remedy)
