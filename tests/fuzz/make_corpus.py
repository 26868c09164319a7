"""Write the seeds of the corpus: one small input for every shape that a target knows. Run by hand.

    python tests/fuzz/make_corpus.py

What fuzzing found later lies beside them, named `found-*`, and is not written by this script.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from importlib.resources import files
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).parents[2]
MANIFEST = b'name = "a"\nentry = "predictor:Predictor"\nexclude = ["training/**"]\n'
BATCH = b'name = "b"\nlayout = "kaggle"\ncommand = ["python", "m.py", "{videos}", "{output}"]\n'


def frame(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


def zipped(
    *entries: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        archive.comment = comment
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, compression)
    return target.getvalue()


def seeds() -> dict[str, list[bytes]]:
    replies = [
        json.dumps(one).encode()
        for one in (
            {"type": "ready"},
            {"type": "failed", "id": None, "message": "x\x1b[0m\ud800", "package_missing": True},
            {"type": "answer", "id": "1", "probability": 0.5},
            {"type": "answer", "id": "1", "probability": float("nan")},
            {"type": "table", "id": "1", "csv": "filename,label\na.mp4,0.5\n", "message": "exit code 1"},
        )
    ]
    plain = zipped(("submission.toml", MANIFEST), ("predictor.py", b"class Predictor: pass\n"))
    archives = [
        plain,
        zipped(("submission.toml", BATCH), ("a/", b""), ("a/b/c.bin", b"\0" * 5000), comment=b"hello"),
        zipped(("submission.toml", MANIFEST), compression=zipfile.ZIP_STORED),
        zipped(("../x", b"x"), ("/y", b"y"), ("c:\\z", b"z"), ("é.py", b"")),
        b"PK\x05\x06" + b"\0" * 18,
        b"front" + plain,
        plain + b"behind",
    ]
    recipes = files("harness.videos.perturb") / "recipes"
    challenge = (ROOT / "sample_videos" / "challenge.toml").read_bytes()
    header = {"header": {"order_seed": 1, "videos_sha256": "a", "limits_sha256": "b", "version": 1}}
    line = {
        "video_id": "v.mp4", "kind": "PREDICTED", "probability": 0.5, "wall_seconds": 1.0,
        "cpu_seconds": None, "attempt": 1, "message": "", "container_lost": False,
    }  # fmt: skip
    tables = [
        b"filename,label\na.mp4,0.5\nb.mp4,1e-3\nc d.mp4,.25\n",
        b'\xef\xbb\xbffilename,label\r\n"a.mp4","0.9"\r\nx.mp4,nan\r\n',
        b"filename,label\na.mp4,0",
        b'filename,label\n"a.mp4',
    ]
    return {
        "reply": replies,
        "stream": [
            b"".join(map(frame, replies[:3])),
            frame(b"x" * 256),
            b"\0\0\0\0",
            b"\xff" * 8,
            frame(b"a") * 6,
        ],
        "archive": archives,
        "package": archives,
        "manifest": [
            MANIFEST,
            BATCH,
            b'name = "c"\nentry = "a:B"\n[[external_data]]\nname="n"\nlicence="l"\nconsent="c"\n',
        ],
        "challenge": [challenge, b"schema = 1\nname = 'x'\n[sets.public]\n[limits]\npids = -1\n"],
        "labels": [
            b"filename,label,method\na.mp4,FAKE,m\nb.mp4,0,\n",
            b'filename,label\n"a,b.mp4",1\n',
            b"filename,label\n../x,2\n",
        ],
        "recipe": [(recipes / name).read_bytes()[:3000] for name in ("clean.toml", "public.toml")]
        + [
            b'name = "x"\nuntouched = 0.5\ncount = { 1 = 1.0 }\n[[kinds]]\nname = "grayscale"\n'
            b"weight = 1.0\nseverities = [1, 1, 1, 1, 1]\n"
        ],
        "table": tables,
        "journal": [
            b"".join(json.dumps(one).encode() + b"\n" for one in (header, line)),
            json.dumps(header).encode() + b"\n" + b'{"torn": ',
        ],
        "result": [b'{"schema_version": 1}', b'{"schema_version": true, "sets": {"public": 1}}', b"[[[]]]"],
    }


def main() -> None:
    for target, inputs in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (folder / f"seed-{number}").write_bytes(data)


if __name__ == "__main__":
    main()
