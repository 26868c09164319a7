"""What a set costs beyond one clip: memory by length, throughput by workers, the encoder's presets."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.videos.perturb.plans import Plan
from harness.videos.perturb.recipes import load_recipe
from harness.videos.perturb.render import render
from harness.videos.perturb.verify import verify
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.probe import probe


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_by_length(clip: Path, work: Path) -> dict[str, Any]:
    """Peak memory of a fresh process rendering the clip once and eight times as long, three kinds at once."""
    program_text = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "import perturb_speed as b\n"
        "from pathlib import Path\n"
        "from harness.videos.perturb.render import render\n"
        "clip = Path(sys.argv[1]); info = b.probe(clip)\n"
        "render(clip, info, b.plan_for(b.COMBINED, info), Path(sys.argv[2]))\n"
        # Not getrusage: its peak survives exec, so it would be this process's own.
        "status = Path('/proc/self/status').read_text()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) * 1024)\n"
    )
    peaks = {}
    for times in (1, 8):
        looped = work / f"loop{times}.mp4"
        command = ["ffmpeg", "-y", "-v", "error", "-stream_loop", str(times - 1), "-i", str(clip)]
        subprocess.run([*command, "-c", "copy", str(looped)], check=True)
        arguments = [str(looped), str(work / "out.mp4"), str(Path(__file__).parent)]
        done = subprocess.run(
            [sys.executable, "-c", program_text, *arguments], check=True, capture_output=True, text=True
        )
        peaks[f"{times}x"] = int(done.stdout.split()[-1])
    return {"peak_bytes": peaks, "eight_times_over_once": round(peaks["8x"] / peaks["1x"], 3)}


def by_workers(clip: Path, work: Path, control: Plan) -> dict[str, Any]:
    """A set of eight clips with one worker and with one per core; rendering, verifying and hashing."""
    recipe, found = load_recipe("public"), {}
    sources = [SourceVideo(source_id=f"{index}.mp4", path=clip) for index in range(8)]
    for workers in (1, os.cpu_count() or 1):
        start = time.monotonic()
        prepare_set(
            sources=sources, recipe=recipe, set_seed=1, destination=work / f"set{workers}", workers=workers
        )
        found[str(workers)] = round(time.monotonic() - start, 2)
    info, out = probe(clip), work / "out.mp4"
    rendered = render(clip, info, control, out)
    before = _cpu()
    verify(out, control, rendered)
    return {"wall_seconds_of_eight_clips": found, "verifying_one_clip_cpu_seconds": round(_cpu() - before, 2)}


def by_preset(clip: Path, work: Path, control: Plan) -> dict[str, Any]:
    """What x264's presets cost, and what they save in bytes."""
    info, found = probe(clip), {}
    for preset in ("ultrafast", "veryfast", "medium"):
        plan = replace(control, encoding=replace(control.encoding, preset=preset))
        before = _cpu()
        render(clip, info, plan, work / "out.mp4")
        speed = round((info.frame_count or 0) / (_cpu() - before), 1)
        found[preset] = {"frames_per_cpu_second": speed, "bytes": (work / "out.mp4").stat().st_size}
    return found
