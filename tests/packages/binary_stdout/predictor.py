"""Writes frames and binary data to standard output."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        os.write(1, bytes(range(256)) * 100)
        os.write(1, b"\x00\x00\x00\x02{}")
        return 0.25
