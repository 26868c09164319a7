"""What the contestants' decoders make of the torture set, before preparation and after it: a table.

    python tests/torture/decoders.py [--share 0.2] [--seed 1] [--write docs/torture-decoders.md]

The decoders run inside the runtime image, without a network, as they do for a package.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import docker
from cases import variants
from clip import Clip, make
from drawing import CELLS, CHART, COMPASS
from judge import CELL_PIXELS_MIN, WIDE, prepare
from run import chosen
from tone_reference import as_bt709

from harness.core.errors import VideoError
from harness.image.runtime_image import ensure_image

PAGE = """# What contestants' decoders make of odd files

The same files of the torture set, before preparation and after it, read inside the runtime image by each
decoder that it holds. *Right*: every frame, in order, the right way up, in its colours (within {tolerance}
of 255). An HDR file that is shown without a tone map counts as other colours. Files that preparation
refuses are not counted; damaged ones neither.

torchcodec is in the table as soon as the image holds it.

Made by `python tests/torture/decoders.py --share {share} --seed {seed} --write docs/torture-decoders.md`.

"""


def colours(clip: Clip) -> dict[str, tuple[float, ...]]:
    """What each patch shows on a screen of BT.709; empty where it is not compared."""
    _, _, primaries, transfer = clip.colour or ("", "", "", "")
    drawn = {name: colour for name, (_, _, colour) in {**COMPASS, **CHART}.items()}
    if min(clip.size) < CELL_PIXELS_MIN * CELLS or primaries.startswith("smpte43"):
        return {}
    if primaries == "bt2020":
        return {name: as_bt709(colour, WIDE.get(transfer, "sdr")) for name, colour in drawn.items()}
    return dict(drawn)


def stage(clips: list[Clip], folder: Path) -> list[dict[str, Any]]:
    """Write each clip and what preparation makes of it; those that are refused are left out."""
    files = []
    for number, clip in enumerate(clips):
        with tempfile.TemporaryDirectory() as scratch:
            source = make(clip, Path(scratch))
            target = folder / f"{number}-after.mp4"
            try:
                prepare(source, target)
            except VideoError:
                target.unlink(missing_ok=True)
                continue
            before = folder / f"{number}-before{source.suffix}"
            shutil.copyfile(source, before)
        numbers = list(clip.wanted_numbers)
        files += [
            {"file": path.name, "numbers": numbers, "when": when, "group": clip.group, "name": clip.name}
            | {"colours": colours(clip)}
            for path, when in ((before, "before"), (target, "after"))
        ]
    return files


def look(folder: Path, files: list[dict[str, Any]]) -> dict[str, Any]:
    """Run `inside.py` in the runtime image."""
    client = docker.from_env(timeout=600)
    (folder / "list.json").write_text(json.dumps(files))
    for name in ("inside.py", "drawing.py"):
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    folder.chmod(0o755)
    said = client.containers.run(
        ensure_image(client, say=lambda text: None).reference,
        ["/torture/inside.py", "/torture"],
        entrypoint="python3",
        volumes={str(folder): {"bind": "/torture", "mode": "ro"}},
        network_mode="none",
        remove=True,
    ).decode()
    found: dict[str, Any] = json.loads(said.partition("RESULT ")[2])
    return found


def table(files: list[dict[str, Any]], found: dict[str, Any]) -> str:
    """Right files by group and decoder, and what was wrong."""
    rows = list(zip(files, found["rows"], strict=True))
    heads = [f"{name} {when}" for name in found["decoders"] for when in ("before", "after")]
    lines = ["| group | files | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for group in [*dict.fromkeys(one["group"] for one in files), "all"]:
        own = [(one, row) for one, row in rows if group in {one["group"], "all"}]
        cells = [
            sum(row[name] == "right" for one, row in own if one["when"] == when)
            for name in found["decoders"]
            for when in ("before", "after")
        ]
        lines.append(f"| {group} | {len(own) // 2} | " + " | ".join(map(str, cells)) + " |")
    for when in ("before", "after"):
        lines += [
            "",
            f"## What is wrong {when} preparation",
            "",
            "| what | " + " | ".join(found["decoders"]) + " |",
        ]
        lines.append("|---" * (len(found["decoders"]) + 1) + "|")
        counts = {
            name: Counter(row[name] for one, row in rows if one["when"] == when) for name in found["decoders"]
        }
        for what in sorted({what for count in counts.values() for what in count} - {"right"}):
            lines.append(f"| {what} | " + " | ".join(str(count[what]) for count in counts.values()) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Stage, look, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    clips = [clip for clip in variants() if not clip.refused and clip.part == 1 and clip.check_colour]
    if arguments.share < 1:
        clips = chosen(clips, seed=arguments.seed, share=arguments.share)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = stage(clips, folder)
        found = look(folder, files)
    page = PAGE.format(tolerance=12, share=arguments.share, seed=arguments.seed) + table(files, found)
    print(page)
    for one, row in zip(files, found["rows"], strict=True):
        wrong = {decoder: row[decoder] for decoder in found["decoders"] if row[decoder] != "right"}
        if one["when"] == "after" and wrong:
            print(one["name"], wrong, file=sys.stderr)
    if arguments.write:
        arguments.write.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
