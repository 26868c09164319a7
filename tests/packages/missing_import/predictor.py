"""Imports what the image does not have."""

import tensorflow_that_is_not_there


class Predictor:
    def __init__(self, package):
        self.model = tensorflow_that_is_not_there

    def predict(self, video):
        return 0.25
