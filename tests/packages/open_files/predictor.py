"""Opens files until no more can be had."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        files = []
        try:
            for _ in range(10_000):
                files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            print("EVIDENCE", len(files), "files, then:", error)
        finally:
            for one in files:
                os.close(one)
        return float(len(files) >= 256)
