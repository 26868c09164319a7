"""Starts busy processes and threads until no more can be had."""

import os
import signal
import threading


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        children = []
        for _ in range(8):
            child = os.fork()
            if child == 0:
                while True:
                    pass
            children.append(child)
        started, stop = 0, threading.Event()
        try:
            for _ in range(1000):
                threading.Thread(target=stop.wait, daemon=True).start()
                started += 1
        except RuntimeError as error:
            print("EVIDENCE", started, "threads, then:", error)
        stop.set()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return float(started >= 1000)
