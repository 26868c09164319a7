"""Sends to every neighbour by IPv6."""

import json
import socket


class Predictor:
    def __init__(self, package):
        self.package = package
        self.knowledge = json.loads((package / "knowledge.json").read_text())

    def predict(self, video):
        error, sent = "", 0
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
            for name in ("lo", "eth0"):
                try:
                    one.sendto(b"secret", ("ff02::1", self.knowledge["port"], 0, socket.if_nametoindex(name)))
                    sent += name != "lo"
                except OSError as refused:
                    error = refused
        print("EVIDENCE", error)
        return float(sent > 0)
