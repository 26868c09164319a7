"""Answers by the times of the file."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return (video.stat().st_mtime % 86_400) / 86_400
