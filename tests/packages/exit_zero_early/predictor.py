"""Ends with exit code 0 instead of answering."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            os._exit(0)
        return 0.25
