"""The audit of one set: its figures, and the rule that turns figures into findings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.core.types import AppliedPerturbation, SetName
from harness.diagnose.audit.features import FeatureTable, feature_table, modified_table, name_order
from harness.diagnose.audit.leaks import (
    BOOSTED_VIDEOS_MIN,
    AucTest,
    LeakTest,
    judge_boosted,
    judge_columns,
    judge_linear,
    judge_neighbours,
    make_plan,
)
from harness.diagnose.audit.report import (
    AuditFinding,
    BalanceRow,
    ClassifierResult,
    FeatureResult,
    SetAudit,
    Subject,
    audit_finding,
)
from harness.diagnose.audit.stats import auc_interval, fisher_exact
from harness.diagnose.audit.traits import Traits
from harness.package.findings import Severity
from harness.videos.labels import Label

MARGIN = 0.02  # of AUC above 0.5: worth at most some 0.001 in log loss
ALPHA = 0.01  # at most one audit of clean sets in a hundred raises an error by chance
SUSPICION = 0.05  # and at most one in twenty a warning
NEIGHBOURS_MARGIN = 0.1  # of the share of neighbours with one label
BALANCE_MARGIN = 0.1  # of the share of fakes, from one half
VIDEOS_MIN = 8  # with fewer no figure means anything
FEATURES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Fed:
    """One video as it is fed, with its truth. `group` names its source."""

    traits: Traits
    label: Label
    perturbations: tuple[AppliedPerturbation, ...] | None = None  # None: not prepared
    group: str = ""

    @property
    def source(self) -> str:
        """What it was made from: videos of one source are not independent."""
        return self.group or self.label.source or self.traits.name


def audit_set(name: SetName, subject: Subject, videos: Sequence[Fed], *, seed: tuple[int, ...]) -> SetAudit:
    """Compute the figures of one set; with too few videos, or one label only, there are none but counts."""
    labels = np.asarray([one.label.fake for one in videos], dtype=np.bool_)
    fakes = int(labels.sum())
    if len(videos) < VIDEOS_MIN or fakes in {0, len(videos)}:
        return SetAudit(
            name=name,
            subject=subject,
            videos=len(videos),
            fakes=fakes,
            unit="none",
            relabelings=0,
            smallest_p=1.0,
        )
    rng = np.random.default_rng(seed)
    codes: dict[str, int] = defaultdict(lambda: len(codes))
    groups = np.asarray([codes[one.source] for one in videos], dtype=np.int64)
    plan = make_plan(labels, groups, count=4999 if len(videos) <= 2000 else 1999, rng=rng)
    traits = [one.traits for one in videos]
    table = feature_table(traits)
    classifiers: list[ClassifierResult] = []
    if table.names:
        classifiers.append(ClassifierResult(name="linear", test=judge_linear(table.values, plan, rng)))
        if len(videos) >= BOOSTED_VIDEOS_MIN:
            boosted = judge_boosted(table.values, plan, bar=0.5 + MARGIN, rng=rng)
            classifiers.append(ClassifierResult(name="boosted trees", test=boosted))
    alike, expected, p = judge_neighbours(name_order(traits), plan)
    return SetAudit(
        name=name,
        subject=subject,
        videos=len(videos),
        fakes=fakes,
        unit=plan.unit.value,
        relabelings=plan.labels.shape[1] - 1,
        smallest_p=plan.smallest_p,
        classifiers=tuple(classifiers),
        features_tested=len(table.names),
        features=_features(table, plan),
        modified=_features(modified_table(traits), plan),
        neighbours_alike=alike,
        neighbours_expected=expected,
        neighbours_p=p,
        balance=_balance(videos),
    )


def _features(table: FeatureTable, plan: LeakTest) -> tuple[FeatureResult, ...]:
    if not table.names:
        return ()
    results = [
        FeatureResult(name=name, also=also, test=test)
        for name, also, test in zip(table.names, table.also, judge_columns(table.values, plan), strict=True)
    ]
    results.sort(key=lambda result: (result.test.p, -abs(result.test.auc - 0.5)))
    return tuple(results[:FEATURES_SHOWN])


def _balance(videos: Sequence[Fed]) -> tuple[BalanceRow, ...]:
    """Fisher's exact test of each perturbation, each at each severity, and how many there are."""
    having: dict[str, set[int]] = defaultdict(set)
    for index, one in enumerate(videos):
        if one.perturbations is None:
            return ()
        having[f"number of perturbations is {len(one.perturbations)}"].add(index)
        for applied in one.perturbations:
            having[applied.name].add(index)
            having[f"{applied.name} at severity {applied.severity}"].add(index)
    fake = {index for index, one in enumerate(videos) if one.label.fake}
    real = set(range(len(videos))) - fake
    varied = {what: have for what, have in having.items() if len(have) < len(videos)}
    rows = []
    for what, have in varied.items():
        a, b = len(have & fake), len(have & real)
        p = fisher_exact(((a, b), (len(fake) - a, len(real) - b)))
        rows.append(BalanceRow(what=what, fakes_with=a, reals_with=b, p=min(1.0, p * len(varied))))
    return tuple(sorted(rows, key=lambda row: (row.p, row.what)))


