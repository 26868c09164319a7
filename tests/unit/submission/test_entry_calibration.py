"""Calibration: it recovers what was done to honest logits, and never looks at whom it judges."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import training  # noqa: F401  (lets timm be imported beside a CPU build of torch)
from detector import evidence, models
from predictor import Predictor
from training.ablate import RECORDED, lay_out, markdown, variants
from training.calibrate import (
    SHARES,
    Judged,
    answers,
    balanced,
    cross_calibrated,
    fit,
    interval,
    log_loss,
    read_judged,
    share_of,
    within_folds,
)
from training.judge import FORGED
from training.members import SHIPPED
from training.places import PACKAGE

EVERY = np.ones(200, bool)
SAMPLE = next((PACKAGE.parent / "sample_videos" / "public").glob("*.mp4"))


def _judged(clips: int = 200, *, spread: float = 1.0, finds: tuple[str, ...] = ("generated",)) -> Judged:
    rng = np.random.default_rng(3)
    labels = np.arange(clips) % 2
    honest = (np.where(labels == 1, 1.0, -1.0) + rng.normal(0, 1, clips)) * spread
    return Judged(
        finds=finds,
        logits=(tuple(np.repeat(value, 3) for value in honest),) * len(finds),
        labels=labels.astype(np.float64),
        folds=np.arange(clips) // 2 % 5,
        generators=tuple("some" if label else "" for label in labels),
        identities=tuple(f"person {n // 20}" for n in range(clips)),
        weights=np.ones(clips),
    )


def test_a_fit_undoes_a_distortion() -> None:
    plain, stretched = _judged(), _judged(spread=7.0)
    p = answers(plain, fit([plain], [EVERY]))
    np.testing.assert_allclose(answers(stretched, fit([stretched], [EVERY])), p, atol=1e-3)
    assert log_loss(p, plain.labels) < 0.55


def test_a_member_that_says_nothing_or_the_contrary_has_no_weight() -> None:
    judged = _judged()
    contrary = replace(judged, logits=(tuple(-row for row in judged.logits[0]),))
    found = fit([contrary], [EVERY]).evidence
    assert found.weights["generated"] == pytest.approx(0, abs=1e-6)
    assert found.offset == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(answers(contrary, fit([contrary], [EVERY])), 0.5, atol=0.01)


def test_a_fold_is_calibrated_by_the_others_only() -> None:
    judged = _judged()
    mine = judged.folds == 0
    lied = replace(judged, labels=np.where(mine, 1 - judged.labels, judged.labels))
    one, other = cross_calibrated(judged, [judged]), cross_calibrated(lied, [lied])
    np.testing.assert_array_equal(one[mine], other[mine])
    assert not np.allclose(one[~mine], other[~mine])


def test_two_members_that_say_the_same_are_as_honest_as_one() -> None:
    judged, both = _judged(), _judged(finds=("generated", "generated"))
    one, two = answers(judged, fit([judged], [EVERY])), answers(both, fit([both], [EVERY]))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_answers_are_clipped_and_no_face_is_a_half() -> None:
    judged = _judged()
    calibration = fit([judged], [EVERY])
    sure = replace(_judged(3), logits=((np.full(3, 50.0), np.full(3, -50.0), np.empty(0)),))
    high, low, none = answers(sure, calibration)
    assert high == 0.98
    nothing_found = 1 / (1 + np.exp(-calibration.evidence.offset))
    assert low == pytest.approx(max(0.02, nothing_found), abs=1e-3)
    assert none == 0.5


def test_half_of_the_weight_is_the_real_clips_and_the_fakes_are_dealt_out_by_shares() -> None:
    kinds = np.array(["", "", "generated", "generated", "swap", "forged"])
    weights = balanced(np.array([1.0, 3.0, 1.0, 1.0, 5.0, 9.0]), kinds)
    assert weights[:2].tolist() == pytest.approx([0.125, 0.375])
    for name, share in SHARES.items():
        assert weights[kinds == name].sum() == pytest.approx(share / 2)
    without = balanced(np.ones(3), np.array(["", "generated", "forged"]))
    assert without[1] / without[2] == pytest.approx(SHARES["generated"] / SHARES["forged"])
    assert (share_of("Some face swap"), share_of(FORGED), share_of("AniTalker")) == (
        "swap",
        "forged",
        "generated",
    )


def test_a_report_of_members_is_read_with_what_they_find() -> None:
    report = {
        "clips": {
            "a": {"label": 1, "fold": 2, "generator": "G", "identity": "p"},
            "b": {"label": 0, "fold": 2, "generator": "", "identity": "q"},
        },
        "generated": {"control": {"logits": {"a": [1.0, 3.0], "b": []}}},
        "swapped": {"control": {"logits": {"a": [0.5], "b": [-1.0]}}},
    }
    judged = read_judged(report, ["generated", "swapped"], "control")
    assert judged.finds == ("generated", "swapped")
    assert judged.means().tolist() == [[2.0, 0.0], [0.5, -1.0]]
    with pytest.raises(KeyError):
        read_judged(report, ["generated_noise"], "control")


def test_an_interval_holds_its_figure_and_widens_when_few_people_carry_it() -> None:
    judged = _judged()
    p = answers(judged, fit([judged], [EVERY]))
    value, low, high = interval(log_loss, p, judged.labels, judged.identities)
    assert low <= value <= high
    alike = tuple(f"person {n // 100}" for n in range(len(p)))
    few = interval(log_loss, np.where(np.arange(len(p)) < 100, p, 0.5), judged.labels, alike)
    assert few[2] - few[1] > high - low
    area, at_least, at_most = within_folds(p, judged, [0, 1])
    assert 0.5 < at_least <= area <= at_most <= 1


def test_rows_of_the_table() -> None:
    assert dict(variants(["a"])) == {"a alone": ("a",)}
    assert dict(variants(["a", "b"])) == {"a alone": ("a",), "b alone": ("b",), "ensemble": ("a", "b")}
    three = dict(variants(["a", "b", "c"]))
    assert three["without b"] == ("a", "c")
    assert three["ensemble"] == ("a", "b", "c")


def test_the_table_shows_values_and_intervals_of_every_set() -> None:
    loss = {"value": 0.61234, "interval": {"low": 0.5, "high": 0.7}}
    one = {"verdict": "OK", "videos": 8, "log_loss": loss, "roc_auc": {"value": 0.75, "interval": None}}
    text = markdown({"plain alone": {"public": one, "private": one}})
    header, rule, row = text.splitlines()
    assert header == "| members | public: log loss | AUC | private: log loss | AUC |"
    assert rule.count("|") == header.count("|") == row.count("|")
    assert row.startswith("| plain alone | 0.612 (0.50-0.70) | 0.75 |")


def test_a_variant_holds_the_members_named_calibrated_by_themselves(tmp_path: Path) -> None:
    package = lay_out(["swapped"], tmp_path / "package")
    assert [f.name for f in (package / "weights").glob("*.safetensors")] == ["swapped.safetensors"]
    assert (package / "weights" / "face_detection_yunet_2023mar.onnx").is_file()
    assert evidence.load(package / "weights").weights.keys() == {"swapped"}
    assert tomllib.loads((package / "submission.toml").read_text())["name"] == "swapped"
    assert not (package / "training").exists()
    with pytest.raises(KeyError, match="no calibration of swapped\\+generated"):
        lay_out(["swapped", "generated"], tmp_path / "other")
    assert 0.02 <= Predictor(package).predict(SAMPLE) <= 0.98


def test_what_ships_is_calibrated_as_recorded() -> None:
    recorded = json.loads(RECORDED.read_text())["+".join(SHIPPED)]["calibration"]
    shipped = evidence.load(PACKAGE / "weights")
    assert (shipped.offset, shipped.weights) == (recorded["offset"], recorded["weights"])
    for kind, temperature, bias in zip(SHIPPED, recorded["temperatures"], recorded["biases"], strict=True):
        _, config = models.load(PACKAGE / "weights" / f"{kind}.safetensors")
        assert (config.finds, config.temperature, config.bias) == (kind, temperature, bias)
        assert kind in shipped.weights
