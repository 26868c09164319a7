"""Kills every process it can see, from a child."""

import os
import signal
import time


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            if os.fork() == 0:
                os.kill(-1, signal.SIGKILL)
                os._exit(0)
            time.sleep(3600)
        return 0.25
