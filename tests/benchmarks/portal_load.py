"""What a portal carries: watchers, a board of 4,000 entries, 1 GB over a line that breaks.

    python tests/benchmarks/portal_load.py [--watchers 1000] [--entries 4000] [--megabytes 950] [PART …]

The server is `harness serve` in a process of its own, with SQLite; the watchers are sockets of this one.
A lag is from the moment at which what changed is in the database to the moment at which a watcher has read
it. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from broken_line import BrokenLine
from portal_kit import PREDICTOR, Kit, portal

from harness.contest.board.published import PublishedRow
from harness.contest.ledger import Accepted
from harness.contest.rules.commands import CancelEntry, Command, RegisterTeam, Submit

HARNESS = Path(sys.executable).with_name("harness")
CHANGES = 10


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--entries", type=int, default=4000)
    parser.add_argument("--megabytes", type=int, default=950, help="of the package that is sent")
    parser.add_argument("parts", nargs="*", help="upload, watching, board; by default all of them")
    asked = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2
    )
    found: dict[str, Any] = {"cores": os.cpu_count(), "load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory() as folder, portal(Path(folder)) as kit:
        parts: dict[str, Callable[[int], dict[str, Any]]] = {
            "upload": lambda server: uploads(kit, server, asked.megabytes),
            "watching": lambda server: watching(kit, server, asked.watchers),
            "board": lambda _server: large_board(kit, asked.entries),
        }
        for name in asked.parts or parts:
            with serving(kit) as server:
                found[name] = parts[name](server)
    found["load_after"] = os.getloadavg()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


@contextmanager
def serving(kit: Kit) -> Iterator[int]:
    """Serve the contest by the real command, beside the kit's own server; yield its process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kit.address = f"http://127.0.0.1:{port}"
    command = [str(HARNESS), "serve", "--store", kit.config.store, "--runs", str(kit.config.runs)]
    command += ["--packages", str(kit.config.packages), "--uploads", str(kit.config.uploads)]
    command += ["--port", str(port), "--requests-per-minute", "10000000"]
    log = kit.folder / "server.log"  # a pipe that nobody reads would hold the server up
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as server,
    ):
        try:
            for _ in range(600):
                if server.poll() is not None:
                    raise SystemExit(f"the portal did not start: {log.read_text()}")
                try:
                    requests.get(f"{kit.address}/api/v1/health", timeout=5).raise_for_status()
                    break
                except requests.ConnectionError:
                    time.sleep(0.1)
            yield server.pid
        finally:
            server.terminate()
            server.wait(timeout=60)


def row_of(kit: Kit, team: str, word: str, *, place: int = 1) -> PublishedRow:
    """Return a line of a board; `word` makes it another one than before."""
    score = 0.1 + place / 10_000
    return PublishedRow(
        place=place,
        team=team,
        name=f"The team {team}, {word}",
        score=score,
        low=score - 0.01,
        high=score + 0.01,
        group=1 + place // 10,
        best_percent=1,
        entries=7,
        last=datetime.now(UTC).isoformat(timespec="seconds"),
        entry=f"{kit.name}-{place}",
    )


# --- watchers ----------------------------------------------------------------------------------------------


def watching(kit: Kit, server: int, watchers: int) -> dict[str, Any]:
    """Half of them watch the board, half one entry's team; each is told of every change."""
    before = resident_bytes(server)
    alone = asyncio.run(_lags(kit, 1))
    crowd = asyncio.run(_lags(kit, watchers))
    return {
        "watchers": watchers,
        "changes": CHANGES,
        "lag_seconds": spread(crowd),
        "lag_seconds_of_one_watcher": spread(alone),
        "ratio_of_medians_to_one_watcher": statistics.median(crowd) / statistics.median(alone),
        "under_2_seconds": max(crowd) < 2.0,
        "server_bytes_before": before,
        "server_bytes_peak": peak_bytes(server),
    }


