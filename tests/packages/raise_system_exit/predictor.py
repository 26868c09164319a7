"""Raises SystemExit, to end the runner with code 0."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            raise SystemExit(0)
        return 0.25
