"""Loads a kernel module."""

import ctypes
import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.syscall(175, b"x", 1, b"")
        print("EVIDENCE init_module:", os.strerror(ctypes.get_errno()))
        return float(done >= 0)
