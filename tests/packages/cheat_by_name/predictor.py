"""Answers by the name of the file."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return int(video.stem[:8], 16) / 0xFFFFFFFF
