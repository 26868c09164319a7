"""A class that does not fit the contract."""


class Predictor:
    def predict(self):
        return 0.25
