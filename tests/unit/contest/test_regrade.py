"""Scoring again without running a model: the same numbers where nothing changed, all runs or none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from example_run import example_run

from harness.contest.regrade.corrections import Correction, SetFrame
from harness.contest.regrade.doubts import doubts_csv, doubts_of, good_answers
from harness.contest.regrade.in_force import catch_up, correction_in_force, recorded, regrades_of
from harness.contest.regrade.ranks import ranks
from harness.contest.regrade.regrade import RegradedRun, RegradePlan, new_regrade, regrade_runs
from harness.core.errors import ConfigError, ResultError
from harness.core.types import FailureRule, Outcome, OutcomeKind, PreparedVideo, SetName, Verdict
from harness.gateway.journal import Header, Journal, Line
from harness.results import columns as cols
from harness.results.columns import columns_of_journal, columns_path, keep_columns, read_columns
from harness.results.result import Result, read_result, write_result
from harness.results.run_folder import RunFolder, regrade_record
from harness.results.seal import Key, SealState, content_sha256, verify
from harness.results.store import Store
from harness.scoring.score import score_set
from harness.videos.labels import Label, Labels
from harness.videos.ready_set import ReadySet

pytestmark = pytest.mark.slow

VIDEOS = 40
PREPARED = "ab" * 32
IDS = tuple(f"v{number:02d}.mp4" for number in range(VIDEOS))
SOURCES = tuple(f"source_{number:02d}.mp4" for number in range(VIDEOS))
FAKE = np.arange(VIDEOS) % 2 == 0
KEY = Key(secret=b"k" * 32)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return example_run(tmp_path_factory.mktemp("example") / "run")


def frame(**changes: object) -> SetFrame:
    plain = SetFrame(
        name=SetName.PRIVATE,
        prepared_sha256=PREPARED,
        video_ids=IDS,
        source_ids=SOURCES,
        fake=FAKE,
        fake_now=FAKE,
        kept=np.ones(VIDEOS, dtype=np.bool_),
        labels_sha256="cd" * 32,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # named at each call


def plan(one: SetFrame, correction: Correction | None = None, **changes: object) -> RegradePlan:
    made = RegradePlan(
        regrade=new_regrade(datetime.now(UTC)),
        reason="wrong labels",
        challenge="example",
        frames={SetName.PRIVATE: one},
        correction=correction or Correction(),
        key=KEY,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # named at each call


def outcomes(seed: int, *, failed: int = 3, wrong: tuple[int, ...] = ()) -> list[Outcome]:
    rng = np.random.default_rng(seed)
    skill = rng.normal(1.5, 0.5, VIDEOS) * np.where(FAKE, 1.0, -1.0)
    skill[list(wrong)] = np.where(FAKE[list(wrong)], -4.0, 4.0)
    answers = 1.0 / (1.0 + np.exp(-skill))
    found = [
        Outcome(video_id=video, kind=OutcomeKind.PREDICTED, probability=float(answer))
        for video, answer in zip(IDS, answers, strict=True)
    ]
    for number in range(failed):
        index = VIDEOS - 1 - number
        found[index] = Outcome(video_id=IDS[index], kind=OutcomeKind.VIDEO_TIMEOUT)
    rng.shuffle(found)  # journals are in the order of serving
    return found


def labels(fake: np.ndarray = FAKE) -> Labels:
    return Labels({source: Label(fake=bool(one)) for source, one in zip(SOURCES, fake, strict=True)})


def finished(root: Path, template: Result, number: int, found: list[Outcome]) -> RunFolder:
    """Make the folder of a finished run of the private set with these outcomes."""
    folder = RunFolder(path=root / f"20300101-000000-{number:06x}")
    header = Header(order_seed=1, videos_sha256="0" * 64, limits_sha256="0" * 64)
    with Journal(folder.journal(SetName.PRIVATE), header) as journal:
        journal.append(Line(outcome=one) for one in found)
    score = score_set(
        set_name=SetName.PRIVATE,
        verdict=Verdict.OK,
        outcomes=found,
        videos=[
            PreparedVideo(video_id=video, path=Path(video), source_id=source, sha256="")
            for video, source in zip(IDS, SOURCES, strict=True)
        ],
        labels=labels(),
        rule=FailureRule.LENIENT,
    )
    private = template.sets[SetName.PRIVATE].model_copy(
        update={
            "prepared_sha256": PREPARED,
            "verdict": Verdict.OK,
            "score": score,
            "outcomes": {
                kind: sum(one.kind is kind for one in found) for kind in {one.kind for one in found}
            },
        }
    )
    result = template.model_copy(
        update={
            "run_id": folder.run_id,
            "sets": {SetName.PRIVATE: private},
            "gaps": (),
            "challenge": template.challenge.model_copy(update={"name": "example"}),
            "package": template.package.model_copy(update={"sha256": f"{number:064x}"}),
        }
    )
    write_result(result, folder.result)
    return folder


def graded(root: Path, made: RegradePlan) -> RegradedRun:
    return regrade_runs(root, made, workers=0)


def test_where_nothing_changed_every_metric_is_the_same_to_the_last_bit(
    tmp_path: Path, template: Result
) -> None:
    folder = finished(tmp_path, template, 1, outcomes(1))
    graded(tmp_path, plan(frame()))
    old = read_result(folder.result).sets[SetName.PRIVATE].score
    new = read_result(folder.current.result).sets[SetName.PRIVATE].score
    assert folder.current != folder
    assert {key: one.value for key, one in new.metrics.items()} == {
        key: one.value for key, one in old.metrics.items()
    }
    assert (new.calibration, new.failures, new.predicted) == (old.calibration, old.failures, old.predicted)
    assert new.brier_parts == old.brier_parts


def test_corrected_labels_dropped_videos_and_a_new_clip_score_as_a_fresh_run_would(
    tmp_path: Path, template: Result
) -> None:
    found = outcomes(2)
    folder = finished(tmp_path, template, 1, found)
    now = FAKE.copy()
    now[[0, 5]] ^= True
    kept = np.arange(VIDEOS) >= 2
    correction = Correction(epsilon=0.01, failed_probability=0.4)
    graded(tmp_path, plan(frame(fake_now=now, kept=kept), correction))
    left = set(np.asarray(IDS)[kept])
    fresh = score_set(
        set_name=SetName.PRIVATE,
        verdict=Verdict.OK,
        outcomes=[one for one in found if one.video_id in left],
        videos=[
            PreparedVideo(video_id=video, path=Path(video), source_id=source, sha256="")
            for video, source in zip(IDS, SOURCES, strict=True)
            if video in left
        ],
        labels=labels(now),
        rule=FailureRule.LENIENT,
        epsilon=0.01,
        failed_probability=0.4,
    )
    new = read_result(folder.current.result).sets[SetName.PRIVATE].score
    assert (new.videos, new.fakes, new.failed, new.epsilon) == (
        fresh.videos,
        fresh.fakes,
        fresh.failed,
        0.01,
    )
    for name, one in fresh.metrics.items():
        assert new.metrics[name].value == pytest.approx(one.value, abs=1e-12), name
    assert new.brier_parts == fresh.brier_parts


def test_the_effects_add_up_and_ranks_move(tmp_path: Path, template: Result) -> None:
    for number in range(3):
        finished(tmp_path, template, number, outcomes(number, wrong=(4,) if number else ()))
    now = FAKE.copy()
    now[4] ^= True  # the label was wrong: the two that contradicted it were right
    kept = np.arange(VIDEOS) != 7
    found = graded(tmp_path, plan(frame(fake_now=now, kept=kept), Correction(epsilon=0.05)))
    for one in found.runs:
        effects = one.effects[SetName.PRIVATE]
        before, after = one.before[SetName.PRIVATE], one.after[SetName.PRIVATE]
        assert before is not None
        assert after is not None
        whole = effects.labels + effects.dropped + effects.failed_probability + effects.epsilon
        assert whole == pytest.approx(after - before, abs=1e-12)
    moved = ranks(found.runs, by=SetName.PRIVATE, decimals=4)
    assert [row.run_id[-1] for row in moved][-1] == "0"
    assert next(row for row in moved if row.run_id.endswith("0")).rank_before == 1
    assert [row.rank_after for row in moved] == [1, 2, 3]


def test_the_new_result_is_sealed_names_the_old_one_and_the_old_one_stays(
    tmp_path: Path, template: Result
) -> None:
    folder = finished(tmp_path, template, 1, outcomes(1))
    before, digest = folder.result.read_bytes(), content_sha256(folder.result)
    first = plan(frame(), Correction(epsilon=0.01), regrade="20300102-000000-aaaaaa")
    second = plan(frame(), Correction(epsilon=0.02), regrade="20300103-000000-bbbbbb")
    graded(tmp_path, first)
    named = read_result(folder.current.result).regrade
    assert named is not None
    assert (named.regrade, named.reason, named.of_sha256) == (first.regrade, "wrong labels", digest)
    middle = content_sha256(folder.current.result)
    graded(tmp_path, second)
    named = read_result(folder.current.result).regrade
    assert named is not None
    assert named.of_sha256 == middle
    assert verify(folder.current.result, KEY) is SealState.OK
    assert folder.result.read_bytes() == before
    assert [one.path.name for one in folder.regrades] == [first.regrade, second.regrade]


def test_a_regrade_that_did_not_finish_changed_nothing(tmp_path: Path, template: Result) -> None:
    folder = finished(tmp_path, template, 1, outcomes(1))
    made = plan(frame(), Correction(epsilon=0.01))
    graded(tmp_path, made)
    regrade_record(tmp_path, made.regrade).unlink()  # as if it had been killed just before its end
    assert folder.current == folder
    graded(tmp_path, plan(frame(), write=False))
    assert folder.current == folder


def test_the_index_and_a_rebuild_have_the_scores_that_hold(tmp_path: Path, template: Result) -> None:
    root = tmp_path / "runs"
    folder = finished(root, template, 1, outcomes(1))
    made = plan(frame(), Correction(epsilon=0.3))
    graded(root, made)
    store = Store(f"sqlite:///{tmp_path / 'index.db'}")
    store.record(folder)
    (row,) = store.runs()
    new = read_result(folder.current.result).sets[SetName.PRIVATE].score.log_loss
    assert (row.regrade, row.private_log_loss) == (made.regrade, new)
    assert {(one.regrade, one.log_loss) for one in store.sets_of(folder.run_id)} == {
        ("", read_result(folder.result).sets[SetName.PRIVATE].score.log_loss),
        (made.regrade, new),
    }
    assert (store.rebuild(root).runs, store.rebuild(root).problems) == (1, ())
    assert store.runs() == (row,)
    store.close()


def test_runs_of_another_set_or_challenge_are_left_out_by_name(tmp_path: Path, template: Result) -> None:
    finished(tmp_path, template, 1, outcomes(1))
    other = finished(tmp_path, template, 2, outcomes(2))
    document = json.loads(other.result.read_text())
    document["sets"]["private"]["outcomes"]["PREDICTED"] += 1  # the result is of other outcomes
    other.result.write_text(json.dumps(document))
    torn = finished(tmp_path, template, 3, outcomes(3))
    torn.result.write_text("{")
    found = graded(tmp_path, plan(frame()))
    assert [one.run_id[-1] for one in found.runs] == ["1"]
    assert [why.split(":")[0] for why in found.left_out] == [other.run_id, torn.run_id]
    with pytest.raises(ConfigError):
        graded(tmp_path, plan(frame(), challenge="another"))


def test_columns_are_made_again_if_the_journal_is_another(tmp_path: Path, template: Result) -> None:
    folder = finished(tmp_path, template, 1, outcomes(1))
    first = read_columns(folder, SetName.PRIVATE, IDS)
    assert columns_path(folder, SetName.PRIVATE).exists()
    again = read_columns(folder, SetName.PRIVATE, IDS)
    assert np.array_equal(first.probability, again.probability, equal_nan=True)
    columns_path(folder, SetName.PRIVATE).write_bytes(b"torn")
    torn = read_columns(folder, SetName.PRIVATE, IDS)
    assert np.array_equal(first.probability, torn.probability, equal_nan=True)
    journal = folder.journal(SetName.PRIVATE)
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    shorter = read_columns(folder, SetName.PRIVATE, IDS)
    assert int(np.sum(shorter.kind == cols.NOT_REACHED)) == 1
    with pytest.raises(ResultError):
        read_columns(folder, SetName.PRIVATE, IDS[1:])


def test_columns_that_a_run_leaves_are_those_of_its_journal(tmp_path: Path, template: Result) -> None:
    found = outcomes(1)
    folder = finished(tmp_path, template, 1, found)
    keep_columns(folder, SetName.PRIVATE, IDS, found)
    kept = columns_path(folder, SetName.PRIVATE).read_bytes()
    read = read_columns(folder, SetName.PRIVATE, IDS)
    assert columns_path(folder, SetName.PRIVATE).read_bytes() == kept, "they were believed"
    made = columns_of_journal(folder.journal(SetName.PRIVATE), IDS)
    assert np.array_equal(read.probability, made.probability, equal_nan=True)
    assert np.array_equal(read.kind, made.kind)
    keep_columns(folder, SetName.PUBLIC, IDS, found)
    assert not columns_path(folder, SetName.PUBLIC).exists(), "there is no journal that they could be of"


def test_a_label_that_all_good_entries_contradict_is_found_and_a_bad_one_s_word_is_not_asked(
    tmp_path: Path, template: Result
) -> None:
    for number in range(3):
        finished(tmp_path, template, number, outcomes(number, wrong=(6, 11)))
    finished(tmp_path, template, 7, outcomes(7))  # this one agrees with the label of 6 and of 11
    found = good_answers(tmp_path, frame(), challenge="example", best=10)
    assert len(found.entries) == 4
    assert doubts_of(frame(), found) == ()
    worst = [one for one in found.entries if not one.endswith("7")]
    three = replace(
        found,
        entries=tuple(worst),
        probability=found.probability[[found.entries.index(one) for one in worst]],
    )
    doubts = doubts_of(frame(), three)
    assert {one.source_id for one in doubts} == {SOURCES[6], SOURCES[11]}
    assert all(one.least > 0.9 and one.entries == 3 for one in doubts)
    assert doubts_csv(doubts) == f"filename,label\n{SOURCES[6]},0\n{SOURCES[11]},1\n"
    noise = [replace(one, probability=0.9 if one.probability is not None else None) for one in outcomes(9)]
    finished(tmp_path, template, 9, noise)  # worse than a constant 0.5
    assert len(good_answers(tmp_path, frame(), challenge="example", best=10).entries) == 4


def test_what_a_regrade_changed_can_be_read_back_and_a_later_run_is_scored_by_it(
    tmp_path: Path, template: Result
) -> None:
    finished(tmp_path, template, 1, outcomes(1))
    wanted = Correction(labels={SetName.PRIVATE: {SOURCES[0]: not FAKE[0]}}, epsilon=1e-3)
    now = FAKE.copy()
    now[0] = ~now[0]
    made = graded(tmp_path, plan(frame(fake_now=now), wanted))
    assert regrades_of(tmp_path, "example") == (made.regrade,)
    assert regrades_of(tmp_path, "another") == ()
    assert correction_in_force(tmp_path, (made.regrade,)) == wanted
    later = finished(tmp_path, template, 2, outcomes(1))
    videos = tuple(
        PreparedVideo(video_id=video, path=Path(video), source_id=source, sha256="")
        for video, source in zip(IDS, SOURCES, strict=True)
    )
    ready = ReadySet(
        name=SetName.PRIVATE, videos=videos, labels=labels(), sha256=PREPARED, manifest_path=Path()
    )
    assert catch_up(later, tmp_path, (made.regrade,), challenge="example", sets=(ready,), key=KEY) == ""
    assert (
        read_result(later.current.result).sets[SetName.PRIVATE].score.log_loss
        == made.runs[0].after[SetName.PRIVATE]
    )
    assert read_result(later.result).regrade is None
    assert recorded(tmp_path, made.regrade).runs[0].after == made.runs[0].after
    regrade_record(tmp_path, made.regrade).write_text("{", encoding="utf-8")
    with pytest.raises(ResultError, match="cannot be read"):
        correction_in_force(tmp_path, (made.regrade,))
