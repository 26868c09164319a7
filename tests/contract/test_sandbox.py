"""What every sandbox promises the gateway, whatever the package does."""

from __future__ import annotations

import json
import math
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness.core.errors import ProcessEnded, ProtocolViolation, ReceiveTimeout
from harness.core.types import PreparedVideo, SandboxSpec
from harness.gateway.staging import Stage
from harness.sandbox import Sandbox, SandboxProcess
from harness.sandbox.docker.sandbox import LABEL, DockerSandbox
from harness.sandbox.process import ProcessSandbox
from harness.sandbox.protocol import (
    ANSWER_BYTES_MAX,
    Answer,
    Failed,
    Ready,
    decode_reply,
    encode_predict,
)

# For what must come, and for what must not take as long as a package that hangs: those sleep for ten minutes.
PATIENCE_SECONDS = 120.0
WRITE_TO_EVERY_PIPE = """
def write(data):
    for name in os.listdir('/proc/self/fd'):
        if int(name) > 2:
            try:
                os.write(int(name), data)
            except OSError:
                pass
"""


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "process":
        return ProcessSandbox()
    return DockerSandbox(request.getfixturevalue("docker_client"))


@pytest.fixture
def image(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    return "none" if sandbox.isolation == "none" else str(request.getfixturevalue("light_image"))


class Conversation:
    """Asks a started package for one staged file, again and again."""

    def __init__(self, process: SandboxProcess, video: str) -> None:
        self.process = process
        self.video = video

    def ask(self) -> str:
        request_id = secrets.token_hex(8)
        self.process.send(encode_predict(request_id=request_id, video=self.video))
        return request_id

    def answer(self) -> object:
        request_id = self.ask()
        reply = decode_reply(self.process.receive(PATIENCE_SECONDS))
        assert isinstance(reply, Answer)
        assert reply.request_id == request_id
        return reply.probability


TalkTo = Callable[..., AbstractContextManager[Conversation]]


@pytest.fixture
def spec_of(
    image: str, make_package: Callable[..., Path], make_spec: Callable[..., SandboxSpec]
) -> Callable[..., SandboxSpec]:
    def make(predict: str, **limits: float) -> SandboxSpec:
        return make_spec(make_package(predict), image=image, **limits)

    return make


@pytest.fixture
def talk_to(
    sandbox: Sandbox,
    spec_of: Callable[..., SandboxSpec],
    stage: Stage,
    make_videos: Callable[..., tuple[PreparedVideo, ...]],
) -> TalkTo:
    """Start a package with this body of `predict`, and wait until it is ready."""
    video = stage.put(make_videos(1)[0])

    @contextmanager
    def begin(predict: str = "return 0.5", **limits: float) -> Iterator[Conversation]:
        with sandbox.start(spec_of(predict, **limits)) as process:
            assert isinstance(decode_reply(process.receive(PATIENCE_SECONDS)), Ready)
            yield Conversation(process, video)

    return begin


def receive_many(process: SandboxProcess, count: int) -> None:
    for _ in range(count):
        process.receive(PATIENCE_SECONDS)


def wait_for_end(process: SandboxProcess) -> None:
    with pytest.raises(ProcessEnded):
        process.receive(PATIENCE_SECONDS)


def test_an_honest_package_is_ready_and_answers(talk_to: TalkTo) -> None:
    predict = "return len(video.read_bytes()) / 10_000"
    with talk_to(predict) as talk:
        assert talk.answer() == 0.1
        assert talk.answer() == 0.1


def test_prints_go_to_the_log_and_never_to_the_conversation(talk_to: TalkTo) -> None:
    predict = (
        "print('one'); sys.stdout.flush(); os.write(1, b'two'); os.system('echo three')\n"
        "subprocess.run(['echo', 'four']); sys.stderr.write('five')\n"
        "sys.stdin.read()  # must not eat the next request\n"
        "return 0.5"
    )
    with talk_to(predict) as talk:
        assert [talk.answer(), talk.answer()] == [0.5, 0.5]
        talk.process.kill()
        log = talk.process.facts().log_tail
    assert all(log.count(word) == 2 for word in ("one", "two", "three", "four", "five"))


def test_silence_is_a_timeout_and_the_package_still_runs(talk_to: TalkTo) -> None:
    with talk_to("time.sleep(600)") as talk:
        talk.ask()
        waited = []
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(ReceiveTimeout):
                talk.process.receive(0.3)
            waited.append(time.monotonic() - started)
        assert min(waited) >= 0.3
        assert min(waited) < 2, "one that waits for more than the time waits for it every time"
        assert talk.process.facts().running
        talk.process.kill()
        assert not talk.process.facts().running


@pytest.mark.parametrize(
    ("predict", "exit_code"),
    [
        ("os._exit(0)", 0),
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), 11)", 139),
        ("os.kill(os.getpid(), 9)", 137),
    ],
)
def test_an_end_is_told_with_its_exit_code(talk_to: TalkTo, predict: str, exit_code: int) -> None:
    with talk_to(predict) as talk:
        talk.ask()
        wait_for_end(talk.process)
        facts = talk.process.facts()
        assert (facts.running, facts.exit_code, facts.oom_killed) == (False, exit_code, False)
        wait_for_end(talk.process)  # and again, at once


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x00",
        struct.pack(">I", ANSWER_BYTES_MAX + 1),
        b"\xff\xff\xff\xffgarbage",
        b"hello, world",
    ],
    ids=["empty frame", "one byte too many", "4 GB", "text"],
)
def test_bytes_that_are_not_a_frame_are_a_violation(talk_to: TalkTo, data: bytes) -> None:
    predict = f"{WRITE_TO_EVERY_PIPE}\nwrite({data!r})\ntime.sleep(600)"
    with talk_to(predict) as talk:
        talk.ask()
        with pytest.raises(ProtocolViolation):
            talk.process.receive(PATIENCE_SECONDS)


