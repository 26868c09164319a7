"""Answers by the size of the file."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return min(1.0, os.path.getsize(video) / 1_000_000)
