"""What kept a package from its CPU is told beside its time: a slow neighbour is not a slow package."""

from __future__ import annotations

import pytest

from harness.core.usage import GpuLevel
from harness.report.words import cpu
from harness.results.result import Resources


def used(**values: float | None) -> Resources:
    return Resources(
        **({"restarts": 0, "peak_memory_bytes": None, "cpu_seconds": 12.5} | values),  # type: ignore[arg-type]  # its values are of many types
        gpu_level=GpuLevel.NONE,
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "12.5 s"),  # a kernel that does not tell
        ({"throttled_seconds": 0.25}, "12.5 s; held back 250 ms by its own limit"),
        (
            {"throttled_seconds": 0.0, "steal_seconds": 31.0},
            "12.5 s; held back 0 s by its own limit; 31 s stolen by this machine's host",
        ),
    ],
)
def test_cpu_time_is_told_with_what_kept_the_package_from_it(
    values: dict[str, float | None], words: str
) -> None:
    assert cpu(used(**values)) == words
