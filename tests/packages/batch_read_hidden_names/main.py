"""Looks for what a video was called before."""

import sys
from pathlib import Path

videos, output = Path(sys.argv[1]), Path(sys.argv[2])
names = sorted((path.name for path in videos.iterdir()), key=lambda name: (videos / name).read_bytes()[:1])


def save(rows):
    with output.open("w") as stream:
        print("filename,label", file=stream)
        for name, value in rows:
            print(name, value, sep=",", file=stream)


told = {path.stat().st_mtime for path in videos.iterdir()}
telling = [name for name in names if "fake" in name or "real" in name or len(name) != len(names[0])]
save((name, float(len(told) > 1 or bool(telling))) for name in names)
