"""The container engine of this host: found if it answers, installed and started if that is allowed.

Debian and Ubuntu, as root, get the distribution's own `docker.io`; every other host gets instructions. An
engine that answers is never touched.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import docker
import requests
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from harness.core.errors import EngineUnavailableError, InfrastructureError

INSTALL_VARIABLE: Final = "HARNESS_INSTALL_DOCKER"
DAEMON_LOG: Final = Path("/var/log/dockerd-harness.log")

_SYSTEM_SOCKET: Final = "/var/run/docker.sock"
_CLIENT_TIMEOUT_SECONDS: Final = 120
_PROBE_SECONDS: Final = 5
_START_SECONDS: Final = 90.0
_APT_SECONDS: Final = 1800.0
_MOVES: Final = 20


def connect() -> docker.DockerClient:
    """Connect to the first container engine that answers.

    The order is: what `DOCKER_HOST` or the current docker context names (and nothing else if
    `DOCKER_HOST` is set), the system's Docker, a rootless Docker, and Podman's Docker-compatible socket.

    Raises:
        EngineUnavailableError: no engine answers; the text lists what was tried.
    """
    tried: list[str] = []
    for address in candidate_addresses():
        try:
            return _answering_client(address)
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            tried.append(f"{address or 'docker context'}: {_short(error)}")
    raise EngineUnavailableError(
        "no container engine answers. Tried:\n    " + "\n    ".join(tried),
        remedy=_remedy(),
    )


def candidate_addresses() -> list[str | None]:
    """List the addresses to try; None stands for the current docker context."""
    if os.environ.get("DOCKER_HOST"):
        return [os.environ["DOCKER_HOST"]]
    runtime_folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    sockets = [
        Path(_SYSTEM_SOCKET),
        Path(runtime_folder) / "docker.sock",
        Path(runtime_folder) / "podman" / "podman.sock",
        Path("/run/podman/podman.sock"),
    ]
    return [None, *(f"unix://{path}" for path in sockets if path.exists())]


def ensure_engine(*, install: bool, say: Callable[[str], None]) -> docker.DockerClient:
    """Return a client of an engine that answers, installing and starting Docker if that is allowed.

    Args:
        install: May Docker be installed or started? `HARNESS_INSTALL_DOCKER=0` says no too.
        say: Called before anything is changed on this host.

    Raises:
        EngineUnavailableError: no engine answers, and none can be started; the text says what to do.
        InfrastructureError: a package could not be installed.
    """
    try:
        return connect()
    except EngineUnavailableError as error:
        unavailable = error
    if os.environ.get(INSTALL_VARIABLE) == "0":
        raise EngineUnavailableError(
            unavailable.message,
            remedy=f"{_remedy()} (Nothing was installed or started: {INSTALL_VARIABLE}=0.)",
        )
    if not install or os.environ.get("DOCKER_HOST") or not is_debian_family() or os.geteuid() != 0:
        raise unavailable
    if shutil.which("dockerd") is None:
        say(
            "No container engine answers. Installing the distribution's docker.io"
            f" ({INSTALL_VARIABLE}=0 refuses)."
        )
        install_debian_packages(["docker.io"], say=say)
    else:
        say(f"No container engine answers. Starting the installed Docker ({INSTALL_VARIABLE}=0 refuses).")
    start_docker(say=say)
    return connect()


def start_docker(
    *,
    say: Callable[[str], None],
    arguments: Iterable[str] = (),
    address: str | None = None,
    log: Path = DAEMON_LOG,
) -> None:
    """Start Docker and wait until it answers: by systemd if that is process 1, else as a plain daemon.

    The plain daemon outlives this process and writes to `log`. dockerd starts its own containerd.

    Args:
        say: Called with how it is started.
        arguments: For dockerd; they make it a plain daemon even under systemd.
        address: Where it will answer; the system's socket by default.
        log: The plain daemon's log.

    Raises:
        EngineUnavailableError: it does not answer in time, or ended; the text has the end of its log.
    """
    arguments = list(arguments)
    if not arguments and is_systemd_running():
        say("Starting Docker with systemd.")
        command = ["systemctl", "enable", "--now", "docker"]
        done = subprocess.run(  # noqa: S603  (our own arguments)
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise EngineUnavailableError(
                f"systemd could not start Docker: {done.stderr.strip()[-1000:]}",
                remedy="See `journalctl -u docker`.",
            )
        _wait_until_it_answers(address, process=None, log=None)
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")
    if dockerd is None:
        raise EngineUnavailableError("dockerd is not installed", remedy=_remedy())
    say(f"Starting Docker as a plain daemon; its log is {log}.")
    if not arguments:
        leave_the_top_group()
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603  (our own arguments)
            [dockerd, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C in this terminal must not stop it
            cwd="/",
        )
    _wait_until_it_answers(address, process=process, log=log)
    process.returncode = 0  # it is meant to outlive us; Popen would warn of a child left behind


def leave_the_top_group(top: Path = Path("/sys/fs/cgroup")) -> None:
    """Move what runs in the uppermost control group into one below it, where this is a container of its own.

    Under version 2 a group with processes hands no controller to those below it, so that an engine inside
    a container could hold no container of its own to a limit. The kernel's real root, which has no
    `cgroup.type`, is exempt. Docker's own images for this do the same.
    """
    if not (top / "cgroup.type").exists() or not os.access(top / "cgroup.procs", os.W_OK):
        return
    below = top / "init"
    below.mkdir(exist_ok=True)
    for _ in range(_MOVES):  # what was started meanwhile is there the next time
        processes = (top / "cgroup.procs").read_text(encoding="ascii").split()
        for one in processes:
            with suppress(OSError):  # it has ended
                (below / "cgroup.procs").write_text(one, encoding="ascii")
        if not processes:
            break
    for controller in (top / "cgroup.controllers").read_text(encoding="ascii").split():
        with suppress(OSError):  # Docker says what is missing
            (top / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def install_debian_packages(packages: list[str], *, say: Callable[[str], None]) -> None:
    """Install packages of the distribution without questions; refresh the package lists only if needed.

    Raises:
        InfrastructureError: apt could not.
    """
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    done = _apt(command)
    if done.returncode != 0:
        say("Refreshing the package lists (apt-get update).")
        updated = _apt(["apt-get", "update"])
        done = _apt(command)
        if done.returncode != 0:
            errors = "\n    ".join((updated.stderr + done.stderr).strip().splitlines()[-8:])
            raise InfrastructureError(
                f"apt could not install {' '.join(packages)}:\n    {errors}",
                remedy=f"Run `apt-get update && apt-get install {' '.join(packages)}` by hand.",
            )


def is_debian_family() -> bool:
    """Tell whether this host is Debian, Ubuntu or made from them."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return False
    names = [system.get("ID", ""), *system.get("ID_LIKE", "").split()]
    return bool({"debian", "ubuntu"} & set(names))


