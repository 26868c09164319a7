"""Leaves dead children that nobody waits for."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        try:
            for _ in range(200):
                if os.fork() == 0:
                    os._exit(0)
        except OSError as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
