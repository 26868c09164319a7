"""What the steps pass to each other: frozen, keyword-only values that pickle and print to JSON.

Probability always means P(fake), a float in [0, 1]. Units are in the names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.core.usage import Usage


class SetName(StrEnum):
    """The video sets a challenge may have.

    `CONTROL` holds the same sources as `PRIVATE`, re-encoded and otherwise untouched, so that the difference
    between the two is the perturbation and nothing else. It is optional.
    """

    CONTROL = "control"
    PUBLIC = "public"
    PRIVATE = "private"


class FailureRule(StrEnum):
    """What a failed video does to the score."""

    LENIENT = "lenient"  # it scores the published constant and is counted
    STRICT = "strict"  # any failure spoils the run


class Mode(StrEnum):
    """How a package is fed."""

    STREAM = "stream"
    BATCH = "batch"


class Verdict(StrEnum):
    """What happened to the run of one video set, in order of priority: the first that applies is given."""

    HARNESS_ERROR = "HARNESS_ERROR"
    INVALID_PACKAGE = "INVALID_PACKAGE"
    STARTUP_TIMEOUT = "STARTUP_TIMEOUT"
    TIME_LIMIT = "TIME_LIMIT"
    MEMORY_LIMIT = "MEMORY_LIMIT"
    GPU_MEMORY_LIMIT = "GPU_MEMORY_LIMIT"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    RUNTIME_ERROR = "RUNTIME_ERROR"
    INVALID_PREDICTION = "INVALID_PREDICTION"
    OK = "OK"


VERDICT_PRIORITY: Mapping[Verdict, int] = {verdict: rank for rank, verdict in enumerate(Verdict)}


class OutcomeKind(StrEnum):
    """What happened to one video."""

    PREDICTED = "PREDICTED"
    VIDEO_TIMEOUT = "VIDEO_TIMEOUT"
    MEMORY_LIMIT = "MEMORY_LIMIT"
    GPU_MEMORY_LIMIT = "GPU_MEMORY_LIMIT"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    RUNTIME_ERROR = "RUNTIME_ERROR"
    INVALID_PREDICTION = "INVALID_PREDICTION"
    NOT_REACHED = "NOT_REACHED"  # the run was over before its turn


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened to one video. One line of `outcomes.jsonl`."""

    video_id: str
    kind: OutcomeKind
    probability: float | None = None  # P(fake); None exactly when kind is not PREDICTED
    wall_seconds: float = 0.0  # request written to answer read, on the host's monotonic clock
    cpu_seconds: float | None = None  # of the whole container, if the engine says
    attempt: int = 1  # which container of this set served it
    message: str = ""  # from the package: public sets only, capped, never parsed


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Every limit a run is held to. The one place: it feeds challenge.toml, the banner and the README.

    The defaults follow the DeepFake Detection Challenge of 2019-2020 where it had a rule (9 hours on one GPU
    for 4,000 videos are 8.1 s per video; 1 GB of external data).
    """

    startup_seconds: float = field(default=300.0, metadata={"help": "from container start to ready"})
    video_seconds: float = field(default=60.0, metadata={"help": "hard limit for one video"})
    mean_video_seconds: float = field(
        default=8.1, metadata={"help": "times the number of videos: the budget of a set"}
    )
    cpus: float = field(default=2.0, metadata={"help": "CPU cores"})
    memory_bytes: int = field(
        default=13_000_000_000, metadata={"help": "memory, /tmp and /dev/shm included; no swap"}
    )
    pids: int = field(default=512, metadata={"help": "processes and threads"})
    package_bytes: int = field(default=1_000_000_000, metadata={"help": "unpacked size of the package"})
    package_files: int = field(default=10_000, metadata={"help": "files and folders in the package"})
    tmp_bytes: int = field(default=2_000_000_000, metadata={"help": "temporary disk (/tmp, in memory)"})
    tmp_inodes: int = field(default=100_000, metadata={"help": "files on the temporary disk"})
    shm_bytes: int = field(default=1_000_000_000, metadata={"help": "shared memory (/dev/shm)"})
    file_bytes: int = field(default=2_000_000_000, metadata={"help": "size of any one file it writes"})
    open_files: int = field(default=4096, metadata={"help": "open files per process"})
    log_bytes: int = field(default=10_000_000, metadata={"help": "standard output and error of a set's run"})
    restarts: int = field(
        default=10,
        metadata={"help": "containers replaced after a crash or a kill, at least; 0 for none"},
    )
    restart_share: float = field(
        default=0.02,
        metadata={"help": "share of the videos: as many containers are replaced, if that is more"},
    )
    gpus: int = field(default=1, metadata={"help": "GPUs, if the host has any"})
    gpu_memory_bytes: int = field(default=16_000_000_000, metadata={"help": "GPU memory"})

    def restarts_for(self, videos: int) -> int:
        """Return how many containers are replaced in the run of a set of this many videos.

        A share, because what damages a container may be the videos: 27 damaged files of 4,000 end no run.
        With `restarts = 0` none is replaced.
        """
        return self.restarts and max(self.restarts, math.ceil(self.restart_share * videos))


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a challenge holds the run of one set to."""

    limits: Limits = Limits()
    failure_rule: FailureRule = FailureRule.LENIENT
    max_failed_share: float = 0.1  # of a set's videos, under the lenient rule
    kaggle_slug: str = "deepfake-detection-challenge"  # the contest's folder in the kaggle layout


