"""How fast are perturbations, against the codec itself, the ffmpeg program, AugLy and a NumPy loop over RGB?

    python tests/benchmarks/perturb_speed.py --state FILE [--minutes N] [--wait-for-load 0.9]
        [--augly-python PATH] [--output JSON]

One 1080p clip; every kind at severity 3; x264 ultrafast at CRF 23 under the same rate cap, one thread, for
all but AugLy, which cannot be told. The rivals take turns, kind by kind; the median of several rounds counts.
Each round takes another part of the clip (three rounds of 300 frames: 100 frames each), so that every kind is
measured on all of it once; with --whole, all of it in every round. A program's start, and what a kind does
once for a video, which a whole clip pays once, are counted once for all parts.
A busy machine's clock and memory drift by several hundredths within minutes: each ratio is of measurements
beside each other, the bare transcode's and the control's before and after a few kinds.
Costs are CPU seconds of the process and its children, because sets are rendered with one single-threaded
job per core; wall seconds are given along. The ffmpeg program is built by others than PyAV's libraries, so
every kind is also compared with our own control.

What is measured is kept in --state as it comes in: the same command again goes on where it stopped, and
--minutes stops it in time. So a busy machine can be measured in its quiet moments; each measurement says
how many cores others used meanwhile. With --wait-for-load, such a piece begins only once the load average is
below that, which the piece before it has raised. Prints JSON:

  ours          render() of the harness, in a worker that is already running, as in a set
  bare          (a) the ffmpeg program, transcoding and nothing else; before and after every few kinds
  filter        (b) the ffmpeg program with the equivalent filter, where it has one; in the first round
  augly         (c) AugLy's transform, where it has one and --augly-python is given; in the first round
  numpy_rgb     (d) PyAV, to RGB, NumPy or OpenCV, and back, for some kinds; in the first round
  start         the ffmpeg program coding one picture: its start; as often
  own_start     the same of ours, of every kind; in the first round
  control       our own re-encoding without a perturbation; before and after every few kinds
  copied        ours with `copy_untouched`, for kinds that leave the picture alone; in the first round
  codings       decoding, sound and every encode of a kind that codes twice: our stages without the filter,
                and each encode on the way, measured without anything else
  recodings     the same with each decode on the way, which no program can leave out either
  stages        our CPU milliseconds for one frame of the source: decode, sound, filter, encode; and the
                share of one core that each takes
  same_picture  the bare transcode's speed if it had to encode the picture that comes out: its cost times
                (our decode + sound + encode of this kind) / (our control), against ours
  goals         each goal, the kinds that meet it and those that miss it
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import perturb_page
from perturb_clip import make_clip
from perturb_rivals import FFMPEG_FILTERS, transforms
from perturb_scaling import by_preset, by_workers, memory_by_length
from perturb_stages import STAGES, staged
from wait_for_load import wait_for_load

from harness.core.types import AppliedPerturbation
from harness.videos.perturb.copying import copied
from harness.videos.perturb.plans import Encoding, Plan, build_plan
from harness.videos.perturb.recoding import open_decoder, open_encoder
from harness.videos.perturb.registry import catalogue
from harness.videos.perturb.render import encoder_options
from harness.videos.perturb.sound import AAC_OPTIONS
from harness.videos.perturb.steps import Canvas, Generation
from harness.videos.probe import VideoInfo, probe

SEVERITY = 3
THREE = ("gaussian_blur", "brighter", "noise")
COMBINED, CONTROL = "three", "control"
ANCHOR_EVERY = 4  # kinds between two runs of the bare transcode and of the control
NOT_AFTER_SECONDS = 40.0  # kept free at the end of --minutes: what one kind may take
CODED = 100  # pictures, at most, of which every coding of a kind that codes twice is measured alone
HARDER_FROM = 1.07  # our encoder's cost against the control's: from here on, the picture has become harder
Costs = dict[str, float]
Row = dict[str, list[Costs]]  # by rival, one for each round
Anchor = dict[str, Any]  # which piece and turn it was in, and the costs of `bare`, `start` and the control
Figure = Callable[[dict[str, Any]], float | None]  # of a kind's row; None if it has none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clip", type=Path, help="a 1080p video; one is made where not given")
    parser.add_argument("--frames", type=int, default=300, help="of the clip that is made")
    parser.add_argument("--kinds", default="", help="comma-separated; all where not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="every round takes the whole clip, not a part")
    parser.add_argument("--minutes", type=float, help="stop in time, with what there is")
    parser.add_argument(
        "--wait-for-load", type=float, metavar="LOAD", help="begin once the load average is below it"
    )
    parser.add_argument("--wait-minutes", type=float, default=10.0, help="for that; then nothing is measured")
    parser.add_argument("--state", type=Path, help="a file with what was measured so far; gone on with")
    parser.add_argument("--ffmpeg", default="ffmpeg")
    parser.add_argument("--augly-python", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--page", type=Path, help="docs/perturbations.md: write the tables there")
    parser.add_argument(
        "--scaling", action="store_true", help="also memory by length and throughput by workers"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clips = parts(arguments, work)
        names = [name for name in arguments.kinds.split(",") if name] or [CONTROL, *catalogue(), COMBINED]
        bench = Bench(clips, arguments, work)
        left = bench.run(names)
        report = bench.report(names)
        if arguments.scaling and not left:
            control, clip = plan_for(CONTROL, bench.info), clips[0]
            report["memory"] = memory_by_length(clip, work)
            report["workers"] = by_workers(clip, work, control)
            report["presets"] = by_preset(clip, work, control)
    text = json.dumps(report, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    if arguments.page:
        perturb_page.write(arguments.page, report)
    print(text)
    if left:
        print(f"{left} measurements are left: run the same command again", file=sys.stderr)


def parts(arguments: argparse.Namespace, work: Path) -> list[Path]:
    """Return a clip for each round. They are kept beside --state: making them takes a minute."""
    rounds, frames = arguments.rounds, arguments.frames
    if arguments.clip:
        return [arguments.clip] * rounds
    count = 1 if arguments.whole else rounds
    clips = []
    for part in range(count):
        length = frames // count
        name = f"clip-{length}-from-{part * length}.mp4"
        clip = arguments.state.with_name(f"{arguments.state.stem}-{name}") if arguments.state else work / name
        if not clip.exists():
            make_clip(work / "making.mp4", length, part * length)
            shutil.move(work / "making.mp4", clip)
        clips.append(clip)
    return clips if count == rounds else clips * rounds


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


class Bench:
    """The measurements, kept in a file as they come in."""

    def __init__(self, clips: list[Path], arguments: argparse.Namespace, work: Path) -> None:
        self.clips, self.arguments, self.info = clips, arguments, probe(clips[0])
        self.parts = len(set(clips))
        self._out, self._work = work / "out.mp4", work
        self._warm: set[str] = set()
        self._since = time.monotonic()
        self._state: Path | None = arguments.state
        self.rows: dict[str, Row] = {}
        self.anchors: list[Anchor] = []
        self.beside: dict[str, list[int]] = {}  # the anchor before each round of a kind
        self.loads: list[float] = []  # cores that others used, in each measurement
        self.began_at_load: list[float] = []  # the load average before each piece
        if self._state is not None and self._state.exists():
            kept = json.loads(self._state.read_text())
            layout = [self.info.frame_count, self.parts]
            if [kept["frames"], kept["parts"]] != layout:
                raise SystemExit(f"{self._state} is of other frames or parts than these {layout}: remove it")
            self.rows, self.loads, self.began_at_load = kept["rows"], kept["loads"], kept["began_at_load"]
            self.anchors, self.beside = kept["anchors"], kept["beside"]

    def run(self, names: list[str]) -> int:
        """Measure what is missing; return how many measurements are left."""
        rgb, turn = rgb_operations(), 0
        missing = [
            (turn, name)
            for turn in range(self.arguments.rounds)
            for name in names
            if len(self.rows.get(name, {}).get("ours", [])) <= turn
        ]
        if not missing:
            return 0
        if self.arguments.wait_for_load is not None:
            wait_for_load(self.arguments.wait_for_load, self.arguments.wait_minutes)
        self.began_at_load.append(round(os.getloadavg()[0], 2))
        for number, (turn, name) in enumerate(missing):
            minutes = self.arguments.minutes
            if minutes and time.monotonic() - self._since > minutes * 60 - NOT_AFTER_SECONDS:
                self._anchor(turn)
                return len(missing) - number
            last = missing[number - 1][0] if number else turn
            if last != turn:
                self._anchor(last)
            if last != turn or number % ANCHOR_EVERY == 0:
                self._anchor(turn)
            generations = [one for item in plan_for(name, self.info).steps for one in item.step.generations]
            for who, decodes in (("codings", False), ("recodings", True)) if generations else ():
                self._keep(name, who, partial(self._codings, name, generations, turn, decodes=decodes))
            if turn == 0:
                self._rivals(name, rgb)
            self._warmed(name)
            if turn == 0:
                self._keep(name, "own_start", partial(self._short, name, 1))
            self._keep(name, "ours", partial(self._ours, name, turn))  # last: with it, the round is done
            self.beside.setdefault(name, []).append(len(self.anchors) - 1)
            self._save()
        self._anchor(turn)
        return 0

    def _anchor(self, turn: int) -> None:
        """Measure the bare transcode, its start and our control on one part of the clip."""
        control = plan_for(CONTROL, self.info)
        command = ffmpeg_command(self.arguments.ffmpeg, self.clips[turn], control, CONTROL, self._out) or []
        short = [*command[:-1], "-t", "0.03", command[-1]]
        self._warmed(CONTROL)
        self.anchors.append(
            {
                "piece": len(self.began_at_load),
                "turn": turn,
                "bare": self._watched(partial(program, command)),
                "start": self._watched(partial(program, short)),
                CONTROL: self._watched(partial(self._ours, CONTROL, turn)),
            }
        )
        self._save()

    def _rivals(self, name: str, rgb: dict[str, Callable[[Any, int], Any]]) -> None:
        plan, clip = plan_for(name, self.info), self.clips[0]
        command = ffmpeg_command(self.arguments.ffmpeg, clip, plan, name, self._out)
        if command is not None and name != CONTROL:
            self._keep(name, "filter", partial(program, command))
        if self.arguments.augly_python and name in transforms():
            self._keep(name, "augly", partial(augly, self.arguments.augly_python, clip, self._out, name))
        untouched = replace(plan, encoding=replace(plan.encoding, copy_untouched=True))
        if name != CONTROL and copied(clip, self.info, untouched, self._out) is not None:
            measure = partial(copied, clip, self.info, untouched, self._out)
            self._keep(name, "copied", partial(timed, resource.RUSAGE_SELF, measure))
        if name in rgb:
            self._keep(name, "numpy_rgb", partial(numpy_rgb, clip, self.info, rgb[name], self._out))

    def _ours(self, name: str, turn: int) -> Costs:
        return staged(self.clips[turn], self.info, plan_for(name, self.info), self._out)

    def _warmed(self, name: str) -> None:
        """Render four pictures, once for each kind: a worker of a set has its loops compiled and loaded."""
        if name not in self._warm:
            self._warm.add(name)
            self._short(name, 4)

    def _short(self, name: str, frames: int) -> Costs:
        clip = self._work / f"short-{frames}.mp4"
        if not clip.exists():
            make_clip(clip, frames)
        info = probe(clip)
        return staged(clip, info, plan_for(name, info), self._out)

    def _codings(self, name: str, generations: list[Generation], turn: int, *, decodes: bool) -> Costs:
        canvas = plan_for(name, self.info).expected
        return codings(self.clips[turn], self.info, generations, canvas, decodes=decodes)

    def _keep(self, name: str, who: str, measure: Callable[[], Costs]) -> None:
        self.rows.setdefault(name, {}).setdefault(who, []).append(self._watched(measure))

    def _watched(self, measure: Callable[[], Costs]) -> Costs:
        busy, wall = busy_seconds(), time.monotonic()
        cost = measure()
        others = busy_seconds() - busy - cost["cpu_seconds"]
        self.loads.append(round(max(0.0, others) / (time.monotonic() - wall), 3))
        return cost

    def _save(self) -> None:
        if self._state is not None:
            content: dict[str, Any] = {
                "frames": self.info.frame_count,
                "parts": self.parts,
                "rows": self.rows,
            }
            content |= {"loads": self.loads, "began_at_load": self.began_at_load}
            content |= {"anchors": self.anchors, "beside": self.beside}
            self._state.write_text(json.dumps(content))

    def report(self, names: list[str]) -> dict[str, Any]:
        """Medians over the rounds, ratios and goals."""
        frames, once = self.info.frame_count or 0, 1 - 1 / self.parts
        started = middle([anchor["start"] for anchor in self.anchors])
        start, own = scaled(started, once), self._own_start(CONTROL, once)
        anchors = {"bare": self._anchors("bare", start), CONTROL: self._anchors(CONTROL, own)}
        rows = {}
        for name in names:
            if "ours" not in (row := self.rows.get(name, {})):
                continue
            rivals = {who: less(row[who], start) for who in ("filter", "augly") if who in row}
            ours = less(row["ours"], self._own_start(name, once))
            beside = {
                who: [self._about(costs, at) for at in self.beside[name]] for who, costs in anchors.items()
            }
            rows[name] = figures(row | rivals | beside | {"ours": ours}, frames)
        return {
            "clip": {
                "width": self.info.width,
                "height": self.info.height,
                "frames": frames * self.parts,
                "frames_of_a_round": frames,
            },
            "severity": SEVERITY,
            "rounds": min(len(self.rows[name]["ours"]) for name in rows),
            "cores": os.cpu_count(),
            "load_average_before_each_piece": self.began_at_load,
            "cores_used_by_others": {"median": median(self.loads), "most": max(self.loads)},
            "anchors": {who: spread(costs, frames) for who, costs in anchors.items()},
            "start_milliseconds": round(started["cpu_seconds"] * 1000, 1),
            "kinds": rows,
            "goals": goals(rows),
        }

    def _own_start(self, name: str, share: float) -> Costs:
        row = self.rows.get(name, {}).get("own_start") or [self._short(name, 1)]
        return scaled(middle(row), share)

    def _anchors(self, who: str, start: Costs) -> list[Costs]:
        return less([anchor[who] for anchor in self.anchors], start)

    def _about(self, costs: list[Costs], at: int) -> Costs:
        """The mean of an anchor and the next one, if that was in the same piece and of the same part."""
        own = {key: self.anchors[at][key] for key in ("piece", "turn")}
        after = self.anchors[at + 1] if at + 1 < len(costs) else {}
        if any(after.get(key) != value for key, value in own.items()):
            return costs[at]
        return {key: (costs[at][key] + costs[at + 1][key]) / 2 for key in costs[at]}


def middle(costs: list[Costs]) -> Costs:
    """The median of each figure."""
    return {key: median(cost[key] for cost in costs) for key in costs[0]}


def scaled(cost: Costs, share: float) -> Costs:
    return {key: seconds * share for key, seconds in cost.items()}


def less(costs: list[Costs], start: Costs) -> list[Costs]:
    """Take off the part of a program's starts that a whole clip would not have had."""
    return [{key: cost[key] - start[key] for key in start} for cost in costs]


