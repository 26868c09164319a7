"""Has a predict that returns nothing."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        self.last = video