def verdict(test: AucTest, tests: int) -> Severity | None:
    """Decide by the rule: a leak is an AUC whose interval clears 0.5 by `MARGIN`, beyond chance.

    `p`, times the number of tests of the audit, decides between an error (at most `ALPHA`), a warning (at
    most `SUSPICION`) and nothing.
    """
    if max(test.interval.low, 1 - test.interval.high) <= 0.5 + MARGIN:
        return None
    return _severity(test.p * tests)


def _severity(corrected_p: float) -> Severity | None:
    if corrected_p <= ALPHA:
        return Severity.ERROR
    return Severity.WARNING if corrected_p <= SUSPICION else None


def judged(audit: SetAudit, tests: int) -> Iterator[AuditFinding]:
    """Turn the figures of a set into findings.

    Args:
        audit: The set's figures.
        tests: How many p-values the whole audit looks at.
    """
    yield from _judged_labels(audit, tests)
    yield from _judged_classifiers(audit, tests)
    for code, features in (("A202", audit.features), ("A204", audit.modified)):
        for severity in (Severity.ERROR, Severity.WARNING):
            found = [one for one in features if verdict(one.test, tests) is severity]
            if found:
                sure = severity is Severity.ERROR
                what = "features predict" if sure else "features may predict"
                first = ", ".join(one.name for one in found[:3])
                yield audit_finding(
                    code if sure else "A205",
                    [audit.name],
                    f"{len(found)} {what} the label of {audit.name}: {first}",
                    evidence=[_shown_feature(one, tests) for one in found],
                    remedy=_remedy(found) if code == "A202" and sure else None,
                )
    yield from _judged_order(audit, tests)
    yield from _judged_balance(audit, tests)


def _judged_labels(audit: SetAudit, tests: int) -> Iterator[AuditFinding]:
    sets, reals = [audit.name], audit.videos - audit.fakes
    counts = f"{audit.name} has {audit.fakes} fakes and {reals} reals"
    if not audit.fakes or not reals:
        yield audit_finding("A401", sets, counts)
        return
    share = audit.fakes / audit.videos
    beyond_chance = abs(share - 0.5) > 1.96 * 0.5 / math.sqrt(audit.videos)
    if abs(share - 0.5) > BALANCE_MARGIN and beyond_chance:
        yield audit_finding("A402", sets, f"{counts}: {share:.0%} are fake")
    if audit.smallest_p * max(tests, 1) > ALPHA:
        p = min(1.0, audit.smallest_p * max(tests, 1))
        yield audit_finding(
            "A206",
            sets,
            f"{audit.name} has {audit.videos} videos: no leak could get a corrected p below {p:.2g}",
        )


