"""Lists the host's processes, and signals them."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        seen = [name for name in os.listdir("/proc") if name.isdigit()]
        commands = [open(f"/proc/{name}/cmdline").read() for name in seen]
        strangers = [text for text in commands if text and "python3" not in text and "init" not in text]
        print("EVIDENCE", len(seen), "processes seen")
        return float(len(seen) > 6 or bool(strangers))
