"""Has a child take memory until it is killed, and answers all the same."""

import subprocess
import sys


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            command = "hog = [bytes(4_000_000) for _ in iter(int, 1)]"
            subprocess.run([sys.executable, "-c", command], check=False)
        return 0.25
