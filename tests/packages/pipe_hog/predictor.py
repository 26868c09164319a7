"""Fills pipes."""

import os


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        pipes, written = [], 0
        try:
            while True:
                pipes.append(os.pipe())
                os.set_blocking(pipes[-1][1], False)
                try:
                    while True:
                        written += os.write(pipes[-1][1], bytes(65_536))
                except BlockingIOError:
                    pass
        except OSError as error:
            print("EVIDENCE", written, "bytes, then:", error, flush=True)
        for pipe in pipes:
            for end in pipe:
                os.close(end)
        return 0.25
