"""Brings its own numpy."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        import numpy

        return numpy.float64(0.25)
