"""Writes a table of 10 MB."""

import signal
import sys
from pathlib import Path

videos, output = Path(sys.argv[1]), Path(sys.argv[2])
names = sorted((path.name for path in videos.iterdir()), key=lambda name: (videos / name).read_bytes()[:1])


def save(rows):
    with output.open("w") as stream:
        print("filename,label", file=stream)
        for name, value in rows:
            print(name, value, sep=",", file=stream)


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
output.write_bytes(b"a,1\n" * 2_500_000)
