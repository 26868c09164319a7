"""`make test-engines`: the contract and the hostile suite on other engines than Docker with runc.

    python -m tests.engines [podman] [podman-rootless] [gvisor] [docker] [--contract] [--part 2/5] [--costs]

Each engine is started here, with storage and a socket of its own, and ended afterwards; the machine's own
Docker is left alone, and tried only if it is named: `make test` does so already. Prints a line for each
engine and suite, what a start and an answer cost there, and the table of SECURITY.md. What
cannot be started says why, and fails.

What differs is stated in `tests/engines/differences.py` and must be exactly so: anything else that fails is
red, and so is a difference that has vanished. A rootless engine on control groups of version 1 can hold a
package to no limit: there the one right thing is that the harness refuses it, and that is what is tried. On
version 2 it needs systemd, whose user session it makes its groups in; its suites run as its own user.
`--part 2/5` tries the second fifth of the hostile suite and nothing else, `--part zombies` one behaviour;
`--costs` measures, the machine's own too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import docker

from harness.core.errors import SandboxError
from harness.diagnose.selfcheck.behaviour import core_behaviours, load_behaviours
from harness.sandbox.docker.engine_facts import facts_of
from tests.engines.costs import light_image, measure
from tests.engines.differences import TITLES, expected_of, protections_table, surprises
from tests.engines.start import AS_USER, ENGINES, ROOTLESS, rootless_user

SUITES = {
    "contract": ["tests/contract/test_sandbox.py", "-k", "docker"],
    "hostile": ["tests/integration/test_hostile.py", "-k", "comes_to_what"],
}
PACKAGES = Path(__file__).parents[1] / "packages"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
BROKEN = "broken"  # the property in which the hostile suite says which checks did not hold
OWN = "docker"  # the machine's own engine
UNTOLD = frozenset({"an error that is none of the checks"})

Found = dict[str, frozenset[str]]


def bring_images(url: str) -> None:
    """Give the engine the images that the tests need, which the machine's own engine has."""
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    parts = ("blackbox-video-harness/base", "blackbox-video-harness/test")
    wanted = [name for name in listed if name.startswith(parts)]
    with subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE) as save:
        subprocess.run(["docker", "-H", url, "load"], stdin=save.stdout, capture_output=True, check=True)


def refuses(client: docker.DockerClient, why: str) -> str:
    """Say that the harness refuses an engine without limits.

    Raises:
        RuntimeError: it does not.
    """
    try:
        measure(client, "none")
    except SandboxError as error:
        if why in error.message:
            return f"refused, as it must be: {error.message}"
        raise
    raise RuntimeError("an engine that can hold a package to no limit was used")


def chosen_tests(suite: str, part: str) -> list[str]:
    """Name the tests of a suite: all, one part of so many, or those of one behaviour."""
    words = SUITES[suite]
    if not part:
        return words
    listed = subprocess.run([*PYTEST, "--collect-only", *words], capture_output=True, text=True, check=True)
    tests = [line for line in listed.stdout.splitlines() if "::" in line]
    if "/" not in part:
        return [test for test in tests if test.endswith(f"[{part}]")]
    number, parts = (int(word) for word in part.split("/"))
    return tests[number - 1 :: parts]