async def _lags(kit: Kit, watchers: int) -> list[float]:
    """Return every lag: of each watcher, of each change."""
    entry = kit.hand_in("red")
    heard: list[tuple[str, float]] = []  # a word of the event, and when it was read
    ready = asyncio.Semaphore(0)
    on_board = max(1, watchers // 2)
    paths = [("board/events", "")] * on_board + [("events", kit.tokens["red"])] * (watchers - on_board)
    tasks = []
    for path, token in paths:
        tasks.append(asyncio.create_task(_watch(kit, path, token, heard, ready)))
        if len(tasks) % 50 == 0:
            await asyncio.sleep(0.05)  # as people come, and not as one knock
    for _ in tasks:
        await ready.acquire()
    lags: list[float] = []
    for number in range(CHANGES):
        heard.clear()
        word = f"{number}.{time.monotonic_ns()}"
        await asyncio.to_thread(kit.publish, (row_of(kit, "red", word),))
        told = time.monotonic()
        await _until(lambda: len(heard) >= watchers, seconds=20)
        lags += [max(0.0, at - told) for _, at in heard[:watchers]]
        if len(heard) < watchers:
            lags += [20.0] * (watchers - len(heard))
        await asyncio.sleep(0.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    kit.ask(CancelEntry(entry=entry, reason="measured"))
    return lags


async def _watch(
    kit: Kit, path: str, token: str, heard: list[tuple[str, float]], ready: asyncio.Semaphore
) -> None:
    parts = urlsplit(kit.address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    place = f"/api/v1/challenges/{kit.name}/{path}"
    writer.write(f"GET {place} HTTP/1.1\r\nHost: {parts.netloc}\r\n{bearer}\r\n".encode())
    try:
        first = True
        while line := await reader.readline():
            if line.startswith(b"data: ") and b'"version"' in line:
                if first:
                    first = False
                    ready.release()
                else:
                    heard.append((line.decode(), time.monotonic()))
    finally:
        writer.close()


async def _until(true: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


# --- a large board -----------------------------------------------------------------------------------------


def large_board(kit: Kit, entries: int) -> dict[str, Any]:
    """Put many entries on record, publish a board of as many teams, and ask for it in every form."""
    teams = [f"team-{number:04}" for number in range(entries)]
    began = time.monotonic()
    ledger, now = kit.ledger, datetime.now(UTC)

    def ask(command: Command) -> None:
        assert isinstance(ledger.ask(command, now=now), Accepted)

    for number, team in enumerate(teams):
        ask(RegisterTeam(team=team, name=f"The team {number} of many"))
        ask(Submit(entry=f"e{number:05}", team=team, package_sha256=f"{number:064x}", external_data=()))
    filled = time.monotonic() - began
    kit.publish(tuple(row_of(kit, team, str(place), place=place + 1) for place, team in enumerate(teams)))
    small = _asked(f"{kit.api}/team", kit.headers("red"))
    forms = {
        "json": _asked(f"{kit.api}/board"),
        "csv": _asked(f"{kit.api}/board.csv"),
        "page": _asked(f"{kit.address}/c/{kit.name}/board"),
    }
    return {
        "entries": entries,
        "seconds_to_record_them": filled,
        "seconds": forms,
        "seconds_of_a_team_s_page_of_one": small,
        "ratio_of_page_to_a_small_answer": forms["page"]["median"] / small["median"],
        "under_1_second": all(one["longest"] < 1.0 for one in forms.values()),
    }


def _asked(url: str, headers: dict[str, str] | None = None) -> dict[str, float]:
    seconds = []
    for _ in range(10):
        began = time.monotonic()
        answer = requests.get(url, headers=headers, timeout=60)
        answer.raise_for_status()
        seconds.append(time.monotonic() - began)
    return spread(seconds) | {"bytes": len(answer.content)}


# --- uploads -----------------------------------------------------------------------------------------------


def uploads(kit: Kit, server: int, megabytes: int) -> dict[str, Any]:
    """Send a small package and a large one by `harness remote submit` over a line that breaks."""
    small = _sent(kit, server, 10, every=2_000_000)
    large = _sent(kit, server, megabytes, every=100_000_000)
    return {
        "small": small,
        "large": large,
        "ratio_of_client_peaks": large["client_peak_bytes"] / small["client_peak_bytes"],
        "ratio_of_server_peaks": large["server_peak_bytes"] / small["server_peak_bytes"],
    }


def _sent(kit: Kit, server: int, megabytes: int, *, every: int) -> dict[str, Any]:
    package = kit.folder / f"{megabytes}.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("submission.toml", 'name = "large"\nentry = "predictor:Predictor"\n')
        archive.writestr("predictor.py", PREDICTOR.format(answer=0.5))
        with archive.open("padding.dat", "w") as stream:
            for _ in range(megabytes):
                stream.write(os.urandom(1 << 10) * 1000)
    reset_peak(server)
    with BrokenLine(kit.address, sent_bytes=every) as line:
        environment = os.environ | {"HARNESS_PORTAL": line.url, "HARNESS_PORTAL_TOKEN": kit.tokens["blue"]}
        began = time.monotonic()
        command = [str(HARNESS), "remote", "submit", str(package), "--no-external-data"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            peak = 0
            while client.poll() is None:
                peak = max(peak, peak_bytes(client.pid))
                time.sleep(0.05)
            out, err = client.communicate()
        seconds = time.monotonic() - began
        if client.returncode != 0:
            raise SystemExit(f"it was not taken: {out}{err}")
    size = package.stat().st_size
    package.unlink()
    return {
        "bytes": size,
        "seconds": seconds,
        "megabytes_per_second": size / seconds / 1e6,
        "line_broke": line.broken,
        "client_peak_bytes": peak,
        "server_peak_bytes": peak_bytes(server),
    }


# --- measures ----------------------------------------------------------------------------------------------


def spread(values: list[float]) -> dict[str, float]:
    """Return the median, the 95% point and the longest."""
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "longest": ordered[-1],
    }


def resident_bytes(process: int) -> int:
    """Return what a process has in memory."""
    return _status(process, "VmRSS")


def peak_bytes(process: int) -> int:
    """Return the most that a process had in memory; 0 if it is gone."""
    return _status(process, "VmHWM")


def reset_peak(process: int) -> None:
    """Let the peak begin anew."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def _status(process: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = next((line for line in lines if line.startswith(key)), f"{key}: 0 kB")
    return int(found.split()[1]) * 1024


if __name__ == "__main__":
    main()
