"""Changes, replaces and removes the video."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        done = 0
        for attempt in (
            lambda: video.write_bytes(b"x"),
            lambda: video.unlink(),
            lambda: video.rename("/tmp/video"),
            lambda: video.with_name("other").write_bytes(b"x"),
            lambda: os.utime(video, (0, 0)),
            lambda: os.link(video, "/tmp/video"),
            lambda: video.chmod(0o777),
        ):
            try:
                attempt()
                done += 1
            except OSError as error:
                print("EVIDENCE", error)
        return float(done > 0)
