"""Writes one line of 900,000 characters."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            print("x" * 900_000, end="", flush=True)
        return 0.25
