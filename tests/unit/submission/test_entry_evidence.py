"""The sum of evidence: what is found counts, and what is not found is no proof of the contrary."""

from pathlib import Path

import pytest
from detector import evidence
from detector.evidence import Evidence
from hypothesis import given
from hypothesis import strategies as st

SUM = Evidence(offset=-1.0, weights={"generated": 2.0, "swapped": 0.5})
ODDS = st.floats(-30, 30)


@given(ODDS, ODDS, st.floats(0, 5))
def test_more_evidence_never_lowers_the_answer(one: float, other: float, more: float) -> None:
    before = SUM.log_odds({"generated": one, "swapped": other})
    assert SUM.log_odds({"generated": one + more, "swapped": other}) >= before
    assert SUM.log_odds({"generated": one, "swapped": other + more}) >= before


@given(ODDS)
def test_a_member_that_is_sure_of_nothing_does_not_silence_another(found: float) -> None:
    alone = SUM.log_odds({"generated": found})
    assert SUM.log_odds({"generated": found, "swapped": -30.0}) == pytest.approx(alone, abs=1e-9)


def test_nothing_found_is_the_offset_and_something_found_counts_by_its_weight() -> None:
    assert SUM.log_odds({"generated": -40, "swapped": -40}) == pytest.approx(-1.0)
    assert SUM.log_odds({"generated": 40, "swapped": -40}) == pytest.approx(79.0)


def test_a_kind_without_a_weight_is_an_error() -> None:
    with pytest.raises(KeyError, match="moved"):
        SUM.log_odds({"moved": 1.0})


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    evidence.save(SUM, tmp_path)
    assert evidence.load(tmp_path) == SUM
    with pytest.raises(FileNotFoundError):
        evidence.load(tmp_path / "elsewhere")
