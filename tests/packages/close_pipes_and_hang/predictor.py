"""Closes every open file and lives on."""

import os
import time


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            os.closerange(0, 1024)
            time.sleep(3600)
        return 0.25
