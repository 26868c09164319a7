"""Makes a device file of the host's disk."""

import os
import stat


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        try:
            os.mknod("/tmp/disk", 0o666 | stat.S_IFBLK, os.makedev(8, 0))
        except OSError as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