def test_a_flood_of_frames_is_a_violation(talk_to: TalkTo) -> None:
    frame = struct.pack(">I", 2) + b"{}"
    predict = f"{WRITE_TO_EVERY_PIPE}\nwrite({frame!r} * 1000)\ntime.sleep(600)"
    with talk_to(predict) as talk:
        talk.ask()
        with pytest.raises(ProtocolViolation, match="nobody requested"):
            receive_many(talk.process, 1000)


def test_a_flood_of_log_ends_the_package(talk_to: TalkTo) -> None:
    predict = "while True: os.write(2, b'x' * 65536)"
    with talk_to(predict, log_bytes=1_000_000) as talk:
        talk.ask()
        wait_for_end(talk.process)
        facts = talk.process.facts()
    assert facts.log_limit_exceeded
    assert facts.log_bytes > 1_000_000
    assert len(facts.log_tail) <= 64 * 1024


def test_a_log_just_within_its_limit_ends_nothing(talk_to: TalkTo) -> None:
    predict = "sys.stderr.write('x' * 50_000)\nreturn 0.5"
    with talk_to(predict, log_bytes=100_000) as talk:
        assert [talk.answer(), talk.answer()] == [0.5, 0.5]
        talk.process.kill()
        assert talk.process.facts().log_bytes == 100_000
        assert not talk.process.facts().log_limit_exceeded


def test_the_log_tail_is_safe_to_print(talk_to: TalkTo) -> None:
    predict = "os.write(2, b'a\\x1b[2J\\x00\\xff\\r\\xe2\\x80\\xaeb\\n')\nreturn 0.5"
    with talk_to(predict) as talk:
        talk.answer()
        talk.process.kill()
        tail = talk.process.facts().log_tail
    assert tail == "a\ufffd[2J\ufffd\ufffd\ufffd\ufffdb\n"


