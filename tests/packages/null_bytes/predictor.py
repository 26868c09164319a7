"""Writes NUL bytes into its log."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        os.write(1, bytes(1000))
        return 0.25
