"""Leaves System V shared memory behind."""

import ctypes
from pathlib import Path


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        segment = libc.shmget(0x5EC, 1 << 20, 0o1666)
        already = len(Path("/proc/sysvipc/shm").read_text().splitlines()) - 1
        print("EVIDENCE", already, "segments seen, its own included")
        return float(segment >= 0 and already > 1)
