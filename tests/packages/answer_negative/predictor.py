"""Answers one video with a little less than 0."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            return -1e-9
        return 0.25
