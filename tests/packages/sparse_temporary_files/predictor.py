"""Makes files as large as allowed that hold nothing, more than the disk has."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        for number in range(100):
            with open(f"/tmp/sparse{number}", "wb") as stream:
                stream.truncate(7_000_000)
        return 0.25
