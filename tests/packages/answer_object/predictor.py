"""Answers one video with its own object."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            return self
        return 0.25
