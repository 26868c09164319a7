"""Two entries on one machine at the same time: one cannot use up what the other needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from harness.core.types import PreparedVideo, SandboxSpec
from harness.gateway.staging import Stage
from harness.sandbox import SandboxProcess
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.protocol import Answer, Ready, decode_reply, encode_predict

pytestmark = pytest.mark.docker

# The kernel counts these per user id over all containers. 128 watchers are all that a user has by default.
HOG = """
import ctypes
libc = ctypes.CDLL(None)
taken = 0
while libc.inotify_init() >= 0 or libc.inotify_init() >= 0:
    taken += 1
return min(1.0, taken / 1000)
"""
HONEST = "import ctypes\nreturn float(ctypes.CDLL(None).inotify_init() >= 0)"


def answer(process: SandboxProcess, name: str) -> object:
    process.send(encode_predict(request_id="0" * 32, video=name))
    reply = decode_reply(process.receive(120))
    assert isinstance(reply, Answer), reply
    return reply.probability


def test_what_the_kernel_counts_per_user_is_not_shared_with_other_entries(
    docker_client: docker.DockerClient,
    light_image: str,
    make_package: Callable[..., Path],
    make_spec: Callable[..., SandboxSpec],
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
    stage: Stage,
) -> None:
    name = stage.put(make_videos(1)[0])
    sandbox = DockerSandbox(docker_client)
    limits = {"open_files": 4096, "startup_seconds": 120.0}
    hog = make_spec(make_package(HOG), image=light_image, **limits)
    honest = make_spec(make_package(HONEST), image=light_image, **limits)
    with sandbox.start(hog) as one, sandbox.start(honest) as other:
        for process in (one, other):
            assert isinstance(decode_reply(process.receive(120)), Ready)
        taken = answer(one, name)
        assert isinstance(taken, float)
        assert taken > 0
        assert answer(other, name) == 1.0