def _judged_classifiers(audit: SetAudit, tests: int) -> Iterator[AuditFinding]:
    for one in audit.classifiers:
        severity = verdict(one.test, tests)
        if severity is not None:
            blamed = [feature for feature in audit.features if feature.test.p <= SUSPICION] or audit.features[
                :3
            ]
            yield audit_finding(
                "A201" if severity is Severity.ERROR else "A205",
                [audit.name],
                f"a {one.name} classifier predicts the label of {audit.name} without the picture: "
                f"{_shown_test(one.test, tests)}",
                evidence=[_shown_feature(feature, tests) for feature in blamed],
            )


def _judged_order(audit: SetAudit, tests: int) -> Iterator[AuditFinding]:
    alike, expected, p = audit.neighbours_alike, audit.neighbours_expected, audit.neighbours_p
    if alike is None or expected is None or p is None or abs(alike - expected) < NEIGHBOURS_MARGIN:
        return
    severity = _severity(p * tests)
    if severity is not None:
        yield audit_finding(
            "A203" if severity is Severity.ERROR else "A205",
            [audit.name],
            f"neighbours by name share their label in {alike:.0%} of {audit.name}, {expected:.0%} expected, "
            f"p = {min(1.0, p * tests):.2g}",
        )


def _judged_balance(audit: SetAudit, tests: int) -> Iterator[AuditFinding]:
    reals = audit.videos - audit.fakes
    for severity, code in ((Severity.ERROR, "A403"), (Severity.WARNING, "A205")):
        found = []
        for row in audit.balance:
            auc = 0.5 + (row.fakes_with / audit.fakes - row.reals_with / reals) / 2
            interval = auc_interval(auc, positives=audit.fakes, negatives=reals)
            if verdict(AucTest(auc=auc, interval=interval, p=row.p), tests) is severity:
                found.append(row)
        if found:
            yield audit_finding(
                code,
                [audit.name],
                f"{len(found)} perturbations fall unevenly on fakes and reals of {audit.name}",
                evidence=[
                    f"{row.what}: {row.fakes_with} of {audit.fakes} fakes and {row.reals_with} of {reals} "
                    f"reals, p = {min(1.0, row.p * tests):.2g}"
                    for row in found
                ],
            )


def _shown_test(test: AucTest, tests: int) -> str:
    low, high = test.interval.low, test.interval.high
    return f"AUC {test.auc:.3f} [{low:.3f}, {high:.3f}], p = {min(1.0, test.p * tests):.2g}"


def _shown_feature(feature: FeatureResult, tests: int) -> str:
    also = f" (also: {', '.join(feature.also[:4])})" if feature.also else ""
    return f"{feature.name}{also}: {_shown_test(feature.test, tests)}"


_REMEDIES = (
    ("name|place by name|file suffix", "Give all files neutral random names of one form."),
    (
        "metadata|video metadata|audio metadata|chapters|box layout|container|stream",
        "Write all files with one muxer and strip the metadata.",
    ),
    ("audio", "Give real and fake the same sound: same codec, rate, channels and level, or none at all."),
    (
        "file size|bitrate|bytes per frame|bits per pixel",
        "Encode real and fake alike, to sizes drawn from one law: a constant quality writes how detailed the "
        "picture is into the size.",
    ),
    (
        "duration|frame|first frame|width|height|pixels|aspect|pixel aspect|rotation",
        "Cut, scale and resample real and fake to formats drawn from one law.",
    ),
    (
        "video|codec|encoder|colour|pixel format|key frames|mean key|longest key|damaged",
        "Give real and fake one final encode with the same encoder and settings.",
    ),
)


def _remedy(features: Sequence[FeatureResult]) -> str:
    texts = [
        next(
            (text for starts, text in _REMEDIES if feature.name.startswith(tuple(starts.split("|")))),
            "Make it equal for both.",
        )
        for feature in features
    ]
    return " ".join(dict.fromkeys(texts))
