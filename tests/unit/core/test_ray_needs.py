"""What a job needs of a node, in Ray's words, and what stands at its address."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.engines import ray_start
from harness.core.engines.ray import Need, speed_class, speed_resources


def test_a_need_is_told_in_rays_words() -> None:
    need = Need(cores=2, memory_bytes=10**9, gpus=1, speed=0.8)
    assert need.options() == {
        "num_cpus": 2,
        "max_retries": 0,
        "memory": 10**9,
        "num_gpus": 1,
        "resources": {"speed-8": 0.001},
    }
    assert need.resources() == {"CPU": 2, "memory": 1e9, "GPU": 1, "speed-8": 0.001}
    assert Need(cores=1).resources() == {"CPU": 1}


@given(needed=st.integers(1, 200), offered=st.integers(1, 200))
def test_a_job_finds_its_class_exactly_on_nodes_that_are_fast_enough(needed: int, offered: int) -> None:
    needed_speed, offered_speed = needed / 100, offered / 100
    offers = speed_resources(offered_speed)
    if speed_class(needed_speed) in offers:
        assert needed_speed <= offered_speed + 1e-9
    elif offered_speed <= 2:
        assert needed_speed > offered // 10 / 10 - 1e-9  # a node's class is rounded down


@pytest.mark.parametrize(
    ("speed", "expected"), [(0.01, "speed-1"), (0.8, "speed-8"), (0.81, "speed-9"), (9, "speed-20")]
)
def test_a_class_is_rounded_up_for_what_is_needed(speed: float, expected: str) -> None:
    assert speed_class(speed) == expected


def test_something_else_that_listens_at_the_address_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself asks such a one again for more than three minutes, and says nothing of it."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        threading.Thread(target=web.handle_request, daemon=True).start()
        with pytest.raises(OSError, match="something else than Ray listens there"):
            ray_start.must_listen(f"127.0.0.1:{web.server_port}")
    monkeypatch.setattr(ray_start, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OSError, match="says nothing"):
        ray_start.must_listen(f"127.0.0.1:{silent.getsockname()[1]}")