def spread(costs: list[Costs], frames: int) -> dict[str, float]:
    """Least, median and most CPU milliseconds of a frame: how steady the machine was."""
    values = sorted(cost["cpu_seconds"] / frames * 1000 for cost in costs)
    return {"least": round(values[0], 2), "median": round(median(values), 2), "most": round(values[-1], 2)}


def figures(row: Row, frames: int) -> dict[str, Any]:
    """Frames of the source per second, CPU and wall, ours over each of the others, and our stages.

    Each ratio is the median over the rounds of what was measured beside each other; of rivals that were
    measured in the first round alone, it is that round's.
    """
    rounds = row["ours"]
    for who in {"codings", "recodings"} & row.keys():
        row[who] = [
            {key: cost[key] + own[key] - own["filter"] for key in ("cpu_seconds", "wall_seconds")}
            for cost, own in zip(row[who], rounds, strict=True)
        ]
    row = {who: costs for who, costs in row.items() if who not in {"start", "own_start"}}
    costs = {who: middle(several) for who, several in row.items()}
    ours = costs["ours"]
    speeds = {who: round(frames / cost["cpu_seconds"], 1) for who, cost in costs.items()}
    walls = {who: round(frames / cost["wall_seconds"], 1) for who, cost in costs.items()}
    rivals = {who: several for who, several in row.items() if who != "ours"}

    def over(key: str) -> dict[str, float]:
        return {
            who: round(median(one[key] / own[key] for one, own in zip(several, rounds, strict=False)), 2)
            for who, several in rivals.items()
        }

    ratios, walls_over = over("cpu_seconds"), over("wall_seconds")
    stages = {stage: round(ours[stage] / frames * 1000, 2) for stage in STAGES}
    both = list(zip(row["bare"], row[CONTROL], rounds, strict=True))
    harder = median(own["encode"] / control["encode"] for _, control, own in both)
    same = median(
        bare["cpu_seconds"] * (1 - own["filter"] / own["cpu_seconds"]) / control["cpu_seconds"]
        for bare, control, own in both
    )
    return {
        "frames_per_cpu_second": speeds,
        "frames_per_wall_second": walls,
        "ours_over": ratios,
        "ours_over_by_wall": walls_over,
        "milliseconds_of_a_frame": stages,
        "share_of_a_core": {stage: round(ours[stage] / ours["wall_seconds"], 3) for stage in STAGES},
        "encode_over_controls": round(harder, 2),
        "same_picture": round(same, 2),
        "copied_over_augly": round(costs["augly"]["cpu_seconds"] / costs["copied"]["cpu_seconds"], 2)
        if {"augly", "copied"} <= costs.keys()
        else None,
    }


