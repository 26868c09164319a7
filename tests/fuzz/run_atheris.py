"""Fuzz one target with libFuzzer for a while, by hand: millions of inputs, guided by coverage.

    pip install atheris      # into an environment of its own, beside the harness
    python tests/fuzz/run_atheris.py archive --seconds 600

Starts from the committed corpus and never writes to it: new inputs go to `--work`; a next call goes on there.
An input that is a fault is written to `--work` too, as `crash-*`; make it small, put it into the corpus as
`found-*`, and the ordinary tests will hold its repair.

Needs the package `atheris`, which the harness does not depend on.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["harness", "tomllib", "csv"]):
    sys.path.insert(0, str(Path(__file__).parent))
    from targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUT_BYTES_MAX = 16_384
SHORTER = {"stream": 1024}  # fed byte by byte: long inputs cost time and show nothing new
INPUT_SECONDS_MAX = 10
MEMORY_MEGABYTES_MAX = 2048


def dictionary(target: str) -> list[str]:
    """Return the words of a target's corpus as libFuzzer wants them; it would have to guess them else."""
    found = {
        word
        for path in (CORPUS / target).iterdir()
        for word in re.findall(rb"[A-Za-z_]{3,24}|PK..", path.read_bytes(), re.DOTALL)
    }
    return ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in sorted(found)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--work", type=Path, help="where new inputs are kept; default: a temporary folder")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix=f"fuzz-{given.target}-"))
    work.mkdir(parents=True, exist_ok=True)
    words = work.with_suffix(".dictionary")
    words.write_text("\n".join(dictionary(given.target)), encoding="ascii")
    options = [
        sys.argv[0],
        f"-max_total_time={given.seconds}",
        f"-max_len={SHORTER.get(given.target, INPUT_BYTES_MAX)}",
        f"-timeout={INPUT_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MEGABYTES_MAX}",
        f"-artifact_prefix={work}/",
        f"-dict={words}",
        "-print_final_stats=1",
        str(work),  # the first folder is written to
        str(CORPUS / given.target),
    ]
    atheris.Setup(options, TARGETS[given.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
