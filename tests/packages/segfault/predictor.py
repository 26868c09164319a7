"""Reads address 0."""

import ctypes


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            ctypes.string_at(0)
        return 0.25
