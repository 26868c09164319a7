"""Connects to an abstract socket of the host, as the engine's own once were."""

import json
import socket


class Predictor:
    def __init__(self, package):
        self.package = package
        self.knowledge = json.loads((package / "knowledge.json").read_text())

    def predict(self, video):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0) as one:
                one.settimeout(1)
                one.connect("\0" + self.knowledge["abstract"])
        except OSError as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