def goals(rows: dict[str, Any]) -> dict[str, Any]:
    """Each goal, how many kinds meet it, and who misses it by how much."""

    def judge(
        figure: Callable[[dict[str, Any]], float | None], least: float, names: set[str]
    ) -> dict[str, Any]:
        ratios = {
            name: ratio for name, row in rows.items() if name in names and (ratio := figure(row)) is not None
        }
        missed = {name: ratio for name, ratio in ratios.items() if ratio < least}
        return {"at_least": least, "met_by": len(ratios) - len(missed), "missed_by": missed}

    def over(who: str, key: str = "ours_over") -> Figure:
        return lambda row: row[key].get(who)

    everything = set(rows)
    twice = {name for name, row in rows.items() if "codings" in row["ours_over"]}
    once = everything - twice
    harder = {name for name in once if rows[name]["encode_over_controls"] >= HARDER_FROM}
    drawn = {"text_jumping", "text_drifting", "dots_jumping", "shapes_jumping"}
    return {
        "harder to encode than the source": sorted(harder),
        "bare transcode, CPU, where the picture gets no harder": judge(over("bare"), 0.9, once - harder),
        "bare transcode, wall, where the picture gets no harder": judge(
            over("bare", "ours_over_by_wall"), 0.9, once - harder
        ),
        "bare transcode of the picture that comes out, CPU, where it is harder": judge(
            lambda row: row["same_picture"], 0.9, harder
        ),
        "decode and every encode, for kinds that code twice": judge(over("codings"), 0.9, twice),
        "decode and every encode and decode, for kinds that code twice": judge(over("recodings"), 0.9, twice),
        "equivalent ffmpeg filter": judge(over("filter"), 0.95, everything),
        "never slower than AugLy": judge(over("augly"), 1.0, everything),
        "never slower than AugLy, copying pictures that nothing touches": judge(
            lambda row: row["copied_over_augly"], 1.0, everything
        ),
        "AugLy's text, dots and shapes": judge(over("augly"), 4.0, drawn),
        "AugLy, three kinds combined": judge(over("augly"), 2.5, {COMBINED}),
    }


