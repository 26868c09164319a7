"""Keeps what it saw before it crashed."""

import os
from pathlib import Path


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        place = Path("/tmp/seen")
        if number == 0:
            place.write_text("x")
        if number == 1:
            os._exit(1)
        return float(number == 2 and place.exists())