def is_systemd_running() -> bool:
    """Tell whether process 1 is systemd, by the test that `sd_booted` makes."""
    return Path("/run/systemd/system").is_dir()


def _answering_client(address: str | None) -> docker.DockerClient:
    """Connect, but only if the engine answers soon; the client itself waits longer.

    Raises:
        DockerException, requests.RequestException, OSError: it does not answer.
    """
    options: dict[str, Any] = {**kwargs_from_env()}
    if address is None:
        options = {**options, **ContextAPI.kwargs_from_context()}
        address = options.get("base_url", f"unix://{_SYSTEM_SOCKET}")
    elif address != os.environ.get("DOCKER_HOST"):
        options = {"base_url": address}
    if address.startswith("unix://"):
        _ping(address.removeprefix("unix://"))
    client = docker.DockerClient(**options, version="auto", timeout=_PROBE_SECONDS)
    client.ping()
    client.api.timeout = _CLIENT_TIMEOUT_SECONDS
    return client


def _ping(path: str) -> None:
    """Ask for an answer by hand: the SDK leaves its socket open when nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PROBE_SECONDS)
        connection.connect(path)
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
        answer = connection.recv(64)
    if not answer.startswith(b"HTTP/1.") or answer.split()[1:2] != [b"200"]:
        raise ConnectionError(f"it does not answer like a container engine: {answer[:40]!r}")


def _wait_until_it_answers(
    address: str | None, *, process: subprocess.Popen[bytes] | None, log: Path | None
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    reason = "no answer was requested yet"
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            reason = f"dockerd ended with exit code {process.returncode}"
            break
        try:
            _answering_client(address or f"unix://{_SYSTEM_SOCKET}").close()
        except (DockerException, requests.RequestException, OSError) as error:
            reason = _short(error)
            time.sleep(0.2)
        else:
            return
    tail = "" if log is None else "\n    " + "\n    ".join(_tail(log))
    raise EngineUnavailableError(
        f"Docker was started but does not answer: {reason}{tail}",
        remedy=f"See {log}." if log else "See `journalctl -u docker`.",
    )


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]


def _apt(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    try:
        return subprocess.run(  # noqa: S603  (our own arguments)
            command, capture_output=True, encoding="utf-8", errors="replace", check=False,
            env=environment, stdin=subprocess.DEVNULL, timeout=_APT_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(
            f"`{' '.join(command)}` did not finish: {error}",
            remedy="Run it by hand and look at what it says.",
        ) from error


def _short(error: BaseException) -> str:
    """Return the innermost reason: HTTP clients wrap a refused socket five times."""
    seen: BaseException = error
    while seen.__cause__ is not None or seen.__context__ is not None:
        seen = seen.__cause__ or seen.__context__ or seen
    return (str(seen).splitlines() or [type(seen).__name__])[0][:200]


def _remedy() -> str:
    if os.environ.get("DOCKER_HOST"):
        return "Start the engine that DOCKER_HOST names, or unset DOCKER_HOST."
    if is_debian_family():
        if os.geteuid() == 0:
            return "Run `apt-get install docker.io`, then `systemctl start docker` or `dockerd`."
        return (
            "Start Docker (`sudo apt-get install docker.io && sudo systemctl start docker`) and make sure you"
            " may use it (`sudo usermod -aG docker $USER`, then log in again), or set DOCKER_HOST."
        )
    return "Install and start Docker Engine or Podman's socket, or set DOCKER_HOST to one that runs."
