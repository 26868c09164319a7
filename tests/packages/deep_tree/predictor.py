"""Makes a tree of folders so deep that removing it fails."""

import os
import shutil


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        os.chdir("/tmp")
        shutil.rmtree("d", ignore_errors=True)
        for depth in range(900):
            try:
                os.mkdir("d")
            except OSError as error:
                print("EVIDENCE", depth, "folders, then:", error)
                break
            os.chdir("d")
        os.chdir("/")
        return 0.25
