"""Leaves children that are stopped, and children of children."""

import os
import signal


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(os.getpid(), signal.SIGSTOP)
        return 0.25
