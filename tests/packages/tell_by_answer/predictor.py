"""Hides data in what is not a probability."""

import json


class Predictor:
    def __init__(self, package):
        self.package = package
        self.knowledge = json.loads((package / "knowledge.json").read_text())

    def predict(self, video):
        return self.knowledge["mark"]
