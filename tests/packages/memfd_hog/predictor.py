"""Fills an anonymous file in memory."""

import os
import signal


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            files = []
            while True:
                files.append(os.memfd_create("hog"))
                for _ in range(7):
                    os.write(files[-1], bytes(1_000_000))
        return 0.25
