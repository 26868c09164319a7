"""Aborts with as large a core dump as it can."""

import os
import resource


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            try:
                resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
            except ValueError as error:
                print("EVIDENCE core size:", error, flush=True)
            os.abort()
        return 0.25
