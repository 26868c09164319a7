"""Answers one video with an integer of 5,000 digits."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            return 10**5000
        return 0.25