def busy_seconds() -> float:
    """Of all cores since the start: user, nice, system, interrupts and what other guests took."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def timed(who: int, action: Callable[[], object]) -> Costs:
    wall, before = time.monotonic(), cpu(who)
    action()
    return {"cpu_seconds": cpu(who) - before, "wall_seconds": time.monotonic() - wall}


def codings(
    clip: Path, info: VideoInfo, generations: list[Generation], canvas: Canvas, *, decodes: bool
) -> Costs:
    """Every encode on the way that the kind asks for, and nothing else; or with every decode."""
    total = {"cpu_seconds": 0.0, "wall_seconds": 0.0}
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        decoded = [frame for frame, _ in zip(container.decode(stream), range(CODED), strict=False)]
    for generation in generations:
        width, height = generation.size or (canvas.width, canvas.height)
        size = replace(canvas, width=width, height=height)
        frames = [frame.reformat(width, height) for frame in decoded]
        cost = timed(resource.RUSAGE_SELF, partial(recode, frames, generation, size, decodes=decodes))
        for key, seconds in cost.items():
            total[key] += seconds * (info.frame_count or 0) / len(frames)
    return total


def recode(frames: list[av.VideoFrame], generation: Generation, canvas: Canvas, *, decodes: bool) -> None:
    encoder = open_encoder(generation, canvas)
    packets = []
    for index, frame in enumerate(frames):
        shaped = frame.reformat(format=generation.pixel_format)
        shaped.pts, shaped.time_base, shaped.pict_type = index, encoder.time_base, 0
        packets += encoder.encode(shaped)
    packets += encoder.encode(None)
    if decodes:
        decoder = open_decoder(encoder, generation)
        for packet in [*packets, None]:
            decoder.decode(packet)


def program(command: list[str]) -> Costs:
    def run() -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return timed(resource.RUSAGE_CHILDREN, run)


def augly(python: Path, clip: Path, out: Path, name: str) -> Costs:
    script = Path(__file__).with_name("perturb_rivals.py")
    # AugLy's own directory and file names; a fresh output each time, as it asks.
    out.unlink(missing_ok=True)
    done = subprocess.run(
        [str(python), str(script), str(clip), str(out), name], check=False, capture_output=True, text=True
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        raise RuntimeError(f"AugLy failed at {name}: {done.stderr[-800:]}")
    cost: Costs = json.loads(found[-1].removeprefix("RESULT "))
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
    single = ["-threads", "1", "-filter_threads", "1"]
    command = [ffmpeg, "-y", "-nostdin", "-v", "error", *single, "-i", str(clip)]
    command += ["-vf", ",".join(filters)] if filters else []
    sound = [text for step in steps for text in step.audio]
    command += ["-af", ",".join(quoted(text) for text in sound)] if sound else []
    command += [text for key, value in options.items() for text in (f"-{key}", value)]
    command += ["-c:v", "libx264"]
    coder = ["-aac_coder", AAC_OPTIONS["aac_coder"]]
    command += (
        ["-c:a", "aac", *coder, "-b:a", "128k", "-ar", "48000", "-ac", "2"]
        if plan.expected.has_audio
        else ["-an"]
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


def numpy_rgb(clip: Path, info: VideoInfo, operation: Callable[[Any, int], Any], out: Path) -> Costs:
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


if __name__ == "__main__":
    main()
