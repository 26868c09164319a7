"""Loads a program into the kernel."""

import ctypes
import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.syscall(321, 0, 0, 0)
        print("EVIDENCE bpf:", os.strerror(ctypes.get_errno()))
        return float(done >= 0)
