"""Changes and removes the videos."""

import sys
from pathlib import Path

videos, output = Path(sys.argv[1]), Path(sys.argv[2])
names = sorted((path.name for path in videos.iterdir()), key=lambda name: (videos / name).read_bytes()[:1])


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
