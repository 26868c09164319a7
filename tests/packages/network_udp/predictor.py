"""Sends datagrams to the host."""

import json
import socket


class Predictor:
    def __init__(self, package):
        self.package = package
        self.knowledge = json.loads((package / "knowledge.json").read_text())

    def predict(self, video):
        error, sent = "", 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            for address in self.knowledge["addresses"]:
                try:
                    one.sendto(b"secret", (address, self.knowledge["port"]))
                    sent += not address.startswith("127.")
                except OSError as refused:
                    error = refused
        print("EVIDENCE", error)
        return float(sent > 0)
