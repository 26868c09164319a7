"""Leaves files that steer Python: pyvenv.cfg, a .pth file, __pycache__."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return 0.25
