"""Restarts the machine."""

import ctypes
import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.syscall(169, 0xFEE1DEAD, 672274793, 0x01234567, 0)
        print("EVIDENCE reboot:", os.strerror(ctypes.get_errno()))
        return float(done >= 0)
