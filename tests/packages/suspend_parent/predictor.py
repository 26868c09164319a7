"""Stops the process that started it."""

import os
import signal
import time


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        os.kill(os.getppid(), signal.SIGSTOP)
        os.kill(1, signal.SIGSTOP)
        time.sleep(0.2)
        return 0.25
