"""Answers by the time and inode that cannot be reset."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return (video.stat().st_ctime_ns + video.stat().st_ino) % 1000 / 1000
