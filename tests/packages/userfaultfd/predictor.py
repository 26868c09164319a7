"""Handles page faults of the kernel, a step of many exploits."""

import ctypes
import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.syscall(323, 0)
        print("EVIDENCE userfaultfd:", os.strerror(ctypes.get_errno()))
        return float(done >= 0)
