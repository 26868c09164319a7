"""Changes and removes the videos."""

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


done = 0
for name in names:
    for attempt in (lambda: (videos / name).unlink(), lambda: (videos / name).write_bytes(b"x")):
        try:
            attempt()
            done += 1
        except OSError as error:
            print("EVIDENCE", error)
save((name, float(done > 0)) for name in names)
