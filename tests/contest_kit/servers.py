"""Servers that a test may kill: a PostgreSQL of its own, and a Ray cluster of several nodes."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEGABYTE = 2**20
START_TRIES = 8


class Postgres:
    """A PostgreSQL server that listens on a socket in a temporary folder only."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        binary = shutil.which("initdb") or (str(found[-1]) if found else None)
        assert binary, "no PostgreSQL server: apt-get install postgresql"
        self._programs = Path(binary).resolve().parent
        self._home = Path(tempfile.mkdtemp(prefix="harness-pg-"))
        self._user = None
        if os.geteuid() == 0:  # the server refuses to run as root
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self._home, self._user)
        self._data = self._home / "data"
        self._run("initdb", "-D", str(self._data), "-U", "harness", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://harness@/postgres?host={self._home}"

    def start(self) -> None:
        settings = f"-k {self._home} -c listen_addresses= -c shared_buffers=16MB"
        log = str(self._home / "log")
        self._run("pg_ctl", "-D", str(self._data), "-o", settings, "-l", log, "-w", "-t", "240", "start")

    def kill(self) -> None:
        """End the server as a power cut does, every process of it at once."""
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGSTOP)  # it begins nothing new
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (*map(int, children), pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        while any(_state(one) not in {b"", b"Z"} for one in (pid, *map(int, children))):
            time.sleep(0.02)
        # Its process seems alive for as long as nobody collects the dead.
        (self._data / "postmaster.pid").unlink()
        (self._home / ".s.PGSQL.5432.lock").unlink()

    def close(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "-t", "240", "stop")
        shutil.rmtree(self._home)

    def _run(self, program: str, *arguments: str) -> None:
        with (self._home / "out").open("ab") as out:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                user=self._user,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=300,
            )
        assert done.returncode == 0, (self._home / "out").read_text()


class RayNodes:
    """A Ray cluster on this machine: a head without work, and nodes that can be killed and replaced.

    Every node has a scratch folder of its own, as if it were another machine.
    """

    def __init__(self, folder: Path, *, nodes: int, cores: int = 1) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        self._folder, self._cores, self._made = folder, cores, 0
        self.temporary = folder / "tmp"  # where workers stage videos
        self.temporary.mkdir()
        store = {"object_store_memory": 80 * MEGABYTE}
        head = {"num_cpus": 0, "include_dashboard": False, **store}
        self._cluster: Any = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._nodes = [self._added() for _ in range(nodes)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def kill(self, number: int) -> None:
        """End a node without a word, and let a fresh one join."""
        node = self._nodes[number % len(self._nodes)]
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes[number % len(self._nodes)] = self._added()

    def close(self) -> None:
        self._cluster.shutdown()

    def _added(self) -> Any:
        self._made += 1
        home = self._folder / f"node{self._made}"
        return _patiently(
            lambda: self._cluster.add_node(
                num_cpus=self._cores,
                memory=4000 * MEGABYTE,
                object_store_memory=80 * MEGABYTE,
                env_vars={
                    "HARNESS_SCRATCH": str(home / "scratch"),
                    "HARNESS_CLAIMS": str(home / "claims"),
                    "TMPDIR": str(self.temporary),
                },
            )
        )


def _patiently(start: Callable[[], Any]) -> Any:
    """Ray gives a node 30 seconds to start, whatever else the machine has to do."""
    for _ in range(START_TRIES - 1):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


def _state(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return b""
