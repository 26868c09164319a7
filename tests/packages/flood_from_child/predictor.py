"""Has a child write for ever and answers meanwhile."""

import os
import time


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            if os.fork() == 0:
                while True:
                    os.write(1, b"x" * 65536)
            time.sleep(3600)
        return 0.25
