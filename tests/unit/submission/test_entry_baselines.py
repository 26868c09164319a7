"""The baselines of examples/, and the card: every figure in it comes from a recorded result."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import ablate, baselines, card, containers
from training.clips import Clip
from training.worth import Seen

from harness.videos.prepare_one import RENDERER

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


def test_rows_that_a_stopped_call_scored_are_not_scored_again(tmp_path: Path) -> None:
    names = ["submission", "constant"]
    ablate.keep({name: {"public": {"verdict": name}} for name in names}, tmp_path / baselines.PARTIAL)
    rows = dict.fromkeys(reversed(names), tmp_path / "no package")
    table = baselines.score_all(rows, tmp_path / "no challenge.toml", tmp_path)
    assert list(table) == ["constant", "submission"]
    assert table["constant"]["public"]["verdict"] == "constant"


def test_the_card_says_which_renderer_the_sample_was_perturbed_by(tmp_path: Path) -> None:
    known = card.read("sample")["rows"]
    baselines.record(known, tmp_path / "sample.json")
    drawn = card.sample(json.loads((tmp_path / "sample.json").read_text()))
    assert drawn.endswith(f"renderer {RENDERER}.")
    assert drawn.count("\n| ") == len(known)


def test_what_stands_beside_the_entry_is_laid_out_with_its_members(tmp_path: Path) -> None:
    rows = baselines.packages(tmp_path)
    assert [*rows][:2] == ["constant", "metadata"]
    assert [*rows][-1] == "submission"
    for name, package in rows.items():
        assert (package / "submission.toml").is_file(), name
    held = {p.stem for p in (rows["all members"] / "weights").glob("*.safetensors")}
    assert held == set(baselines.MEMBERS)


def test_containers_are_judged_by_a_fit_to_other_clips_and_a_constant_costs_ln_2() -> None:
    def numbers(video: Path) -> list[float]:
        return [float(video.stem), 1.0]

    def clip(number: int, label: int) -> Clip:
        return Clip(
            video=Path(f"{number}.mp4"), label=label, method="", identity="", repository="", recording="",
            licence="",
        )  # fmt: skip

    told = containers.answers(
        [clip(number, number % 2) for number in range(40)] + [clip(100 + n, 1) for n in range(20)],
        {"small": Path("3.mp4"), "large": Path("110.mp4")},
        numbers,
    )
    assert told["small"] < 0.5 < told["large"]
    seen = Seen(
        sets=np.full(8, "control"),
        kinds=np.full(8, "generated"),
        folds=np.arange(8) // 4,
        labels=np.array([0.0, 1.0] * 4, np.float64),
        identities=np.arange(8).astype(str),
        generators=np.where(np.arange(8) % 2, "some", ""),
    )
    rows = containers.rows_of({"control": np.full(8, 0.5)}, {"control": seen})
    assert rows["mean_log_loss"] == pytest.approx([np.log(2)] * 3)
    assert rows["less_than"]["constant 0.5"] == (0, 0, 0)


def test_every_source_has_a_licence_and_the_counts_add_up() -> None:
    found = card.read("sources")
    assert sum(one["real"] + one["generated"] for one in found["sources"]) == found["clips"]
    assert all(one["licence"] for one in found["sources"])
