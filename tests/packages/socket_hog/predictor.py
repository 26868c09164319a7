"""Fills the buffers of sockets between its own processes."""

import os
import socket
import time


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        number = video.read_bytes()[0]
        if number == 1:
            for _ in range(3):
                if os.fork() == 0:
                    break
            pairs = []
            try:
                while True:
                    pairs.append(socket.socketpair())
                    for one in pairs[-1]:
                        one.setblocking(False)
                        try:
                            while one.send(bytes(32_768)):
                                pass
                        except BlockingIOError:
                            pass
            except OSError as error:
                print("EVIDENCE", len(pairs), "pairs, then:", error, flush=True)
            time.sleep(3600)
        return 0.25
