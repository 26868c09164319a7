"""Python whose decorators and names would act if the check imported it."""

import json
import os
from pathlib import Path

KNOWLEDGE = json.loads((Path(__file__).parent / "knowledge.json").read_text())
try:
    Path(KNOWLEDGE["escape"]).write_text("x")
except OSError:
    os.environ["BLOCKED"] = "1"


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        return 0.0 if "BLOCKED" in os.environ else 1.0
