"""Opens a user namespace, whose root no limit of processes need hold, and forks there."""

import ctypes
import os
import signal

LIMIT = 64  # of the suite
NEW_USER = 0x10000000


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(NEW_USER)
        print("EVIDENCE unshare:", os.strerror(ctypes.get_errno()))
        children = []
        try:
            while len(children) < LIMIT + 10:
                child = os.fork()
                if child == 0:
                    signal.pause()
                children.append(child)
        except OSError as error:
            print("EVIDENCE fork:", error)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return float(len(children) >= LIMIT)
