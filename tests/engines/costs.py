"""What an engine costs: from a start to a package that is ready, and from a request to its answer.

    DOCKER_HOST=unix:///… python -m tests.engines.costs [IMAGE]

Prints JSON: medians over a few starts, and over all answers of a predictor that returns at once.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

import docker

from harness.core.types import Limits, Mount, SandboxSpec
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.protocol import Answer, Ready, decode_reply, encode_predict

STARTS, ANSWERS, PATIENCE_SECONDS = 5, 100, 120.0
LIMITS = Limits(
    cpus=1.0, memory_bytes=256_000_000, pids=64, tmp_bytes=16_000_000, shm_bytes=16_000_000, gpus=0
)
PACKAGE = """
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        return 0.5
"""


def measure(client: docker.DockerClient, image: str) -> dict[str, float]:
    """Start a package a few times, and ask each for answers."""
    ready, answered, ended = [], [], []
    with tempfile.TemporaryDirectory(prefix="engine-costs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part, text in (("package/submission.toml", MANIFEST), ("package/predictor.py", PACKAGE)):
            (folder / part).parent.mkdir(exist_ok=True)
            (folder / part).write_text(text)
        (folder / "videos").mkdir()
        (folder / "videos" / "one.mp4").write_bytes(b"x")
        spec = SandboxSpec(
            run_id="engine-costs",
            image=image,
            package=Mount(source=folder / "package", target="/package"),
            videos=Mount(source=folder / "videos", target="/videos"),
            limits=LIMITS,
        )
        sandbox = DockerSandbox(client)
        for _ in range(STARTS):
            began = time.monotonic()
            with sandbox.start(spec) as process:
                assert isinstance(decode_reply(process.receive(PATIENCE_SECONDS)), Ready)
                ready.append(time.monotonic() - began)
                for _ in range(ANSWERS):
                    asked = time.monotonic()
                    process.send(encode_predict(request_id=secrets.token_hex(8), video="one.mp4"))
                    assert isinstance(decode_reply(process.receive(PATIENCE_SECONDS)), Answer)
                    answered.append(time.monotonic() - asked)
                leaves = time.monotonic()
            ended.append(time.monotonic() - leaves)
    return {
        "start_to_ready_seconds": round(statistics.median(ready), 2),
        "request_to_answer_milliseconds": round(statistics.median(answered) * 1000, 2),
        "removal_seconds": round(statistics.median(ended), 2),
        "load": os.getloadavg()[0],
    }


MANIFEST = 'name = "costs"\nentry = "predictor:Predictor"\n'


def light_image(client: docker.DockerClient) -> str:
    """Return the id of the tests' own light image, which the suites have built."""
    found = [one for one in client.images.list() if any("/test:" in tag for tag in one.tags)]
    if not found:
        raise SystemExit("no image of the tests: run the contract suite on this engine first")
    return str(found[0].id)


def main() -> None:
    client = docker.from_env(timeout=300)
    image = sys.argv[1] if len(sys.argv) > 1 else light_image(client)
    sys.stdout.write(json.dumps(measure(client, image)) + "\n")


if __name__ == "__main__":
    main()
