"""Fails with a message of markup, formulas, control characters and unpaired surrogates."""

import json
import os
import struct
import sys


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
            message = "<script>alert(1)</script> [bold red] =cmd|' /C calc'!A0 \x1b[2J \u202e " + "x" * 50_000
            write(
                json.dumps(
                    {"type": "failed", "id": runner("request")["id"], "message": message + "\ud800"}
                ).encode()
            )
            return 0.25
        return 0.25
