"""Writes to standard error for ever."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            while True:
                os.write(2, b"x" * 65536)
        return 0.25