def run_suite(name: str, url: str | None, suite: str, part: str) -> tuple[str, Found, dict[str, str]]:
    """Run one suite on an engine.

    Args:
        name: The engine's.
        url: Where it listens; None: the machine's own.
        suite: Which.
        part: N/OF, a behaviour's name, or empty for all of it.

    Returns:
        Its last line; the checks that each test broke; and what those that failed said.
    """
    with tempfile.TemporaryDirectory(prefix="engine-suite-") as folder:
        outcomes = Path(folder) / "outcomes.xml"
        command = [*PYTEST, "-o", "junit_family=xunit1", f"--junitxml={outcomes}", *chosen_tests(suite, part)]
        environment = os.environ | ({"DOCKER_HOST": url} if url else {})
        if name == ROOTLESS:  # it can mount only what its user can read, as a harness of that user's
            command = [*AS_USER, *command]
            home = rootless_user().pw_dir
            os.chown(folder, rootless_user().pw_uid, -1)
            environment |= {"HOME": home, "HYPOTHESIS_STORAGE_DIRECTORY": f"{home}/hypothesis"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not outcomes.is_file():
            raise RuntimeError(f"the {suite} suite did not run: {(done.stdout + done.stderr)[-600:]}")
        found, said = read_outcomes(outcomes)
    return done.stdout.strip().splitlines()[-1], found, said


def read_outcomes(path: Path) -> tuple[Found, dict[str, str]]:
    """Read which checks each test broke, and what the failed ones said, from JUnit's XML."""
    found: Found = {}
    said: dict[str, str] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        title = case.get("name", "")
        inner = re.fullmatch(r"test_it_comes_to[^\[]*\[(.+)\]", title)
        name = inner[1] if inner else title
        told = [one.get("value", "") for one in case.iter("property") if one.get("name") == BROKEN]
        failures = [*case.iter("failure"), *case.iter("error")]
        broken = frozenset(filter(None, told[0].split(", "))) if told else frozenset[str]()
        found[name] = (broken or UNTOLD) if failures else frozenset()
        if failures:
            said[name] = failures[0].get("message", "").removeprefix("AssertionError: ")[:600]
    return found, said


def try_on(name: str, url: str | None, suites: Iterable[str], part: str) -> tuple[bool, Found]:
    """Run the suites on an engine; tells whether all is as stated, and what each behaviour broke."""
    client = docker.DockerClient(base_url=url, timeout=300) if url else docker.from_env(timeout=300)
    why = facts_of(client.version(), client.info()).no_limits
    if why:
        print(f"{name}: {refuses(client, why)}", flush=True)
        return True, {}
    if url:
        bring_images(url)
    well, hostile = True, Found()
    for suite in suites:
        last, found, said = run_suite(name, url, suite, part)
        wrong = list(surprises(name, found))
        print(f"{name}, {suite}{f', part {part}' if part else ''}: {last}")
        for line in wrong:
            print(f"  RED {line}\n      {said.get(line.partition(':')[0], '')}")
        known = sum(bool(one) and one == expected_of(name, test) for test, one in found.items())
        print(f"  {len(found)} tried, {known} differ as stated, {len(wrong)} otherwise", flush=True)
        well = well and not wrong and bool(found)
        hostile |= found if suite == "hostile" else {}
    print(f"{name}, costs: {json.dumps(measure(client, light_image(client)))}", flush=True)
    return well, hostile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = (*ENGINES, OWN)
    parser.add_argument(
        "engines", nargs="*", metavar="ENGINE", help=f"of {', '.join(names)}; all but {OWN} by default"
    )
    parser.add_argument("--contract", action="store_true", help="not the hostile suite")
    parser.add_argument(
        "--part", default="", metavar="N/OF", help="of the hostile suite, and nothing else; or one behaviour"
    )
    parser.add_argument("--costs", action="store_true", help="no suite")
    asked = parser.parse_args()
    unknown = set(asked.engines) - set(names)
    if unknown:
        parser.error(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    suites = ["contract"] if asked.contract else ["hostile"] if asked.part else list(SUITES)
    if asked.costs:
        suites, own = [], docker.from_env(timeout=300)
        print(f"{OWN}, costs: {json.dumps(measure(own, light_image(own)))}", flush=True)
    failed, table = [], dict[str, Found]()
    for name in asked.engines or list(ENGINES):
        with tempfile.TemporaryDirectory(prefix=f"engine-{name}-", ignore_cleanup_errors=True) as folder:
            try:
                if name == OWN:
                    well, found = try_on(name, None, suites, asked.part)
                else:
                    with ENGINES[name](Path(folder)) as url:
                        well, found = try_on(name, url, suites, asked.part)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{name}: {error}", flush=True)
                well, found = False, {}
        failed += [] if well else [name]
        table |= {name: found} if found and name in TITLES else {}
    if table:
        print(f"\n{protections_table((*core_behaviours(), *load_behaviours(PACKAGES)), table)}\n")
    print(f"RED: {', '.join(failed)}" if failed else "all is as stated")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