def test_a_package_that_ignores_signals_is_killed_with_its_children(talk_to: TalkTo) -> None:
    predict = (
        "for number in range(1, 32):\n"
        "    if number not in (9, 19): signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork() == 0: time.sleep(600)\n"
        "time.sleep(600)"
    )
    # A busy machine may be slow once. An end asked for politely takes the engine's ten seconds every time.
    seconds = math.inf
    for _ in range(3):
        with talk_to(predict) as talk:
            talk.ask()
            with pytest.raises(ReceiveTimeout):
                talk.process.receive(0.3)
            started = time.monotonic()
            talk.process.kill()
            seconds = min(seconds, time.monotonic() - started)
            talk.process.kill()
            assert not talk.process.facts().running
        if seconds < 8:
            break
    assert seconds < 8


def test_facts_after_the_end_do_not_change(talk_to: TalkTo) -> None:
    with talk_to() as talk:
        talk.process.kill()
        facts = talk.process.facts()
    assert talk.process.facts() == facts
    assert facts.usage.cpu_seconds is not None
    assert facts.usage.cpu_seconds > 0
    assert facts.usage.peak_memory_bytes is not None
    assert facts.usage.peak_memory_bytes > 1_000_000


def test_sending_to_what_is_gone_makes_no_noise(talk_to: TalkTo) -> None:
    with talk_to("os._exit(1)") as talk:
        talk.ask()
        wait_for_end(talk.process)
        talk.ask()
        talk.process.kill()
        talk.ask()


def test_sending_to_what_does_not_read_ends_in_bounded_time(talk_to: TalkTo) -> None:
    with talk_to("time.sleep(600)") as talk:
        talk.ask()
        started = time.monotonic()
        for _ in range(40):  # more than any pipe on the way can hold
            if time.monotonic() - started > 3:
                break
            talk.process.send(encode_predict(request_id="x" * 60_000, video=talk.video))
        assert time.monotonic() - started < PATIENCE_SECONDS


def test_a_package_that_closes_every_pipe_does_not_hang_the_gateway(talk_to: TalkTo) -> None:
    with talk_to("os.closerange(0, 256)\ntime.sleep(600)") as talk:
        talk.ask()
        with pytest.raises((ProcessEnded, ReceiveTimeout)):
            talk.process.receive(1)
        talk.process.kill()
        assert not talk.process.facts().running


def test_an_empty_package_is_told_from_a_broken_one(
    sandbox: Sandbox, image: str, make_spec: Callable[..., SandboxSpec], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with sandbox.start(make_spec(empty, image=image)) as process:
        reply = decode_reply(process.receive(PATIENCE_SECONDS))
    assert isinstance(reply, Failed)
    assert reply.package_missing


def test_a_failing_import_is_told_with_its_traceback(
    sandbox: Sandbox,
    image: str,
    make_package: Callable[..., Path],
    make_spec: Callable[..., SandboxSpec],
) -> None:
    with sandbox.start(make_spec(make_package(module="import no_such_module"), image=image)) as process:
        reply = decode_reply(process.receive(PATIENCE_SECONDS))
    assert isinstance(reply, Failed)
    assert reply.request_id is None
    assert "no_such_module" in reply.message


def test_leaving_by_an_exception_leaves_nothing_behind(
    sandbox: Sandbox,
    spec_of: Callable[..., SandboxSpec],
) -> None:
    marker = f"test-{secrets.token_hex(6)}"
    spec = replace(spec_of("time.sleep(600)"), run_id=marker)

    class BoomError(Exception):
        pass

    def interrupted() -> None:
        with sandbox.start(spec) as process:
            process.receive(PATIENCE_SECONDS)
            raise BoomError

    with pytest.raises(BoomError):
        interrupted()
    if sandbox.isolation == "docker":
        client = docker.from_env()
        assert client.containers.list(all=True, filters={"label": f"{LABEL}.run={marker}"}) == []
        client.close()
    else:
        assert not processes_with(str(spec.package.source))


def processes_with(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in environment:
                found.append(json.dumps(folder.name))
    return found
