"""Opens the kernel's performance counters."""

import ctypes
import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)
        print("EVIDENCE perf_event_open:", os.strerror(ctypes.get_errno()))
        return float(done >= 0)
