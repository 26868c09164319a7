"""Overflows the stack of its process."""

import faulthandler


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            faulthandler._stack_overflow()
        return 0.25
