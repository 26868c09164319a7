"""Looks for a GPU that it was not given."""

import glob
import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        found = glob.glob("/dev/nvidia*") + glob.glob("/dev/dri/*") + glob.glob("/dev/kfd")
        print("EVIDENCE devices found:", found, os.environ["NVIDIA_VISIBLE_DEVICES"])
        return float(bool(found))
