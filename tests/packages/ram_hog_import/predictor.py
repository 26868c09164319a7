"""Takes memory until there is no more, while it is imported."""

hog = [bytearray(4_000_000) for _ in iter(int, 1)]


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return 0.25
