"""Answers one video with a little more than 1."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            return 1.0000001
        return 0.25
