"""Counts its videos, in memory and on its temporary disk."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package
        self.count = 0

    def predict(self, video):
        self.count += 1
        with open("/tmp/count", "a") as stream:
            stream.write("x")
        return (self.count + os.path.getsize("/tmp/count")) / 10
