"""Ends while it is imported, with exit code 0."""

import os

os._exit(0)


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return 0.25
