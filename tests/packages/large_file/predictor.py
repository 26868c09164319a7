"""Makes a file of 5 TB that holds nothing."""

import signal
from pathlib import Path


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with Path("/tmp/hog").open("wb") as stream:
                stream.truncate(5 << 40)
        except OSError as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
