"""Fills /dev/shm."""

from pathlib import Path


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        written = 0
        try:
            for number in range(100):
                with Path("/dev/shm", f"hog{number}").open("wb") as stream:
                    written += stream.write(bytes(1_000_000))
        except OSError as error:
            print("EVIDENCE", written, "bytes, then:", error)
        return float(written > 16_000_000)
