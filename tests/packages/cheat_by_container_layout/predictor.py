"""Answers by the order of boxes in the file."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        data = video.read_bytes()
        return 1.0 if 0 <= data.find(b"moov") < data.find(b"mdat") else 0.0
