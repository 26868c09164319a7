"""Answers from its own thread when its time is long up."""

import time


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            time.sleep(8)
        return 0.25
