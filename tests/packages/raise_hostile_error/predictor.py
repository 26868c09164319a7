"""Raises an error whose own text raises again."""


class Hostile(BaseException):
    def __str__(self):
        raise SystemExit(0)

    __repr__ = __str__


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            raise Hostile
        return 0.25
