"""Calibration: it recovers what was done to honest logits, and never looks at whom it judges."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training  # noqa: F401  (lets timm be imported beside a CPU build of torch)
from detector import evidence, models
from numpy.typing import NDArray
from predictor import Predictor
from training.ablate import RECORDED, lay_out, markdown, variants
from training.calibrate import (
    SHARES,
    Judged,
    answers,
    balanced,
    cross_calibrated,
    fit,
    folds_of,
    kinds_of,
    read_judged,
    share_of,
    sorts_of,
)
from training.judge import FORGED
from training.members import RECIPES, SHIPPED
from training.places import PACKAGE
from training.worth import Seen, by_generator, differences, losses, mean_loss, within_folds

EVERY = np.ones(200, bool)
SAMPLE = next((PACKAGE.parent / "sample_videos" / "public").glob("*.mp4"))


def _judged(clips: int = 200, *, spread: float = 1.0, finds: tuple[str, ...] = ("generated",)) -> Judged:
    rng = np.random.default_rng(3)
    labels = np.arange(clips) % 2
    honest = (np.where(labels == 1, 1.0, -1.0) + rng.normal(0, 1, clips)) * spread
    return Judged(
        finds=finds,
        logits=(tuple(np.repeat(value, 3) for value in honest),) * len(finds),
        seen=Seen(
            sets=np.full(clips, "control"),
            kinds=np.where(np.arange(clips) // 2 % 5 == 0, "swap", "generated"),
            folds=np.arange(clips) // 2 % 5,
            labels=labels.astype(np.float64),
            identities=np.array([f"person {n // 20}" for n in range(clips)]),
            generators=np.where(labels == 1, "some", ""),
        ),
        weights=np.ones(clips),
    )


def _log_loss(p: NDArray[np.float64], judged: Judged) -> float:
    return float(losses(p, judged.seen.labels).mean())


def test_a_fit_undoes_a_distortion() -> None:
    plain, stretched = _judged(), _judged(spread=7.0)
    p = answers(plain, fit([plain], [EVERY]))
    np.testing.assert_allclose(answers(stretched, fit([stretched], [EVERY])), p, atol=1e-3)
    assert _log_loss(p, plain) < 0.6


def test_a_member_that_says_nothing_or_the_contrary_has_no_weight() -> None:
    judged = _judged()
    contrary = replace(judged, logits=(tuple(-row for row in judged.logits[0]),))
    found = fit([contrary], [EVERY]).evidence
    assert found.weights["generated"] == pytest.approx(0, abs=1e-6)
    assert found.offset == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(answers(contrary, fit([contrary], [EVERY])), 0.5, atol=0.01)


@pytest.mark.parametrize(("by", "value"), [(folds_of, 2), (sorts_of, "swap")])
def test_a_fold_and_a_kind_of_fake_are_calibrated_by_the_others_only(
    by: Callable[[Seen], NDArray[Any]], value: object
) -> None:
    judged = _judged()
    mine = by(judged.seen) == value
    lied = np.where(mine, 1 - judged.seen.labels, judged.seen.labels)
    other_judged = replace(judged, seen=replace(judged.seen, labels=lied))
    one = cross_calibrated(judged, [judged], by)
    other = cross_calibrated(other_judged, [other_judged], by)
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


def test_every_kind_has_its_share_and_half_of_that_each_label() -> None:
    kinds = np.array(["generated", "generated", "generated", "swap", "swap", "forged", "forged"])
    labels = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    weights = balanced(np.array([1.0, 3.0, 1.0, 5.0, 7.0, 9.0, 2.0]), labels, kinds)
    assert weights[:2].tolist() == pytest.approx([SHARES["generated"] / 8, SHARES["generated"] * 3 / 8])
    for name, share in SHARES.items():
        for label in (0, 1):
            assert weights[(kinds == name) & (labels == label)].sum() == pytest.approx(share / 2)
    without = kinds != "swap"
    assert balanced(np.ones(5), labels[without], kinds[without]).sum() == pytest.approx(1)


def test_a_real_clip_is_of_the_kind_of_the_fakes_that_it_was_judged_beside() -> None:
    assert (share_of("Some face swap"), share_of(FORGED), share_of("AniTalker")) == (
        "swap",
        "forged",
        "generated",
    )
    assert kinds_of([0, 0, 1, 1, 2], ["", "Some face swap", "", "AniTalker", ""]) == [
        "swap",
        "swap",
        "generated",
        "generated",
        "generated",
    ]


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


def test_a_constant_has_ln_2_however_many_clips_of_a_kind_there_are() -> None:
    seen = _judged().seen
    seen = replace(seen, labels=np.where(np.isin(np.arange(200) % 20, [1, 3]), 1.0, 0.0))
    value, low, high = mean_loss(losses(np.full(200, 0.5), seen.labels), seen)
    assert value == pytest.approx(np.log(2))
    assert low == pytest.approx(high) == pytest.approx(np.log(2))
    # Who says "real" to everything is right nine times in ten, and gains nothing by it.
    assert mean_loss(losses(np.full(200, 0.1), seen.labels), seen)[0] > 1


def test_each_kind_counts_the_same_whatever_its_clips() -> None:
    seen = _judged().seen
    of_swaps = np.where(seen.kinds == "swap", 1.0, 0.0)
    assert (seen.kinds == "swap").mean() == pytest.approx(0.2)
    assert mean_loss(of_swaps, seen)[0] == pytest.approx(0.5)


def test_an_interval_holds_its_figure_and_widens_when_few_people_carry_it() -> None:
    judged = _judged()
    p = answers(judged, fit([judged], [EVERY]))
    loss = losses(p, judged.seen.labels)
    value, low, high = mean_loss(loss, judged.seen)
    assert low <= value <= high
    alike = replace(judged.seen, identities=np.array([f"person {n // 100}" for n in range(200)]))
    few = mean_loss(np.where(np.arange(200) < 100, loss, np.log(2)), alike)
    assert few[2] - few[1] > high - low
    area, at_least, at_most = within_folds(p, judged.seen)
    assert 0.5 < at_least <= area <= at_most <= 1


def test_a_kind_of_one_person_is_missing_from_some_resamples_and_counts_in_the_others() -> None:
    seen = _judged().seen
    seen = replace(seen, identities=np.where(seen.kinds == "swap", "one", seen.identities))
    value, low, high = mean_loss(np.where(seen.kinds == "swap", 1.0, 0.0), seen)
    assert (value, low, high) == (0.5, 0.5, 0.5)


def test_a_generator_without_real_clips_in_its_fold_is_told_from_nothing() -> None:
    seen = replace(_judged(4).seen, labels=np.ones(4), generators=np.full(4, "some"))
    assert by_generator(np.full(4, 0.5), seen) == {}


def test_a_difference_is_below_nothing_where_an_ensemble_is_better() -> None:
    judged = _judged()
    p = answers(judged, fit([judged], [EVERY]))
    found = differences(p, {"constant": np.full(200, 0.5), "itself": p, "contrary": 1 - p}, judged.seen)
    assert found["itself"] == (0, 0, 0)
    assert found["constant"][2] < 0
    assert found["contrary"][0] < found["constant"][0]


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
    lay_out(["generated"], package)
    assert [f.name for f in (package / "weights").glob("*.safetensors")] == ["generated.safetensors"]
    lay_out(["swapped"], package)
    with pytest.raises(KeyError, match="no calibration of swapped\\+generated"):
        lay_out(["swapped", "generated"], tmp_path / "other")
    assert 0.02 <= Predictor(package).predict(SAMPLE) <= 0.98


def test_what_ships_is_calibrated_as_recorded() -> None:
    recorded = json.loads(RECORDED.read_text())["+".join(SHIPPED)]["calibration"]
    shipped = evidence.load(PACKAGE / "weights")
    assert (shipped.offset, shipped.weights) == (recorded["offset"], recorded["weights"])
    for kind, temperature, bias in zip(SHIPPED, recorded["temperatures"], recorded["biases"], strict=True):
        _, config = models.load(PACKAGE / "weights" / f"{kind}.safetensors")
        assert (config.finds, config.temperature, config.bias) == (RECIPES[kind].finds, temperature, bias)
        assert config.finds in shipped.weights
