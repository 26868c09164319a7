"""One harness in a process of its own, for tests that kill it or break what it stands on.

Takes a JSON object on its command line. Says `begin` once it is about to work. Exits with 0 after a finished
run, with 3 after one of our own errors, which it prints with its remedy; anything else is a bug.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from silent import Silent

import harness.run.passes
from harness.core.challenge import load_challenge
from harness.core.errors import HarnessError
from harness.core.types import ImageFacts
from harness.gateway.staging import reap_stages
from harness.image.container_engine import connect
from harness.run.evaluate import Evaluation, evaluate
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox, reap


def main() -> int:
    """Run or resume."""
    asked = json.loads(sys.argv[1])
    root = Path(asked["root"])
    tempfile.tempdir = asked["temporary"]
    harness.run.passes.RETRY_AFTER_SECONDS = 0.5  # what is broken here is no better after five seconds
    os.environ["DOCKER_HOST"] = asked["engine"]
    if asked.get("clock_jumps"):
        make_the_wall_clock_jump()

    def backend() -> Backend:
        client = connect()
        reap(client)
        reap_stages()
        image = ImageFacts(label="light", digest=asked["image"], variant="cpu")
        return Backend(sandbox=DockerSandbox(client), image=image, engine="Docker")

    evaluation = Evaluation(
        package=Path(asked["package"]),
        challenge=load_challenge(Path(asked["challenge"])),
        runs=Path(asked.get("runs") or root / "runs"),
        cache=root / "cache",
        isolation="docker",
        order_seed=5,
        workers=1,
    )
    print("begin", flush=True)
    try:
        evaluate(evaluation, backend=backend, observer=Silent())
    except HarnessError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 3
    return 0


def make_the_wall_clock_jump() -> None:
    """From here on the wall clock of this process is hours off, each time it is read by another amount."""
    real, generator = time.time, random.Random(7)
    time.time = lambda: real() + generator.uniform(-36_000, 36_000)


if __name__ == "__main__":
    sys.exit(main())
