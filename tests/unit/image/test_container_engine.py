"""Finding, refusing and starting a container engine, without touching this machine's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from harness.core.errors import EngineUnavailableError
from harness.image import container_engine as host

# Answers the two questions with which a client makes sure of an engine.
ENGINE = """
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b'{"ApiVersion": "1.41"}' if self.path.endswith("/version") else b"OK"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "local"
"""
_names: dict[str, type[BaseHTTPRequestHandler]] = {}
exec(
    ENGINE, {"BaseHTTPRequestHandler": BaseHTTPRequestHandler}, _names
)  # one text for both: thread and daemon


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable names an engine but one at which nothing listens."""
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", host.INSTALL_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "none.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "engine.sock"
    with ThreadingUnixStreamServer(str(path), _names["Handler"]) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_docker_host_is_used_and_nothing_else(
    no_engine: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine}")
    client = host.connect()
    assert client.ping()
    client.close()


def test_a_dead_docker_host_is_an_error_that_names_it_and_no_other_engine_is_taken(no_engine: Path) -> None:
    with pytest.raises(EngineUnavailableError) as caught:
        host.connect()
    assert str(no_engine) in caught.value.message
    assert "No such file" in caught.value.message
    assert "DOCKER_HOST" in (caught.value.remedy or "")


def test_an_engine_that_never_answers_is_given_up(no_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_PROBE_SECONDS", 1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(no_engine))
        silent.listen()
        with pytest.raises(EngineUnavailableError, match="timed out"):
            host.connect()


def test_rootless_docker_and_podman_are_tried_where_their_sockets_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert not [address for address in host.candidate_addresses() if str(tmp_path) in str(address)]
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman" / "podman.sock").touch()
    (tmp_path / "docker.sock").touch()
    ours = [address for address in host.candidate_addresses() if str(tmp_path) in str(address)]
    assert ours == [f"unix://{tmp_path}/docker.sock", f"unix://{tmp_path}/podman/podman.sock"]
    assert host.candidate_addresses()[0] is None


def test_installation_can_be_refused(no_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv(host.INSTALL_VARIABLE, "0")
    with pytest.raises(EngineUnavailableError, match=host.INSTALL_VARIABLE):
        host.ensure_engine(install=True, say=said.append)
    assert said == []


def test_nothing_is_installed_for_an_engine_that_docker_host_names(no_engine: Path) -> None:
    said: list[str] = []
    with pytest.raises(EngineUnavailableError):
        host.ensure_engine(install=True, say=said.append)
    assert said == []


def fake_dockerd(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `dockerd` in front of the PATH."""
    program = folder / "dockerd"
    program.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_a_plain_daemon_is_waited_for_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, log, over = tmp_path / "late.sock", tmp_path / "log", tmp_path / "over"
    body = f"""
import os, sys, threading, time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer
{ENGINE}
print("it starts", sys.argv[1:], flush=True)
time.sleep(0.5)
server = ThreadingUnixStreamServer({str(path)!r}, Handler)
threading.Timer(600, server.shutdown).start()  # if the test cannot end it
os.mkfifo({str(over)!r})
threading.Thread(target=lambda: (open({str(over)!r}).read(), server.shutdown())).start()
server.serve_forever()
os._exit(0)
"""
    fake_dockerd(tmp_path, body, monkeypatch)
    said: list[str] = []
    host.start_docker(say=said.append, arguments=["--flag"], address=f"unix://{path}", log=log)
    over.write_text("")  # it is there, and ends
    assert "it starts ['--flag']" in log.read_text()
    assert any(str(log) in line for line in said)


def test_a_daemon_that_ends_is_reported_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_dockerd(tmp_path, "import sys; sys.exit('no iptables here')\n", monkeypatch)
    with pytest.raises(EngineUnavailableError, match="exit code 1") as caught:
        host.start_docker(
            say=lambda _: None, arguments=["-x"], address=f"unix://{tmp_path}/x.sock", log=tmp_path / "log"
        )
    assert "no iptables here" in caught.value.message
    assert str(tmp_path / "log") in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ({"ID": "debian"}, True),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, True),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, True),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, False),
        ({"ID": "notdebian"}, False),
        ({}, False),
    ],
)
def test_debian_is_told_by_its_own_description(
    monkeypatch: pytest.MonkeyPatch, system: dict[str, str], expected: bool
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: system)
    assert host.is_debian_family() is expected


def test_a_host_without_a_description_is_not_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, str]:
        raise FileNotFoundError("no os-release")

    monkeypatch.setattr("platform.freedesktop_os_release", missing)
    assert not host.is_debian_family()


def made_group(top: Path, *, processes: str, root: bool = False) -> Path:
    """Lay out a control group of version 2 as files: what is written to them stays to be read."""
    top.mkdir()
    (top / "cgroup.procs").write_text(processes)
    (top / "cgroup.controllers").write_text("cpu memory pids\n")
    (top / "cgroup.subtree_control").write_text("")
    if not root:
        (top / "cgroup.type").write_text("domain\n")
    return top


def test_the_real_root_of_control_groups_is_left_alone(tmp_path: Path) -> None:
    top = made_group(tmp_path / "top", processes="1\n", root=True)
    host.leave_the_top_group(top)
    assert not (top / "init").exists()


def test_control_groups_of_version_1_are_left_alone(tmp_path: Path) -> None:
    host.leave_the_top_group(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_in_a_container_may_hand_controllers_to_its_own(tmp_path: Path) -> None:
    top = made_group(tmp_path / "top", processes="")
    host.leave_the_top_group(top)
    assert (top / "cgroup.subtree_control").read_text() == "+pids"  # each was written; the last stays


UNIFIED = next(
    (
        Path(line.split()[1])
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        if line.split()[2] == "cgroup2"
    ),
    None,
)


@pytest.mark.skipif(
    UNIFIED is None or not os.access(UNIFIED, os.W_OK),
    reason="it takes root and version 2",
)
def test_what_runs_in_the_top_group_moves_below_it() -> None:
    """A real group that stands for a container's own, with a real process in it."""
    assert UNIFIED is not None
    top = UNIFIED / f"harness-test-{os.getpid()}"
    top.mkdir()
    process = subprocess.Popen(["sleep", "60"])
    try:
        (top / "cgroup.procs").write_text(str(process.pid))
        host.leave_the_top_group(top)
        assert (top / "cgroup.procs").read_text() == ""
        assert (top / "init" / "cgroup.procs").read_text().split() == [str(process.pid)]
    finally:
        process.kill()
        process.wait()
        (top / "init").rmdir()
        top.rmdir()
