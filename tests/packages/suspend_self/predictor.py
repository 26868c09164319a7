"""Stops itself, and with it the runner."""

import os
import signal


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        return 0.25
