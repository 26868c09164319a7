"""How fast are perturbations, against the codec itself, the ffmpeg program, AugLy and a NumPy loop over RGB?

    python tests/benchmarks/perturb_speed.py [--clip FILE] [--augly-python PATH] [--output speed.json]

One 1080p clip; every kind at severity 3; x264 ultrafast at CRF 23 under the same rate cap, one thread, for
all but AugLy, which cannot be told. The rivals take turns, kind by kind; the best of several rounds counts.
Costs are CPU seconds of the process and its children, because sets are rendered with one single-threaded
job per core: they are also what holds on a machine that does something else besides. Wall seconds are given
along. The ffmpeg program is built by others than PyAV's libraries, so every kind is also compared with our
own control. Prints JSON:

  ours          render() of the harness, in a worker that is already running, as in a set
  bare          (a) the ffmpeg program, transcoding and nothing else
  filter        (b) the ffmpeg program with the equivalent filter, where it has one
  augly         (c) AugLy's transform, where it has one and --augly-python is given
  numpy_rgb     (d) PyAV, to RGB, NumPy or OpenCV, and back, for some kinds
  control       our own re-encoding without a perturbation
  codings       decoding and every encode of a kind that codes twice, without anything else
  shares        of our time: decode, filter and encode
  goals         each goal, the kinds that meet it and those that miss it
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from perturb_rivals import FFMPEG_FILTERS, transforms

from harness.core.types import AppliedPerturbation
from harness.videos.perturb.plans import Encoding, Plan, build_plan
from harness.videos.perturb.registry import catalogue
from harness.videos.perturb.render import encoder_options, render
from harness.videos.perturb.steps import Canvas, Generation
from harness.videos.perturb.streams import open_encoder
from harness.videos.perturb.verify import verify
from harness.videos.probe import VideoInfo, probe

SEVERITY = 3
THREE = ("gaussian_blur", "brighter", "noise")
COMBINED, CONTROL = "three", "control"
HARDER = {  # the picture that comes out is harder to encode than the one that went in
    "noise",
    "salt_and_pepper",
    "film_grain",
    "more_contrast",
    "sharpening",
    "grey_blocks",
    "dots_jumping",
    "dots_drifting",
    "text_jumping",
    "shapes_jumping",
    "images_jumping",
    "interlacing",
    "slower",
    COMBINED,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clip", type=Path, help="a 1080p video; one is made where not given")
    parser.add_argument("--frames", type=int, default=300, help="of the clip that is made")
    parser.add_argument("--kinds", default="", help="comma-separated; all where not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ffmpeg", default="ffmpeg")
    parser.add_argument("--augly-python", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--scaling", action="store_true", help="also memory by length and throughput by workers"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clip = arguments.clip or make_clip(work / "clip.mp4", arguments.frames)
        names = [name for name in arguments.kinds.split(",") if name] or [CONTROL, *catalogue(), COMBINED]
        report = compare(clip, names, arguments, work)
        if arguments.scaling:
            report["memory"], report["workers"] = memory_by_length(clip, work), by_workers(clip, work)
            report["presets"] = by_preset(clip, work)
    text = json.dumps(report, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


def make_clip(path: Path, frames: int) -> Path:
    """1920x1080, 30 frames/s: a textured background, a head that nods and speaks, faint noise."""
    rng = np.random.Generator(np.random.Philox(key=1))
    scene: Any = sum(
        cv2.resize(rng.random((1200 // step, 2000 // step, 3)), (2000, 1200), interpolation=2) * step
        for step in (2, 5, 20, 100)
    )
    scene = np.clip(scene / np.max(scene) * 255, 0, 255).astype(np.uint8)
    bank = (rng.standard_normal((1144, 1984, 1)) * 1.5).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "21"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        sound: Any = container.add_stream("aac", rate=48_000)
        for index in range(frames):
            x, y = round(30 + 20 * np.sin(index / 25)), round(30 + 8 * np.cos(index / 11))
            picture = scene[y : y + 1080, x : x + 1920].copy()
            centre = (960 + round(80 * np.sin(index / 20)), 560)
            cv2.ellipse(
                picture, centre, (230, 320), 6 * np.sin(index / 9), 0, 360, (150, 175, 215), cv2.FILLED
            )
            cv2.ellipse(
                picture, (centre[0], centre[1] + 160), (70, 12 + index % 14), 0, 0, 360, (70, 60, 150), -1
            )
            grain = bank[(index * 7) % 64 :, (index * 13) % 64 :][:1080, :1920]
            grainy = np.clip(picture + grain, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grainy, "bgr24")))
        container.mux(stream.encode(None))
        for start in range(0, frames * 1600, 1024):
            wave = 0.2 * np.sin(np.arange(start, start + 1024) / 20)
            frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def plan_for(name: str, info: VideoInfo, encoding: Encoding | None = None) -> Plan:
    """The kind at severity 3; three kinds; or the control."""
    names = {COMBINED: THREE, CONTROL: ()}.get(name, (name,))
    return build_plan(
        [AppliedPerturbation(name=item, severity=SEVERITY) for item in names],
        recipe="benchmark",
        set_seed=1,
        video_id="clip",
        canvas=Canvas.of(info),
        encoding=encoding,
    )


def compare(clip: Path, names: list[str], arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    info, out = probe(clip), work / "out.mp4"
    frames = info.frame_count or 0
    costs: dict[str, dict[str, dict[str, float]]] = {}
    commands = {
        name: ffmpeg_command(arguments.ffmpeg, clip, plan_for(name, info), name, out) for name in names
    }
    bare = ffmpeg_command(arguments.ffmpeg, clip, plan_for(CONTROL, info), CONTROL, out) or []
    rgb = rgb_operations()
    for _ in range(arguments.rounds):
        for name in names:
            row = costs.setdefault(name, {})
            # Next to each other in time: on a busy machine the load of the moment is then the same for all.
            keep_best(row, "bare", program(bare))
            keep_best(row, CONTROL, ours(clip, info, CONTROL, out))
            keep_best(row, "ours", ours(clip, info, name, out))
            keep_best(row, "decode", timed(resource.RUSAGE_SELF, lambda: decode_only(clip)))
            if generations := [one for item in plan_for(name, info).steps for one in item.step.generations]:
                keep_best(row, "codings", codings(clip, info, generations, row[CONTROL]))
            command = commands[name]
            if command is not None:
                keep_best(row, "filter", program(command))
            if arguments.augly_python and name in transforms():
                keep_best(row, "augly", augly(arguments.augly_python, clip, out, name))
            if name in rgb:
                keep_best(row, "numpy_rgb", numpy_rgb(clip, info, rgb[name], out))
    rows = {name: with_ratios(row, frames) for name, row in costs.items()}
    return {
        "clip": {"width": info.width, "height": info.height, "frames": frames},
        "severity": SEVERITY,
        "rounds": arguments.rounds,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "kinds": rows,
        "goals": goals(rows),
    }


def keep_best(row: dict[str, dict[str, float]], who: str, cost: dict[str, float]) -> None:
    best = row.get(who)
    row[who] = cost if best is None else {key: min(best[key], cost[key]) for key in cost}


def with_ratios(row: dict[str, dict[str, float]], frames: int) -> dict[str, Any]:
    """Frames of the source per CPU second, and ours over each of the others."""
    speeds = {who: round(frames / cost["cpu_seconds"], 1) for who, cost in row.items()}
    walls = {who: round(frames / cost["wall_seconds"], 1) for who, cost in row.items()}
    ratios = {who: round(speeds["ours"] / speed, 2) for who, speed in speeds.items() if who != "ours"}
    return {
        "frames_per_cpu_second": speeds,
        "frames_per_wall_second": walls,
        "ours_over": ratios,
        "shares": shares(row),
    }


def shares(row: dict[str, dict[str, float]]) -> dict[str, float]:
    """Which share of our CPU time decoding takes, the operation, and the encoder.

    The operation is what is beyond the control, so it holds what a harder or an easier picture costs the
    encoder as well: it can be negative.
    """
    whole, control = row["ours"]["cpu_seconds"], row[CONTROL]["cpu_seconds"]
    decode = row["decode"]["cpu_seconds"]
    parts = {"decode": decode, "filter": whole - control, "encode": control - decode}
    return {name: round(seconds / whole, 3) for name, seconds in parts.items()}


def goals(rows: dict[str, Any]) -> dict[str, Any]:
    def judge(who: str, least: float, names: set[str]) -> dict[str, Any]:
        ratios = {
            name: rows[name]["ours_over"][who]
            for name in rows
            if who in rows[name]["ours_over"] and name in names
        }
        return {
            "at_least": least,
            "met_by": sum(ratio >= least for ratio in ratios.values()),
            "missed_by": {name: ratio for name, ratio in ratios.items() if ratio < least},
        }

    everything = set(rows)
    drawn = {"text_jumping", "text_drifting", "dots_jumping", "shapes_jumping"}
    return {
        "bare transcode, where the picture gets no harder": judge("bare", 0.9, everything - HARDER),
        "our own control, where the picture gets no harder": judge(CONTROL, 0.9, everything - HARDER),
        "decode and every encode, for kinds that code twice": judge("codings", 0.9, everything),
        "equivalent ffmpeg filter": judge("filter", 0.95, everything),
        "never slower than AugLy": judge("augly", 1.0, everything),
        "AugLy's text, dots and shapes": judge("augly", 4.0, drawn),
        "AugLy, three kinds combined": judge("augly", 2.5, {COMBINED}),
    }


def cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def timed(who: int, action: Callable[[], object]) -> dict[str, float]:
    wall, before = time.monotonic(), cpu(who)
    action()
    return {"cpu_seconds": cpu(who) - before, "wall_seconds": time.monotonic() - wall}


def ours(clip: Path, info: VideoInfo, name: str, out: Path) -> dict[str, float]:
    plan = plan_for(name, info)
    return timed(resource.RUSAGE_SELF, lambda: render(clip, info, plan, out))


def decode_only(clip: Path) -> None:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def codings(
    clip: Path, info: VideoInfo, generations: list[Generation], control: dict[str, float]
) -> dict[str, float]:
    """Decoding once and every encode that the kind asks for, and nothing else: what cannot be saved."""
    canvas, total = Canvas.of(info), dict(control)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = [frame for frame, _ in zip(container.decode(stream), range(30), strict=False)]
    for generation in generations:
        cost = timed(resource.RUSAGE_SELF, partial(encode_only, frames, generation, canvas))
        for key, seconds in cost.items():
            total[key] += seconds * (info.frame_count or 0) / len(frames)
    return total


def encode_only(frames: list[av.VideoFrame], generation: Generation, canvas: Canvas) -> None:
    encoder = open_encoder(generation, canvas)
    for index, frame in enumerate(frames):
        shaped = frame.reformat(format=generation.pixel_format)
        shaped.pts, shaped.time_base, shaped.pict_type = index, encoder.time_base, 0
        encoder.encode(shaped)
    encoder.encode(None)


def program(command: list[str]) -> dict[str, float]:
    def run() -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return timed(resource.RUSAGE_CHILDREN, run)


def augly(python: Path, clip: Path, out: Path, name: str) -> dict[str, float]:
    script = Path(__file__).with_name("perturb_rivals.py")
    # AugLy's own directory and file names; a fresh output each time, as it asks.
    out.unlink(missing_ok=True)
    done = subprocess.run(
        [str(python), str(script), str(clip), str(out), name], check=False, capture_output=True, text=True
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        raise RuntimeError(f"AugLy failed at {name}: {done.stderr[-800:]}")
    cost: dict[str, float] = json.loads(found[-1].removeprefix("RESULT "))
    return cost


def ffmpeg_command(ffmpeg: str, clip: Path, plan: Plan, name: str, out: Path) -> list[str] | None:
    """The ffmpeg program doing the same with the same encoder; None where it has nothing equivalent."""
    steps = [planned.step for planned in plan.steps]
    filters = [text for step in steps for text in step.video]
    if any(step.operation for step in steps):
        if name not in FFMPEG_FILTERS:
            return None
        filters = [FFMPEG_FILTERS[name]]
    if any(step.generations for step in steps):
        return None
    options = encoder_options(plan.encoding, plan.expected)
    command = [
        ffmpeg,
        "-y",
        "-nostdin",
        "-v",
        "error",
        "-threads",
        "1",
        "-filter_threads",
        "1",
        "-i",
        str(clip),
    ]
    command += ["-vf", ",".join(filters)] if filters else []
    sound = [text for step in steps for text in step.audio]
    command += ["-af", ",".join(quoted(text) for text in sound)] if sound else []
    command += [
        item
        for key, value in options.items()
        for item in (f"-{key}" if key != "threads" else "-threads", value)
    ]
    command += ["-c:v", "libx264"]
    command += (
        ["-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"] if plan.expected.has_audio else ["-an"]
    )
    return [*command, "-movflags", "+faststart", str(out)]


def quoted(text: str) -> str:
    return text if "'" in text else text.replace(",", "\\,")


def rgb_operations() -> dict[str, Callable[[Any, int], Any]]:
    """The usual way: whole frames as RGB arrays."""
    noise = np.random.default_rng(1)

    def dots(picture: Any, index: int) -> Any:
        rng = np.random.default_rng(index)
        for x, y in rng.integers(0, (1920, 1080), (120, 2)).tolist():
            cv2.circle(picture, (x, y), 5, (200, 40, 60), cv2.FILLED)
        return picture

    matrix = cv2.getRotationMatrix2D((960, 540), 15, 1)
    return {
        "gaussian_blur": lambda picture, _: cv2.GaussianBlur(picture, (0, 0), 5.25),
        "brighter": lambda picture, _: np.clip(picture.astype(np.int16) + 46, 0, 255).astype(np.uint8),
        "horizontal_flip": lambda picture, _: np.ascontiguousarray(picture[:, ::-1]),
        "noise": lambda picture, _: np.clip(
            picture + noise.normal(0, 15, picture.shape).astype(np.float32), 0, 255
        ).astype(np.uint8),
        "rotation": lambda picture, _: cv2.warpAffine(picture, matrix, (1920, 1080)),
        "dots_jumping": dots,
    }


def numpy_rgb(
    clip: Path, info: VideoInfo, operation: Callable[[Any, int], Any], out: Path
) -> dict[str, float]:
    options = encoder_options(Encoding(), Canvas.of(info))

    def run() -> None:
        with av.open(str(clip)) as reading, av.open(str(out), "w") as writing:
            source = reading.streams.video[0]
            source.codec_context.thread_count = 1
            target: Any = writing.add_stream("libx264", rate=30, options=options)
            target.width, target.height, target.pix_fmt = info.width, info.height, "yuv420p"
            target.codec_context.thread_count = 1
            for index, frame in enumerate(reading.decode(source)):
                picture = operation(frame.to_ndarray(format="rgb24"), index)
                writing.mux(target.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            writing.mux(target.encode(None))

    return timed(resource.RUSAGE_SELF, run)


def memory_by_length(clip: Path, work: Path) -> dict[str, Any]:
    """Peak memory of a fresh process rendering the clip once and eight times as long, three kinds at once."""
    program_text = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "import perturb_speed as b\n"
        "from pathlib import Path\n"
        "clip = Path(sys.argv[1]); info = b.probe(clip)\n"
        "b.render(clip, info, b.plan_for(b.COMBINED, info), Path(sys.argv[2]))\n"
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


def by_workers(clip: Path, work: Path) -> dict[str, Any]:
    """A set of eight clips with one worker and with one per core; rendering, verifying and hashing."""
    from harness.videos.perturb.recipes import load_recipe
    from harness.videos.prepare import SourceVideo, prepare_set

    recipe, found = load_recipe("public"), {}
    sources = [SourceVideo(source_id=f"{index}.mp4", path=clip) for index in range(8)]
    for workers in (1, os.cpu_count() or 1):
        start = time.monotonic()
        prepare_set(
            sources=sources, recipe=recipe, set_seed=1, destination=work / f"set{workers}", workers=workers
        )
        found[str(workers)] = round(time.monotonic() - start, 2)
    info, out = probe(clip), work / "out.mp4"
    plan = plan_for(CONTROL, info)
    rendered = render(clip, info, plan, out)
    check = timed(resource.RUSAGE_SELF, lambda: verify(out, plan, rendered))
    return {"wall_seconds_of_eight_clips": found, "verifying_one_clip": check}


def by_preset(clip: Path, work: Path) -> dict[str, Any]:
    info, found = probe(clip), {}
    for preset in ("ultrafast", "veryfast", "medium"):
        plan = plan_for(CONTROL, info, replace(Encoding(), preset=preset))
        cost = timed(resource.RUSAGE_SELF, partial(render, clip, info, plan, work / "out.mp4"))
        speed = round((info.frame_count or 0) / cost["cpu_seconds"], 1)
        found[preset] = {"frames_per_cpu_second": speed, "bytes": (work / "out.mp4").stat().st_size}
    return found


if __name__ == "__main__":
    main()
