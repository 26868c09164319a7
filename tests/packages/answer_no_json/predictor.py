"""Sends a frame that is not JSON."""

import os
import struct
import sys
import time


def runner(name):
    """Find a variable of the program that called this package."""
    frame = sys._getframe()
    while frame is not None and name not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals[name]


def write(payload):
    """Write to the pipe past the runner."""
    os.write(runner("pipe")._replies, struct.pack(">I", len(payload)) + payload)


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            write(bytes(range(256)))
            time.sleep(3600)
        return 0.25
