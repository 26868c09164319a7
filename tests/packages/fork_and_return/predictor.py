"""Forks, and answers from parent and child."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        os.fork()
        return 0.25
