"""Brings a sitecustomize, to run before the runner."""

import builtins


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        print("EVIDENCE it was not run")
        return float(hasattr(builtins, "SHADOWED"))
