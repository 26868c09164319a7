"""Becomes root: by call, and by every program that hands out rights."""

import os
import subprocess


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        done = 0
        for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
            try:
                attempt()
                done += 1
            except OSError as error:
                print("EVIDENCE", error)
        for program in ("/bin/su", "/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp", "/usr/bin/chsh"):
            if os.path.exists(program):
                subprocess.run(
                    [program, "--version"], capture_output=True, check=False, stdin=subprocess.DEVNULL
                )
        status = open("/proc/self/status").read()
        return float(done > 0 or "NoNewPrivs:\t1" not in status or "CapBnd:\t0000000000000000" not in status)
