"""Writes escape sequences, to take over the terminal of whoever reads the log."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        print("\x1b[2J\x1b]0;pwned\x07\x1b[31m \u202e [bold]OK[/bold]", flush=True)
        return 0.25
