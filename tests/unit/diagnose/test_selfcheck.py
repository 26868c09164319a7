"""The suite's own parts: what `expect.toml` may say, hostile archives, and a judge that misses nothing."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.documents.machine import AttackRow
from harness.core.errors import ConfigError
from harness.core.types import Limits, Outcome, OutcomeKind, Verdict
from harness.core.usage import Usage
from harness.diagnose.selfcheck.archives import Member, MemberKind, write_zip
from harness.diagnose.selfcheck.attack import Observed
from harness.diagnose.selfcheck.behaviour import After, Behaviour, core_behaviours, load_behaviour
from harness.diagnose.selfcheck.judge import evidence, judge
from harness.diagnose.selfcheck.suite import Attacked, table_markdown
from harness.diagnose.selfcheck.traces import Listener, host_addresses, listing, processes_left
from harness.gateway.set_run import SetRun
from harness.package.check import check_package

Eventually = Callable[[Callable[[], object]], bool]
EXPECT = """
attack = "Does something bad"
family = "tests"
stopped_by = "a test"
verdicts = { lenient = "OK", strict = "RUNTIME_ERROR" }
outcomes = ["PREDICTED", "RUNTIME_ERROR"]
probabilities = [0.0]
afterwards = ["no process"]
restarts = 1
"""


def behaviour_of(folder: Path, text: str = EXPECT) -> Behaviour:
    folder.mkdir(exist_ok=True)
    (folder / "expect.toml").write_text(text, encoding="utf-8")
    (folder / "submission.toml").write_text('name = "bad"\nentry = "predictor:Predictor"\n', encoding="utf-8")
    (folder / "predictor.py.txt").write_text("class Predictor: ...\n", encoding="utf-8")
    return load_behaviour(folder)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("restarts = 1", "restart = 1", "restart"),
        ("outcomes = ", "outcomes = [] #", "outcomes"),
        ("probabilities = [0.0]", "probabilities = [0.0, 0.0]", "probabilities"),
        ('"no process"', '"no ghost"', "afterwards"),
        ('"no process"', "", "afterwards"),
        ("restarts = 1", "restarts = 1\n[limits]\nspeed = 3", "speed"),
        ("restarts = 1", 'findings = ["P101"]', "findings"),
        ('strict = "RUNTIME_ERROR"', 'strict = "FINE"', "verdicts"),
        ('strict = "RUNTIME_ERROR"', 'strict = "INVALID_PACKAGE"', "outcomes"),
        ('attack = "Does', 'attack = Does"', "cannot be used"),
    ],
)
def test_a_wrong_expectation_is_refused_by_name(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert old in EXPECT
    with pytest.raises(ConfigError, match=what):
        behaviour_of(tmp_path / "bad", EXPECT.replace(old, new, 1))


def test_a_folder_without_expectations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expect\.toml"):
        load_behaviour(tmp_path)


def test_a_package_is_handed_in_as_python_with_what_the_attacker_knows(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    package = behaviour_of(tmp_path / "bad").hand_in(tmp_path / "out", {"mark": "m"})
    assert sorted(path.name for path in package.iterdir()) == [
        "knowledge.json",
        "predictor.py",
        "submission.toml",
    ]


def test_limits_given_as_whole_numbers_stay_whole(tmp_path: Path) -> None:
    limits = behaviour_of(tmp_path / "bad", EXPECT + "[limits]\npids = 9\n").limits
    assert (limits.pids, type(limits.pids)) == (9, int)


def test_the_core_ships_with_the_harness_and_is_not_compiled() -> None:
    core = core_behaviours()
    assert len(core) >= 20
    assert not [path for one in core for path in one.folder.rglob("*.py")]


RUN = SetRun(
    verdict=Verdict.OK,
    detail="",
    outcomes=(
        Outcome(video_id="a", kind=OutcomeKind.PREDICTED, probability=0.0),
        Outcome(video_id="b", kind=OutcomeKind.RUNTIME_ERROR),
    ),
    isolation="docker",
    billed_seconds=1.0,
    budget_seconds=9.0,
    restarts=1,
    usage=Usage(peak_memory_bytes=1_000_000, cpu_seconds=1.0),
    log_tail="EVIDENCE refused\x1b[2J\n",
)
AS_EXPECTED = Observed(verdicts=(Verdict.OK, Verdict.RUNTIME_ERROR), runs=(RUN,), seconds=2.0)


def test_what_is_as_expected_holds(tmp_path: Path) -> None:
    behaviour = behaviour_of(tmp_path / "bad")
    checks = judge(behaviour, AS_EXPECTED)
    assert all(check.held for check in checks), checks
    said = evidence(behaviour, AS_EXPECTED, checks)
    assert "refused" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("observed", "name"),
    [
        (replace(AS_EXPECTED, verdicts=(Verdict.OK, Verdict.OK)), "verdict"),
        (replace(AS_EXPECTED, verdicts=(Verdict.RUNTIME_ERROR, Verdict.RUNTIME_ERROR)), "verdict"),
        (replace(AS_EXPECTED, runs=(replace(RUN, outcomes=RUN.outcomes[::-1]),)), "outcomes"),
        (
            replace(
                AS_EXPECTED,
                runs=(replace(RUN, outcomes=(replace(RUN.outcomes[0], probability=1.0), RUN.outcomes[1])),),
            ),
            "answers",
        ),
        (replace(AS_EXPECTED, runs=(RUN, replace(RUN, restarts=2))), "restarts"),
        (replace(AS_EXPECTED, containers=("c",)), After.CONTAINER),
        (replace(AS_EXPECTED, processes=(1,)), After.PROCESS),
        (replace(AS_EXPECTED, files=("escaped",)), After.FILE),
        (replace(AS_EXPECTED, layer=("/etc/passwd",)), After.FILE),
        (replace(AS_EXPECTED, packets=1), After.PACKET),
        (replace(AS_EXPECTED, package_changes=("predictor.py",)), After.PACKAGE),
        (replace(AS_EXPECTED, video_changes=("v000.mp4",)), After.VIDEO),
        (replace(AS_EXPECTED, written_bytes=10_000_000), After.GROWTH),
        (replace(AS_EXPECTED, runs=(replace(RUN, usage=Usage(peak_memory_bytes=10**9)),)), After.MEMORY),
        (replace(AS_EXPECTED, runs=(replace(RUN, usage=Usage(cpu_seconds=30.0)),)), After.CPU),
    ],
)
def test_whatever_is_otherwise_is_seen(tmp_path: Path, observed: Observed, name: str) -> None:
    behaviour = behaviour_of(tmp_path / "bad")
    checks = judge(behaviour, observed)
    assert [check.name for check in checks if not check.held] == [name]
    finding = Attacked(
        behaviour=behaviour, seconds=1.0, checks=checks, evidence=evidence(behaviour, observed, checks)
    )
    assert name in finding.evidence
    assert not AttackRow.of(finding).held


def test_words_of_a_private_set_are_seen(tmp_path: Path) -> None:
    behaviour = behaviour_of(tmp_path / "bad", EXPECT + "private = true\n")
    held = {said: judge(behaviour, replace(AS_EXPECTED, said=said))[-1].held for said in (False, True)}
    assert held == {False: True, True: False}


def test_a_refused_package_that_was_started_is_seen(tmp_path: Path) -> None:
    text = EXPECT.replace("RUNTIME_ERROR", "INVALID_PACKAGE", 1).replace(
        'lenient = "OK"', 'lenient = "INVALID_PACKAGE"'
    )
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("outcomes", "prob")))
    behaviour = behaviour_of(tmp_path / "bad", text + '\nfindings = ["P106"]\n')
    refused = (Verdict.INVALID_PACKAGE, Verdict.INVALID_PACKAGE)
    fine = Observed(verdicts=refused, findings=("P106",))
    assert all(check.held for check in judge(behaviour, fine))
    for wrong in (replace(fine, findings=("P107",)), replace(fine, containers_started=1)):
        assert not all(check.held for check in judge(behaviour, wrong))


def test_the_table_escapes_what_would_break_it(tmp_path: Path) -> None:
    behaviour = behaviour_of(tmp_path / "bad", EXPECT.replace("something bad", "a | b, badly"))
    assert "Does a \\| b, badly" in table_markdown([behaviour])


def test_a_listener_hears_what_reaches_the_host(eventually: Eventually) -> None:
    with Listener(f"test-{os.getpid()}") as listener:
        socket.create_connection((host_addresses()[0], listener.port), 60).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"x", ("127.0.0.1", listener.port))
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(f"\0{listener.abstract_name}")
        assert eventually(lambda: listener.heard >= 3)
    assert listener.heard == 3


def test_a_process_is_found_by_its_mark_and_a_dead_one_is_not(eventually: Eventually) -> None:
    mark = f"mark-of-test-{os.getpid()}"
    process = subprocess.Popen([sys.executable, "-c", "input()", mark], stdin=subprocess.PIPE)
    try:
        # A child has begun its program a moment before the kernel shows the new command line.
        assert eventually(lambda: processes_left([mark], wait_seconds=0.0) == (process.pid,))
    finally:
        process.kill()
        process.communicate()
    assert processes_left([mark]) == ()


def test_a_listing_shows_every_change(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = listing(tmp_path)
    (tmp_path / "a").write_text("y")
    content = listing(tmp_path)
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0o600)
    mode = listing(tmp_path)
    assert len({str(one) for one in (before, content, mode)}) == 3


def test_a_zip_without_hostile_members_is_one_that_others_read(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.txt").write_text("hello")
    write_zip(tmp_path / "x.zip", package, [Member(path="zeros", size=5)], {})
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.txt": b"hello",
            "zeros": bytes(5),
        }


def test_the_hostile_pickle_really_acts_when_it_is_opened(tmp_path: Path) -> None:
    target = tmp_path / "escaped"
    package = tmp_path / "package"
    package.mkdir()
    member = Member(kind=MemberKind.PICKLE, path="w.pkl", text="touch {escape}")
    write_zip(tmp_path / "x.zip", package, [Member(path="a")], {})
    from harness.diagnose.selfcheck.archives import write_links

    write_links(package, [member], {"escape": str(target)})
    assert not target.exists()
    pickle.loads((package / "w.pkl").read_bytes())
    assert target.exists()


def test_a_file_of_a_terabyte_is_not_read_by_the_check(tmp_path: Path) -> None:
    behaviour_of(tmp_path / "bad")
    (tmp_path / "bad" / "predictor.py.txt").rename(tmp_path / "bad" / "predictor.py")
    with (tmp_path / "bad" / "weights.bin").open("wb") as stream:
        stream.truncate(1 << 40)
    report = check_package(tmp_path / "bad", limits=Limits())
    assert "P112" in {finding.code for finding in report.findings}
