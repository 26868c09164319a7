"""Scoring: what is scored, what is refused, and how failures count."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import ConfigError, ScoreInputError
from harness.core.types import (
    AppliedPerturbation,
    FailureRule,
    Outcome,
    OutcomeKind,
    PreparedVideo,
    SetName,
    Verdict,
)
from harness.scoring.metrics import all_metrics
from harness.scoring.score import SetScore, gaps, score_predictions, score_set
from harness.scoring.scored import read_predictions_csv, scored_videos
from harness.scoring.slices import SliceKind, subgroups
from harness.videos.labels import Label, Labels, parse_labels


def video(name: str, *perturbations: tuple[str, int]) -> PreparedVideo:
    return PreparedVideo(
        video_id=name,
        path=Path(name),
        source_id=f"source_of_{name}",
        sha256="0" * 64,
        perturbations=tuple(AppliedPerturbation(name=kind, severity=level) for kind, level in perturbations),
    )


def predicted(name: str, probability: float) -> Outcome:
    return Outcome(video_id=name, kind=OutcomeKind.PREDICTED, probability=probability, wall_seconds=1.0)


def failed(name: str, kind: OutcomeKind = OutcomeKind.RUNTIME_ERROR) -> Outcome:
    return Outcome(video_id=name, kind=kind)


VIDEOS = [
    video("a", ("blur", 1)),
    video("b", ("blur", 3), ("noise", 2)),
    video("c", ("noise", 5)),
    video("d"),
]
LABELS = Labels(
    {
        "source_of_a": Label(fake=True, method="swap"),
        "source_of_b": Label(fake=False),
        "source_of_c": Label(fake=True, method="warp"),
        "source_of_d": Label(fake=False),
        "source_of_another_set": Label(fake=False),
    }
)
OUTCOMES = [predicted("a", 0.8), predicted("b", 0.3), predicted("c", 0.6), predicted("d", 0.1)]


def score(
    outcomes: list[Outcome] | None = None,
    *,
    verdict: Verdict = Verdict.OK,
    rule: FailureRule = FailureRule.LENIENT,
    videos: list[PreparedVideo] | None = None,
    epsilon: float = 1e-15,
    failed_probability: float = 0.5,
) -> SetScore:
    return score_set(
        set_name=SetName.PUBLIC,
        verdict=verdict,
        outcomes=OUTCOMES if outcomes is None else outcomes,
        videos=VIDEOS if videos is None else videos,
        labels=LABELS,
        rule=rule,
        epsilon=epsilon,
        failed_probability=failed_probability,
    )


def test_log_loss_by_hand() -> None:
    expected = -(math.log(0.8) + math.log(0.7) + math.log(0.6) + math.log(0.9)) / 4
    assert score().log_loss == pytest.approx(expected, abs=1e-12)
    assert (score().videos, score().fakes, score().predicted, score().failed) == (4, 2, 4, 0)
    assert set(score().metrics) == set(all_metrics())


def test_the_order_of_outcomes_changes_nothing() -> None:
    assert score(OUTCOMES[::-1]) == score()


def test_anchors_stand_beside_it() -> None:
    assert score().anchors.constant_half == pytest.approx(0.693147, abs=1e-6)
    assert score().anchors.uniform_random == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("constant", [0.5, 0.2])
def test_lenient_a_failed_video_scores_the_constant_and_is_counted(constant: float) -> None:
    outcomes = [*OUTCOMES[:2], failed("c", OutcomeKind.VIDEO_TIMEOUT), OUTCOMES[3]]
    found = score(outcomes, verdict=Verdict.TIME_LIMIT, failed_probability=constant)
    expected = -(math.log(0.8) + math.log(0.7) + math.log(constant) + math.log(0.9)) / 4
    assert found.scored
    assert found.log_loss == pytest.approx(expected)
    assert found.failures == {OutcomeKind.VIDEO_TIMEOUT: 1}
    assert (found.predicted, found.failed) == (3, 1)


def test_strict_any_failure_spoils_the_run() -> None:
    outcomes = [*OUTCOMES[:3], failed("d")]
    for verdict in (Verdict.RUNTIME_ERROR, Verdict.OK):  # even were the verdict wrong
        found = score(outcomes, verdict=verdict, rule=FailureRule.STRICT)
        assert not found.scored
        assert found.log_loss is None
        assert found.metrics == {}
        assert "strict" in found.reason
        assert found.failures == {OutcomeKind.RUNTIME_ERROR: 1}
        assert all(cut.log_loss is None and cut.accuracy is None for cut in found.slices)
    assert score(rule=FailureRule.STRICT).scored


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.OK])
def test_strict_scores_only_ok(verdict: Verdict) -> None:
    assert not score(verdict=verdict, rule=FailureRule.STRICT).scored


@pytest.mark.parametrize("verdict", list(Verdict))
def test_lenient_never_scores_our_own_errors_nor_an_invalid_package(verdict: Verdict) -> None:
    never = verdict in {Verdict.HARNESS_ERROR, Verdict.INVALID_PACKAGE}
    assert score(verdict=verdict).scored is not never
    assert bool(score(verdict=verdict).reason) is never


def test_no_prediction_at_all_gives_no_score_and_not_the_constant() -> None:
    found = score([failed(v.video_id) for v in VIDEOS], verdict=Verdict.STARTUP_TIMEOUT)
    assert found.log_loss is None
    assert "STARTUP_TIMEOUT" in found.reason


def test_a_run_that_is_never_scored_may_lack_outcomes() -> None:
    found = score(OUTCOMES[:1], verdict=Verdict.HARNESS_ERROR)
    assert found.failures == {OutcomeKind.NOT_REACHED: 3}


def test_every_error_is_listed_at_once() -> None:
    outcomes = [predicted("a", math.nan), predicted("b", 1.5), predicted("b", 0.5), predicted("nobody", 0.5)]
    with pytest.raises(ScoreInputError) as caught:
        score(
            [*outcomes, Outcome(video_id="c", kind=OutcomeKind.PREDICTED)], videos=[*VIDEOS, video("orphan")]
        )
    text = str(caught.value)
    for part in (
        "b: 2 outcomes",
        "nobody: an outcome for no video",
        "d: no outcome",
        "a: probability nan",
        "b: probability 1.5",
        "c: PREDICTED with probability None",
        "orphan: no label",
    ):
        assert part in text
    assert isinstance(caught.value, ConfigError)


def test_a_failure_must_not_carry_a_probability() -> None:
    with pytest.raises(ScoreInputError, match="RUNTIME_ERROR with probability 0"):
        score([*OUTCOMES[:3], replace(failed("d"), probability=0.9)])


def test_a_set_that_holds_a_video_twice_is_refused() -> None:
    with pytest.raises(ScoreInputError, match="a: 2 times in the prepared set"):
        score(videos=[*VIDEOS, VIDEOS[0]])


@pytest.mark.parametrize("epsilon", [0.0, 0.7, math.nan])
def test_a_senseless_epsilon_is_refused(epsilon: float) -> None:
    with pytest.raises(ScoreInputError, match="epsilon"):
        score(epsilon=epsilon)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ScoreInputError, match="no video"):
        score([], videos=[])


def test_epsilon_is_used_and_recorded() -> None:
    outcomes = [predicted("a", 0.0), *OUTCOMES[1:]]
    for epsilon in (1e-6, 1e-2):
        found = score(outcomes, epsilon=epsilon)
        rest = -(math.log(0.7) + math.log(0.6) + math.log(0.9))
        assert found.log_loss == pytest.approx((-math.log(epsilon) + rest) / 4)
        assert found.epsilon == epsilon


def test_slices() -> None:
    cuts = {(cut.kind, cut.name, cut.severity): cut for cut in score().slices}
    blur = cuts[SliceKind.PERTURBATION, "blur", None]
    assert (blur.videos, blur.fakes) == (2, 1)  # b counts under both of its perturbations
    assert blur.log_loss == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2)
    assert blur.roc_auc == 1.0
    assert cuts[SliceKind.PERTURBATION, "noise", None].videos == 2
    assert cuts[SliceKind.PERTURBATION, "none", None].log_loss == pytest.approx(-math.log(0.9))
    assert cuts[SliceKind.SEVERITY, "severity 3", 3].videos == 1  # the strongest of b's two
    assert (SliceKind.SEVERITY, "severity 2", 2) not in cuts
    assert cuts[SliceKind.SEVERITY, "severity 0", 0].videos == 1
    assert cuts[SliceKind.PERTURBATION_SEVERITY, "noise", 2].log_loss == pytest.approx(-math.log(0.7))
    swap = cuts[SliceKind.METHOD, "swap", None]
    assert (swap.videos, swap.fakes) == (1, 1)
    assert swap.roc_auc == 1.0  # against all reals
    assert cuts[SliceKind.METHOD, "real", None].videos == 2
    assert cuts[SliceKind.METHOD, "real", None].roc_auc is None


def test_one_class_has_a_log_loss_and_no_auc() -> None:
    videos = [VIDEOS[1], VIDEOS[3]]
    found = score([OUTCOMES[1], OUTCOMES[3]], videos=videos)
    assert found.log_loss is not None
    assert found.metrics["roc_auc"].value is None
    assert found.metrics["roc_auc"].reason == "no video is fake"
    assert found.metrics["roc_auc"].interval is None


def test_gaps_only_between_sets_that_are_scored() -> None:
    rows = scored_videos(outcomes=OUTCOMES, videos=VIDEOS, labels=LABELS)
    both = {SetName.PUBLIC: rows, SetName.PRIVATE: rows}
    scores = dict.fromkeys(both, score())
    assert [(gap.first, gap.second) for gap in gaps(both, scores)] == [("public", "private")]
    unscored = {**scores, SetName.PRIVATE: score(verdict=Verdict.HARNESS_ERROR)}
    assert gaps(both, unscored) == ()


# --- a table of predictions --------------------------------------------------------------------------------


def table(folder: Path, text: str) -> Path:
    path = folder / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_scores_like_a_run(tmp_path: Path) -> None:
    labels = Labels({name: Label(fake=name in "ac") for name in "abcd"})
    path = table(tmp_path, "\ufefffilename,label\r\na,0.8\r\nb,3e-1\r\nc,0.6\r\nd,.1\r\n\r\n")
    found = score_predictions(read_predictions_csv(path), labels)
    assert found.log_loss == score().log_loss


def test_every_wrong_row_of_a_csv_is_listed(tmp_path: Path) -> None:
    rows = "a,nan\nb,inf\nc,1.0001\nd,-0\nd,0.5\ne,\nf,0.5,0.5\ng,1_0\nh,0x1\ni,½\nj,True\nk,٠\n"
    with pytest.raises(ScoreInputError) as caught:
        read_predictions_csv(table(tmp_path, f"filename,label\n{rows}"))
    text = str(caught.value)
    for number in (2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13):
        assert f"line {number}: " in text
    assert "line 5: " not in text  # minus zero is zero
    assert "'d' again, after line 5" in text


@pytest.mark.parametrize(
    "text", ["", "label,filename\na,0.5\n", "a,0.5\n", "filename;label\n", 'filename,label\n"a']
)
def test_what_is_not_a_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ScoreInputError):
        read_predictions_csv(table(tmp_path, text))


def test_a_csv_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreInputError, match="cannot be read"):
        read_predictions_csv(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"filename,label\n\xff,0.5\n")
    with pytest.raises(ScoreInputError, match="cannot be read"):
        read_predictions_csv(tmp_path / "bytes.csv")


def test_missing_and_extra_rows_are_refused_together() -> None:
    labels = Labels({name: Label(fake=name == "a") for name in "abc"})
    with pytest.raises(ScoreInputError) as caught:
        score_predictions([predicted("a", 0.5), predicted("x", 0.5)], labels)
    assert all(
        part in str(caught.value) for part in ("b: no outcome", "c: no outcome", "x: an outcome for no video")
    )


def test_a_brier_score_is_the_sum_of_its_parts() -> None:
    parts = score().brier_parts
    assert parts is not None
    whole = (0.2**2 + 0.3**2 + 0.4**2 + 0.1**2) / 4
    assert parts.uncertainty == 0.25
    assert parts.reliability - parts.resolution + parts.uncertainty + parts.within == pytest.approx(whole)
    assert parts.within == pytest.approx(0.0)  # one answer in each bin


def test_a_method_named_real_is_not_mixed_with_the_reals() -> None:
    named = {name: replace(LABELS.of(name), method="real") for name in LABELS if LABELS.of(name).fake}
    labels = Labels({name: named.get(name, LABELS.of(name)) for name in LABELS})
    found = score_set(
        set_name=SetName.PUBLIC,
        verdict=Verdict.OK,
        outcomes=OUTCOMES,
        videos=VIDEOS,
        labels=labels,
        rule=FailureRule.LENIENT,
    )
    cuts = [one for one in found.slices if one.kind is SliceKind.METHOD]
    assert [(one.name, one.fakes, one.videos - one.fakes) for one in cuts] == [
        ("real", 0, 2),
        ("real (a method)", 2, 0),
    ]


def test_a_column_of_the_organiser_s_own_cuts_a_set_into_subgroups() -> None:
    names = [f"v{index:02}" for index in range(40)]
    skin = ["dark", "light", "light", "medium"]
    rows = [f"{name},{index % 2},p{index % 20},{skin[index % 4]},{name}" for index, name in enumerate(names)]
    labels = parse_labels("\n".join(["filename,label,identity,skin,note", *rows]), place="labels.csv")
    found = score_predictions([predicted(name, 0.6) for name in names], labels)
    cuts = {cut.name: cut for cut in found.slices if cut.kind is SliceKind.SUBGROUP}
    assert {(cut.column, cut.videos) for cut in cuts.values()} == {("skin", 10), ("skin", 20)}
    assert set(cuts) == {"dark", "light", "medium"}  # a note on each video is not a subgroup
    assert cuts["dark"].log_loss == pytest.approx(-math.log(0.4))


def test_groups_of_a_handful_are_shown_as_one() -> None:
    cells = [{"site": "big"}] * 20 + [{"site": f"s{index}"} for index in range(6)] + [{}] * 6
    found = subgroups(cells)
    assert {name: len(rows) for name, rows in found["site"].items()} == {"big": 20, "7 small groups": 12}
