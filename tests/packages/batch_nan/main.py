"""Writes what is not a probability."""

import sys
from pathlib import Path

videos, output = Path(sys.argv[1]), Path(sys.argv[2])
names = sorted((path.name for path in videos.iterdir()), key=lambda name: (videos / name).read_bytes()[:1])


def save(rows):
    with output.open("w") as stream:
        print("filename,label", file=stream)
        for name, value in rows:
            print(name, value, sep=",", file=stream)


save((name, value) for name, value in zip(names, ["nan", "1e999", "-1"]))
