"""The baselines of examples/, and the card: every figure in it comes from a recorded result."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from training import card

ROOT = Path(__file__).parents[3]
SAMPLE = next((ROOT / "sample_videos" / "public").glob("*.mp4"))


def _predictor(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = ROOT / "examples" / name
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location(f"{name}_predictor", folder / "predictor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("container", None)
    return module.Predictor(folder)


def test_the_constant_says_a_half(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _predictor("constant", monkeypatch).predict(SAMPLE) == 0.5


def test_the_classifier_of_containers_looks_at_no_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    predictor = _predictor("metadata", monkeypatch)
    answer = predictor.predict(SAMPLE)
    assert 0.02 <= answer <= 0.98
    assert answer != 0.5
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 100)
    assert predictor.predict(broken) == 0.5


def test_the_card_is_what_the_script_makes_of_the_recorded_results() -> None:
    assert card.CARD.read_text() == card.card()


def test_a_missing_result_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(card, "RESULTS", tmp_path)
    text = card.card()
    assert text.count("*Not measured") == len(card.TABLES)
    assert "{" not in text.replace("{sources}", "")


def test_every_source_has_a_licence_and_the_counts_add_up() -> None:
    found = card.read("sources")
    assert sum(one["real"] + one["generated"] for one in found["sources"]) == found["clips"]
    assert all(one["licence"] for one in found["sources"])
