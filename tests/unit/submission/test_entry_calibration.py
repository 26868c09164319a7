"""Calibration: it recovers what was done to honest logits, and never looks at whom it judges."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training.ablate import PACKAGE, lay_out, markdown, named, variants
from training.calibrate import TRUST, Judged, answers, cross_calibrated, fit, interval, log_loss, slope_of


def _judged(clips: int = 200) -> Judged:
    rng = np.random.default_rng(3)
    labels = np.arange(clips) % 2
    honest = np.where(labels == 1, 1.0, -1.0) + rng.normal(0, 1, clips)
    return Judged(
        logits=(tuple(np.repeat(value, 3) for value in honest),),
        labels=labels.astype(np.float64),
        folds=np.arange(clips) // 2 % 5,
        generators=tuple("some" if label else "" for label in labels),
        identities=tuple(f"person {n // 20}" for n in range(clips)),
        weights=np.ones(clips),
    )


def test_a_slope_undoes_a_known_distortion() -> None:
    # With classes at +-1 and a spread of 1, a clip's true log-odds are twice its value.
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 40_000).astype(np.float64)
    value = np.where(labels == 1, 1.0, -1.0) + rng.normal(0, 1, len(labels))
    assert slope_of(5 * value, labels, np.ones(len(labels))) == pytest.approx(2 / 5, rel=0.05)


def test_logits_that_say_nothing_or_the_contrary_are_not_believed() -> None:
    labels = np.array([0.0, 1.0] * 50)
    assert slope_of(-(2 * labels - 1), labels, np.ones(100)) == pytest.approx(0, abs=1e-6)
    noise = np.random.default_rng(2).normal(0, 1, 4000)
    assert slope_of(noise, np.asarray(np.arange(4000) % 2, np.float64), np.ones(4000)) < 0.1


def test_perfectly_separated_clips_do_not_drive_the_slope_to_infinity() -> None:
    assert slope_of(np.array([-2.0, 2.0]), np.array([0.0, 1.0]), np.ones(2)) <= 4


def test_a_fold_is_calibrated_by_the_others_only() -> None:
    judged = _judged()
    mine = judged.folds == 0
    lied = replace(judged, labels=np.where(mine, 1 - judged.labels, judged.labels))
    one, other = cross_calibrated(judged, [judged]), cross_calibrated(lied, [lied])
    np.testing.assert_array_equal(one[mine], other[mine])
    assert not np.allclose(one[~mine], other[~mine])


def test_two_members_that_say_the_same_are_as_honest_as_one() -> None:
    judged = _judged()
    both = replace(judged, logits=judged.logits * 2)
    rows = [np.ones(len(judged.labels), bool)]
    one, two = answers(judged, fit([judged], rows), "mean"), answers(both, fit([both], rows), "mean")
    np.testing.assert_allclose(one, two, atol=0.02)
    assert fit([judged], rows)[0][0] == pytest.approx(2 * TRUST, rel=0.3)


def test_answers_are_clipped_and_no_face_is_a_half() -> None:
    sure = replace(_judged(3), logits=((np.full(3, 50.0), np.full(3, -50.0), np.empty(0)),))
    assert answers(sure, [(1.0, 0.0)], "mean").tolist() == [0.98, 0.02, 0.5]


def test_an_interval_holds_its_figure_and_widens_when_few_people_carry_it() -> None:
    judged = _judged()
    p = answers(judged, [(1.0, 0.0)], "mean")
    value, low, high = interval(log_loss, p, judged.labels, judged.identities)
    assert low <= value <= high
    alike = tuple(f"person {n // 100}" for n in range(len(p)))
    few = interval(log_loss, np.where(np.arange(len(p)) < 100, p, 0.5), judged.labels, alike)
    assert few[2] - few[1] > high - low


def _rows(members: list[str], also: dict[str, Path] | None = None) -> dict[str, list[str]]:
    return {name: [file.stem for file in files] for name, files in variants(members, also or {})}


def test_rows_of_the_table() -> None:
    assert _rows(["a"]) == {"a alone": ["a"]}
    assert _rows(["a", "b"]) == {"a alone": ["a"], "b alone": ["b"], "ensemble": ["a", "b"]}
    three = _rows(["a", "b", "c"], {"bare": Path("x/d.safetensors")})
    assert three["without b"] == ["a", "c"]
    assert three["ensemble"] == ["a", "b", "c"]
    assert three["bare"] == ["d"]


def test_further_weights_are_named_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "a=b.safetensors"
    file.touch()
    with pytest.raises(ValueError, match="NAME=PATH"):
        named(str(tmp_path / "c.safetensors"))
    with pytest.raises(ValueError, match="NAME=PATH"):
        named(f"bare={tmp_path / 'none.safetensors'}")
    plain = tmp_path / "d.safetensors"
    plain.touch()
    assert named(f"no, really none={plain}") == ("no, really none", plain)


def test_the_table_shows_values_and_intervals_of_every_set() -> None:
    loss = {"value": 0.61234, "interval": {"low": 0.5, "high": 0.7}}
    one = {"verdict": "OK", "videos": 8, "log_loss": loss, "roc_auc": {"value": 0.75, "interval": None}}
    text = markdown({"plain alone": {"public": one, "private": one}})
    header, rule, row = text.splitlines()
    assert header == "| members | public: log loss | AUC | private: log loss | AUC |"
    assert rule.count("|") == header.count("|") == row.count("|")
    assert row.startswith("| plain alone | 0.612 (0.50-0.70) | 0.75 |")


def test_a_variant_holds_the_members_named_and_no_others(tmp_path: Path) -> None:
    package = lay_out([PACKAGE / "weights" / "plain.safetensors"], tmp_path)
    assert [f.name for f in (package / "weights").glob("*.safetensors")] == ["plain.safetensors"]
    assert (package / "weights" / "face_detection_yunet_2023mar.onnx").is_file()
    assert (package / "submission.toml").is_file()
    assert not (package / "training").exists()