def too_many_failed(*, failed: int, videos: int, max_failed_share: float) -> bool:
    """Tell whether a set has no answer at all, or more failures than a lenient challenge allows.

    A video that was not reached has failed, too.
    """
    return videos > 0 and (failed == videos or failed > max_failed_share * videos + 1e-9)


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """The image in which it was run."""

    label: Annotated[str, Field(description="name and tag; empty if there was no image")]
    digest: str
    variant: Annotated[str, Field(description="cpu or cuda")]


NO_IMAGE = ImageFacts(label="", digest="", variant="")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One read-only bind mount."""

    source: Path  # on the host: a neutral place, never where hidden videos live
    target: str  # in the container, absolute


@dataclass(frozen=True, kw_only=True)
class SandboxSpec:
    """Everything a sandbox needs to start one package. It carries nothing that the package may not learn."""

    run_id: str
    image: str  # by digest
    package: Mount
    videos: Mount
    limits: Limits
    mode: Mode = Mode.STREAM
    extra_mounts: tuple[Mount, ...] = ()
    writable: tuple[str, ...] = ()  # further tmpfs folders (the kaggle layout's working directory)
    working_directory: str = "/tmp"  # noqa: S108  (in the container: a fresh tmpfs)
    gpu_uuids: tuple[str, ...] = ()
    runtime: str | None = None  # e.g. "runsc"
    standby: tuple[str, ...] | None = None  # wait, with these imported, for the package; see `run.standby`


@dataclass(frozen=True, kw_only=True)
class ResourceSample:
    """One reading of a sandbox from outside."""

    seconds: float  # since start, host's monotonic clock
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    gpu_memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class SandboxFacts:
    """What is known of a sandbox process from outside, at any moment and after its end."""

    running: bool
    exit_code: int | None = None
    oom_killed: bool = False
    log_limit_exceeded: bool = False
    gpu_limit_exceeded: bool = False
    usage: Usage = Usage()
    log_bytes: int = 0  # seen, not kept
    log_tail: str = ""  # capped, control characters replaced
    samples: tuple[ResourceSample, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AppliedPerturbation:
    """One perturbation of a video, as the manifest records it. Severity 0 is the re-encoded control."""

    name: str
    severity: int


@dataclass(frozen=True, kw_only=True)
class PreparedVideo:
    """One video of a prepared set: what is staged, and what was done to it."""

    video_id: str  # the file name in the prepared set; says nothing about its source
    path: Path
    source_id: str  # the file name in the organiser's source folder
    sha256: str
    perturbations: tuple[AppliedPerturbation, ...] = ()
