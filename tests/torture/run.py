"""Run the torture set, or a part of it, and write the table of the documentation.

    python tests/torture/run.py [--only WORD] [--seed 1 --share 0.2] [--workers 2] [--write docs/torture.md]

Prints each case that is wrong, and ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import variants
from clip import Clip
from judge import Fate, Verdict, judge

PAGE = """# The torture set

Every row is a group of made-up clips: drawn by us, coded by the ffmpeg program, perhaps spoilt, then
prepared by the recipe `clean` and read back frame by frame by the ffmpeg program (which is not one of the
harness's path). A frame number, a compass rose and a colour chart are drawn into every frame and a tone
into the sound, so that what came out is compared with what went in, and not with what somebody thinks a
decoder does.

*Right* means: every frame is there, the right way up, in order, at its moment within half a frame; shape
within 1%; every patch of colour within 2 of 255 of a reference conversion; sound within 20 ms of the
picture. Of damaged files, as many frames as the reference decodes, less a share for the damage. *Refused*
means that the reason names the cause. Anything else is wrong.

`make torture` runs the whole set and writes this page; the tests run a part of it.

"""


def chosen(clips: Sequence[Clip], *, seed: int, share: float) -> list[Clip]:
    """A seeded part, with something of every group."""
    groups = sorted({clip.group for clip in clips})
    picked = []
    for group in groups:
        own = [clip for clip in clips if clip.group == group]
        picked += random.Random(f"{seed} {group}").sample(own, max(1, round(share * len(own))))
    return picked


def run(clips: Sequence[Clip], workers: int) -> Iterator[tuple[Clip, Verdict]]:
    """Judge them, in order."""
    if workers <= 1:
        yield from ((clip, one(clip)) for clip in clips)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from zip(clips, pool.map(one, clips), strict=True)


def one(clip: Clip) -> Verdict:
    """Judge one; a case that cannot be made is wrong as well."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return judge(clip, Path(folder))
        except Exception as error:  # a row of the table, whatever it is
            return Verdict(fate=Fate.WRONG, reason=f"cannot be judged: {error!r}")


def earlier(path: Path | None) -> dict[str, Verdict]:
    """What an interrupted run had found, without what was wrong: that is judged again."""
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    found = {row["name"]: Verdict(fate=Fate(row["fate"]), reason=row["reason"]) for row in rows}
    return {name: verdict for name, verdict in found.items() if verdict.fate is not Fate.WRONG}


def page(results: Sequence[tuple[Clip, Verdict]]) -> str:
    """The table as Markdown, with the reasons of refusals."""
    groups = list(dict.fromkeys(clip.group for clip, _ in results))
    lines = ["| group | cases | right | refused | wrong |", "|---|---|---|---|---|"]
    for group in [*groups, "all"]:
        fates = Counter(verdict.fate for clip, verdict in results if group in {clip.group, "all"})
        numbers = [sum(fates.values()), fates[Fate.RIGHT], fates[Fate.REFUSED], fates[Fate.WRONG]]
        lines.append(f"| {group} | " + " | ".join(map(str, numbers)) + " |")
    lines += ["", "## Why cases are refused", "", "| case | reason |", "|---|---|"]
    for clip, verdict in results:
        if verdict.fate is Fate.REFUSED:
            lines.append(f"| {clip.name} | {verdict.reason.replace('|', chr(92) + '|')} |")
    return PAGE + "\n".join(lines) + "\n"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="a part of the names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, help="write the page here")
    parser.add_argument(
        "--results", type=Path, help="keep each verdict here; those that are not wrong are kept"
    )
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    clips = [clip for clip in variants() if arguments.only in clip.name]
    if arguments.share < 1:
        clips = chosen(clips, seed=arguments.seed, share=arguments.share)
    known = earlier(arguments.results)
    found = dict(known)
    for clip, verdict in run([clip for clip in clips if clip.name not in known], arguments.workers):
        found[clip.name] = verdict
        if arguments.results:
            row = {"name": clip.name, "fate": verdict.fate, "reason": verdict.reason}
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        if verdict.fate is Fate.WRONG or arguments.verbose:
            print(f"{verdict.fate}: {clip.name}: {verdict.reason}", flush=True)
    results = [(clip, found[clip.name]) for clip in clips]
    fates = Counter(verdict.fate for _, verdict in results)
    print(f"{len(results)} cases: " + ", ".join(f"{fates[fate]} {fate}" for fate in Fate))
    if arguments.write:
        arguments.write.write_text(page(results), "utf-8")
    sys.exit(bool(fates[Fate.WRONG]))


if __name__ == "__main__":
    main()
