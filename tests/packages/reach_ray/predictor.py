"""Looks for the cluster that schedules its own run: Ray's sockets, files, token and ports."""

import glob
import os
import socket

PORTS = (6379, 8076, 8077, 8265, 10001, 44217, 52365)
HOSTS = ("127.0.0.1", "172.17.0.1", "10.0.0.1", "192.168.0.1", "::1")
FILES = ("/tmp/ray", "/dev/shm/plasma*", "/*/.ray/auth_token", "/home/*/.ray/auth_token")


class Predictor:
    def __init__(self, package):
        self.places = [(host, port) for host in HOSTS for port in PORTS]
        told = package / "cluster.txt"  # a test's: where a cluster is really at work
        if told.exists():
            host, _, port = told.read_text().rpartition(":")
            self.places.append((host, int(port)))

    def predict(self, video):
        found = [path for pattern in FILES for path in glob.glob(pattern)]
        found += [name for name in os.environ if name.startswith("RAY_")]
        for place in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(place, "rb") as stream:
                    words = stream.read()
            except OSError:
                continue
            if b"raylet" in words or b"gcs_server" in words or b"ray::" in words:
                found.append(place)
        for host, port in self.places:
            kind = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                with socket.socket(kind, socket.SOCK_STREAM) as one:
                    one.settimeout(0.05)
                    one.connect((host, port))
                    found.append(f"{host} {port}")
            except OSError:
                pass
        for name in (
            "",
            "/tmp/ray/session_latest/sockets/raylet",
            "/tmp/ray/session_latest/sockets/plasma_store",
        ):
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                    one.settimeout(0.05)
                    one.connect(name or "\0ray")
                    found.append(name)
            except OSError:
                pass
        print("EVIDENCE", found or "no trace of Ray")
        return 1.0 if found else 0.0
