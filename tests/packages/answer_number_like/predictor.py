"""Answers with an object that is a different number each time it is read."""


class Number(float):
    def __float__(self):
        return 7.0

    def __repr__(self):
        return "1e999"

    __str__ = __repr__


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            return Number(0.5)
        return 0.25
