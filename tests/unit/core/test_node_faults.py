"""A node that fails job after job gets none for a while; one that is well, or the only one, always does."""

from __future__ import annotations

from harness.core.engines.node_faults import FIRST_SECONDS, IN_A_ROW, LONGEST_SECONDS, NodeFaults

NODES = ("bad", "good")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_row_of_faults_and_not_one_less_has_a_node_avoided_and_one_success_ends_it() -> None:
    faults = NodeFaults(now=Clock())
    for _ in range(IN_A_ROW - 1):
        faults.note("bad", fault=True)
        faults.note("good", fault=False)
    faults.note("bad", fault=False)
    for _ in range(IN_A_ROW - 1):
        faults.note("bad", fault=True)
        assert faults.avoided(NODES) == frozenset()
    faults.note("bad", fault=True)
    assert faults.avoided(NODES) == {"bad"}
    faults.note("bad", fault=False)  # of a job that it had before
    assert faults.avoided(NODES) == frozenset()


def test_the_only_node_and_all_of_them_are_never_avoided() -> None:
    faults = NodeFaults(now=Clock())
    for node in NODES:
        for _ in range(IN_A_ROW):
            faults.note(node, fault=True)
    assert faults.avoided(NODES) == frozenset()
    assert faults.avoided(("bad",)) == frozenset()
    assert faults.avoided((*NODES, "new")) == set(NODES)


def test_a_node_is_tried_again_ever_later() -> None:
    clock, pauses = Clock(), list[float]()
    faults = NodeFaults(now=clock)
    for _ in range(IN_A_ROW - 1):
        faults.note("bad", fault=True)
    for _ in range(8):
        faults.note("bad", fault=True)
        faults.note("bad", fault=True)  # of another job of the same moment: no longer for it
        began = clock.seconds
        while faults.avoided(NODES):
            clock.seconds += 1.0
        pauses.append(clock.seconds - began)
    assert pauses == [min(LONGEST_SECONDS, FIRST_SECONDS * 2**number) for number in range(8)]
