"""The standard workload in the real runtime image, under the limits of a run."""

from __future__ import annotations

import docker
import pytest

from harness.core.types import ImageFacts, Limits
from harness.diagnose.calibrate.measure import ENOUGH_ROUNDS, calibrate
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox

pytestmark = pytest.mark.docker


def test_the_workload_runs_and_leaves_nothing(
    docker_client: docker.DockerClient, runtime_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.diagnose.calibrate.measure.ROUNDS", ENOUGH_ROUNDS)
    facts = ImageFacts(label="", digest=runtime_image, variant="cpu")
    backend = Backend(sandbox=DockerSandbox(docker_client), image=facts)
    told: list[tuple[int, int]] = []
    found = calibrate(
        backend,
        limits=Limits(cpus=1.0, memory_bytes=2_000_000_000, gpus=0),
        cpu="test",
        progress=lambda done, total: told.append((done, total)),
    )
    assert found.rounds >= ENOUGH_ROUNDS
    assert told[-1][0] == len(told)
    for seconds in (found.seconds.decode, found.seconds.detect, found.seconds.network):
        assert 0.0005 < seconds < 60
    assert found.image == runtime_image
