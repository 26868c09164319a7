"""Gives itself all cores of the host."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        try:
            os.sched_setaffinity(0, range(os.cpu_count()))
        except OSError:
            pass
        cores = os.sched_getaffinity(0)
        print("EVIDENCE", len(cores), "core")
        return float(len(cores) > 1)
