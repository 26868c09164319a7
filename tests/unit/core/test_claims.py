"""Claims: who has a core has it until its process ends, and nobody else believes to have it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.claims import ClaimedError, claim_cores, claim_gpus
from harness.core.errors import ConfigError, InfrastructureError

HOLDER = """
import sys
from harness.core.claims import claim_cores
wait = (lambda text: print(text, flush=True)) if sys.argv[2] == "wait" else None
with claim_cores(int(sys.argv[1]), among=range(4), waiting=wait) as cores:
    print(cores.numbers, cores.shared, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CLAIMS", str(tmp_path / "claims"))
    return tmp_path / "claims"


class Harness:
    """A process that claims cores of four, says which, and holds them until it is told to end."""

    def __init__(self, count: int, how: str = "share") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(count), how],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ends(self) -> None:
        self.process.communicate("")


@pytest.fixture
def started() -> Iterator[list[Harness]]:
    made: list[Harness] = []
    yield made
    for one in made:
        one.process.kill()
        one.process.communicate()


def test_two_harnesses_that_start_together_take_different_cores(started: list[Harness]) -> None:
    started += [Harness(2), Harness(2)]
    assert sorted(one.says() for one in started) == ["(0, 1) ()", "(2, 3) ()"]


def test_a_kill_gives_the_cores_back(started: list[Harness]) -> None:
    started.append(Harness(4))
    assert started[0].says() == "(0, 1, 2, 3) ()"
    started[0].process.kill()
    started[0].process.wait()
    with claim_cores(4, among=range(4)) as cores:
        assert cores.shared == ()


def test_who_waits_is_told_for_whom_and_gets_cores_of_its_own(started: list[Harness]) -> None:
    started += [Harness(3)]
    assert started[0].says() == "(0, 1, 2) ()"
    started += [Harness(2, "wait")]
    said = started[1].says()
    assert said.startswith("waiting for 1 of 2 cores")
    assert f"held by process {started[0].process.pid}" in said
    started[0].ends()
    assert started[1].says() == "(0, 3) ()"


def test_who_waits_is_served_although_others_share_all_the_time(started: list[Harness]) -> None:
    with claim_cores(4, among=range(4)):
        started += [Harness(4, "wait")]
        assert "held by process" in started[0].says()
        sharers = ExitStack()
        shared = sharers.enter_context(claim_cores(4, among=range(4)))
        assert shared.shared == (0, 1, 2, 3)
    assert started[0].says() == "(0, 1, 2, 3) (0, 1, 2, 3)"  # it has them, and is told with whom
    sharers.close()


def test_too_few_free_cores_are_shared_evenly_and_it_is_said() -> None:
    with (
        claim_cores(2, among=range(3)) as first,
        claim_cores(2, among=range(3)) as second,
        claim_cores(2, among=range(3)) as third,
    ):
        assert (first.numbers, first.shared, first.cpuset) == ((0, 1), (), "0,1")
        assert (second.numbers, second.shared) == ((0, 2), (0,))
        assert (third.numbers, third.shared) == ((1, 2), (1, 2))


def test_threads_of_one_process_have_cores_of_their_own() -> None:
    taken: list[int] = []
    all_hold = threading.Barrier(4)

    def hold() -> None:
        with claim_cores(1, among=range(4)) as cores:
            taken.extend(cores.numbers)
            all_hold.wait(60)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0, 1, 2, 3]


@given(counts=st.lists(st.integers(0, 4), max_size=6))
def test_no_core_has_two_claims_more_than_another(counts: list[int]) -> None:
    with ExitStack() as held:
        claims = [held.enter_context(claim_cores(count, among=range(4))) for count in counts]
        loads = [sum(core in claim.numbers for claim in claims) for core in range(4)]
        assert max(loads) - min(loads) <= 1
        assert [len(claim.numbers) for claim in claims] == counts
    with claim_cores(4, among=range(4)) as everything:
        assert everything.shared == ()


def test_the_best_cores_are_taken_first() -> None:
    with claim_cores(2, among=(3, 1, 0)) as cores:
        assert cores.numbers == (1, 3)


def test_more_than_there_is_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="5 CPU cores") as caught, claim_cores(5, among=range(4)):
        pass
    assert "limits.cpus" in str(caught.value.remedy)


def test_a_gpu_is_never_shared() -> None:
    with claim_gpus(1, among=["a", "b"]) as first, claim_gpus(1, among=["a", "b"]) as second:
        assert (first, second) == (("a",), ("b",))
        with pytest.raises(ClaimedError, match=r"gpu a is held by process .*; gpu b is"):
            claim_gpus(1, among=["a", "b"]).__enter__()
    with claim_gpus(2, among=["b", "a"]) as both:
        assert both == ("b", "a")


def test_unfit_gpus_are_taken_only_if_nobody_holds_a_fit_one() -> None:
    with claim_gpus(1, among=["a", "b"], fit=lambda uuid: uuid == "b") as first:
        assert first == ("b",)
        with claim_gpus(1, among=["a", "b"], fit=lambda _: False) as second:
            assert second == ("a",)


def test_a_file_that_was_cleared_away_is_not_a_second_claim(claims: Path) -> None:
    with claim_cores(1, among=[0]):
        pass
    (claims / "core-0.0").unlink()
    with claim_cores(1, among=[0]) as cores:
        assert cores.shared == ()
        with claim_cores(1, among=[0]) as other:
            assert other.shared == (0,)


def test_a_folder_that_cannot_be_used_is_named_with_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CLAIMS", str(tmp_path / "file" / "claims"))
    with pytest.raises(InfrastructureError, match="claims") as caught, claim_cores(1, among=[0]):
        pass
    assert "HARNESS_CLAIMS" in str(caught.value.remedy)
