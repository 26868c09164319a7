"""Writes cells that a spreadsheet would run."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

videos, output = Path(sys.argv[1]), Path(sys.argv[2])
names = sorted(path.name for path in videos.iterdir())


def save(rows):
    with output.open("w") as stream:
        print("filename,label", file=stream)
        for name, value in rows:
            print(name, value, sep=",", file=stream)


save((name, "=cmd|' /C calc'!A0") for name in names)
