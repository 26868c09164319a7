"""The rules of a contest: one promise a test. Random histories are in `histories.py`."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from harness.contest.board.judged import judged_runs
from harness.contest.events import EVENT_TYPES, ContestPhase, Event, Purse, from_json, to_json
from harness.contest.rules import ORGANISER, Actor, Command, Refusal, Rule, decide, team_actor
from harness.contest.rules import commands as cm
from harness.contest.rules.finals import final_entries, settled_rivals
from harness.contest.rules.phases import phase_at
from harness.contest.rules.public_scores import shown_score
from harness.contest.rules.quotas import allowance, day_of, next_day
from harness.contest.state import State, fold
from harness.core.contest import ContestRules, PublicScores, ShownRule
from harness.core.errors import ResultError
from harness.core.types import SetName

OPENS = datetime(2030, 1, 1, tzinfo=UTC)
SHA = "0" * 64


def rules(**changes: object) -> ContestRules:
    plain: dict[str, object] = {"timezone": "UTC", "opens": OPENS, "closes": OPENS + timedelta(days=60)}
    return ContestRules.model_validate(plain | changes)


class Contest:
    """A contest with two teams that asks and remembers."""

    def __init__(self, **changes: object) -> None:
        self.state, self.events, self.now = State(), list[Event](), OPENS + timedelta(hours=12)
        self.done(
            cm.CreateContest(challenge="c", challenge_sha256=SHA, public_decimals=3, rules=rules(**changes))
        )
        for team in ("us", "them"):
            self.done(cm.RegisterTeam(team=team, name=team.title()))

    def ask(self, command: Command, by: Actor = ORGANISER) -> tuple[Event, ...] | Refusal:
        decided = decide(self.state, command, self.now, by)
        if not isinstance(decided, Refusal):
            self.events += decided
            self.state = fold(decided, self.state)
        return decided

    def done(self, command: Command, by: Actor = ORGANISER) -> tuple[Event, ...]:
        decided = self.ask(command, by)
        assert not isinstance(decided, Refusal), decided
        return decided

    def refused(self, command: Command, by: Actor = ORGANISER) -> Refusal:
        decided = self.ask(command, by)
        assert isinstance(decided, Refusal), decided
        return decided

    def submit(self, entry: str, team: str = "us") -> None:
        self.done(submission(entry, team))

    def score(self, entry: str, loss: float = 0.5) -> None:
        attempt = self.state.entries[entry].attempt
        self.done(score(entry, loss, attempt))


def submission(entry: str, team: str = "us") -> cm.Submit:
    return cm.Submit(entry=entry, team=team, package_sha256=SHA, external_data=())


def score(entry: str, loss: float = 0.5, attempt: int = 1) -> cm.RecordScore:
    return cm.RecordScore(
        entry=entry, attempt=attempt, run_id=f"run {entry}", verdict="OK", result_sha256=SHA, public_loss=loss
    )


def failure(entry: str, verdict: str = "TIME_LIMIT") -> cm.RecordFailure:
    return cm.RecordFailure(entry=entry, attempt=1, run_id="r", verdict=verdict)


def test_a_third_entry_of_the_day_is_refused_with_the_count_and_the_moment() -> None:
    contest = Contest(timezone="Europe/Berlin")
    contest.submit("e1")
    contest.submit("e2")
    refusal = contest.refused(submission("e3"))
    assert (refusal.rule, refusal.count, refusal.limit) == (Rule.VALID_PER_DAY, 2, 2)
    assert refusal.again == datetime(2030, 1, 1, 23, tzinfo=UTC)  # midnight in Berlin
    assert "2030-01-02 00:00:00 CET" in refusal.in_words(ZoneInfo("Europe/Berlin"))
    contest.submit("f1", "them")  # another team's quota is its own
    contest.now = refusal.again
    contest.submit("e3")


def test_failed_entries_count_like_valid_ones_unless_they_are_counted_apart() -> None:
    same = Contest(valid_per_day=1)
    same.submit("e1")
    same.done(failure("e1"))
    assert same.refused(submission("e2")).rule is Rule.VALID_PER_DAY
    apart = Contest(valid_per_day=1, failed_per_day=2)
    for entry in ("e1", "e2"):
        apart.submit(entry)
        apart.done(failure(entry))
    assert apart.refused(submission("e3")).rule is Rule.FAILED_PER_DAY


def test_an_entry_without_a_score_holds_a_place_in_both_quotas() -> None:
    contest = Contest(valid_per_day=3, failed_per_day=1)
    contest.submit("e1")
    assert contest.refused(submission("e2")).rule is Rule.FAILED_PER_DAY
    contest.score("e1")
    contest.submit("e2")


def test_the_total_is_over_all_days_and_no_waiting_helps() -> None:
    contest = Contest(total=2)
    contest.submit("e1")
    contest.now += timedelta(days=1)
    contest.submit("e2")
    contest.now += timedelta(days=1)
    refusal = contest.refused(submission("e3"))
    assert (refusal.rule, refusal.count, refusal.limit, refusal.again) == (Rule.TOTAL, 2, 2, None)


@pytest.mark.parametrize("paid_by", [Purse.QUOTA, Purse.GRANT])
@pytest.mark.parametrize(
    "refund", [cm.VoidAttempt(entry="x", attempt=1, reason="disk"), cm.CancelEntry(entry="x")]
)
def test_our_fault_and_a_cancelled_run_are_refunded_to_where_they_were_paid_from(
    refund: Command, paid_by: Purse
) -> None:
    contest = Contest(valid_per_day=1)
    if paid_by is Purse.GRANT:
        contest.submit("first")
        contest.done(cm.GrantTries(team="us", tries=1, reason="our disk was full"))
    contest.submit("x")
    assert contest.state.entries["x"].paid_by is paid_by
    contest.refused(submission("y"))
    contest.done(refund)
    contest.submit("y")
    assert contest.state.entries["y"].paid_by is paid_by
    contest.refused(submission("z"))


def test_a_team_cannot_hand_in_and_cancel_without_end() -> None:
    contest = Contest(valid_per_day=1)
    us, limit = team_actor("us"), 10
    for number in range(limit):
        contest.submit(f"e{number}")
        contest.done(cm.CancelEntry(entry=f"e{number}"), by=us)
    contest.submit("last")
    refusal = contest.refused(cm.CancelEntry(entry="last"), by=us)
    assert (refusal.rule, refusal.count, refusal.limit) == (Rule.ENTRY, limit, limit)
    contest.submit("other", "them")
    contest.done(cm.CancelEntry(entry="other"), by=team_actor("them"))
    contest.done(cm.CancelEntry(entry="last", reason="asked for"))  # by the organiser
    contest.now += timedelta(days=1)
    contest.submit("tomorrow")
    contest.done(cm.CancelEntry(entry="tomorrow"), by=us)


def test_harness_error_is_never_an_entry_s_own_failure() -> None:
    contest = Contest()
    contest.submit("e1")
    assert contest.refused(failure("e1", "HARNESS_ERROR")).rule is Rule.ENTRY


def test_what_we_spoiled_runs_again_and_takes_its_refund_back_if_it_is_left() -> None:
    contest = Contest(valid_per_day=1)
    for entry, spent_meanwhile, purse in (("e1", False, Purse.QUOTA), ("e2", True, Purse.ORGANISER)):
        contest.submit(entry)
        contest.done(cm.VoidAttempt(entry=entry, attempt=1, reason="disk"))
        if spent_meanwhile:
            contest.submit("instead")
        contest.done(cm.RequeueEntry(entry=entry, reason="again"))
        assert (contest.state.entries[entry].attempt, contest.state.entries[entry].paid_by) == (2, purse)
        assert contest.refused(score(entry, attempt=1)).rule is Rule.ENTRY  # the first attempt, late
        contest.score(entry)
        contest.now += timedelta(days=1)


def test_a_team_has_its_own_spoiled_entry_run_again_until_somebody_should_look() -> None:
    contest = Contest()
    contest.submit("e1")
    assert contest.refused(cm.RequeueEntry(entry="e1", reason="slow"), team_actor("us")).rule is Rule.ENTRY
    for attempt in (1, 2, 3):
        contest.done(cm.VoidAttempt(entry="e1", attempt=attempt, reason="disk"))
        assert contest.refused(cm.RequeueEntry(entry="e1", reason="x"), team_actor("them")).rule is Rule.ROLE
        if attempt < 3:
            contest.done(cm.RequeueEntry(entry="e1", reason="again"), team_actor("us"))
    refused = contest.refused(cm.RequeueEntry(entry="e1", reason="again"), team_actor("us"))
    assert (refused.rule, refused.count, refused.limit) == (Rule.ENTRY, 3, 3)
    contest.done(cm.RequeueEntry(entry="e1", reason="I have looked"))
    assert contest.state.entries["e1"].attempt == 4


def test_no_package_is_taken_without_a_declaration() -> None:
    silent = cm.Submit(entry="e1", team="us", package_sha256=SHA)
    assert Contest().refused(silent).rule is Rule.EXTERNAL_DATA
    Contest(external_data_declaration=False).done(silent)


def test_phases_follow_the_calendar_and_are_written_down_at_their_moment() -> None:
    contest = Contest(blind_from=OPENS + timedelta(days=10), releases=OPENS + timedelta(days=70))
    assert contest.state.phase is ContestPhase.OPEN
    contest.now = OPENS + timedelta(days=80)
    events = contest.done(cm.Tick())
    assert [(type(one).__name__, one.at) for one in events] == [
        ("PhaseEntered", OPENS + timedelta(days=days)) for days in (10, 60, 70)
    ]
    assert contest.refused(cm.EnterPhase(phase=ContestPhase.OPEN, reason="oops")).rule is Rule.PHASE


def test_before_it_opens_the_refusal_says_when() -> None:
    contest = Contest(opens=OPENS + timedelta(days=5))
    refusal = contest.refused(submission("e1"))
    assert (refusal.rule, refusal.again) == (Rule.PHASE, OPENS + timedelta(days=5))


def test_scores_of_the_blind_phase_are_hidden() -> None:
    contest = Contest(blind_from=OPENS + timedelta(days=10))
    contest.submit("e1")
    contest.now = OPENS + timedelta(days=11)
    contest.submit("e2")
    contest.score("e1", 0.51234)  # handed in while it was open
    contest.score("e2", 0.41234)
    assert [contest.state.entries[one].shown for one in ("e1", "e2")] == [0.512, None]


def test_scores_are_not_released_while_an_entry_waits() -> None:
    contest = Contest(releases=OPENS + timedelta(days=61))
    contest.submit("e1")
    contest.now = OPENS + timedelta(days=62)
    assert phase_at(contest.state, contest.now) is ContestPhase.CLOSED
    refusal = contest.refused(cm.EnterPhase(phase=ContestPhase.RELEASED, reason="now"))
    assert (refusal.rule, refusal.count) == (Rule.PHASE, 1)
    contest.score("e1")
    assert phase_at(contest.state, contest.now) is ContestPhase.RELEASED


def test_rivals_count_once_all_has_closed_and_only_with_what_they_are_judged_by() -> None:
    contest = Contest(valid_per_day=9, finals=1)
    for entry, team in (("u1", "us"), ("t1", "them"), ("t2", "them"), ("t3", "them")):
        contest.submit(entry, team)
    contest.score("t1", 0.3)
    contest.score("t2", 0.4)
    losses = {"run t1": 0.7, "run t2": 0.5, "run t3": 0.1, "run u1": 0.2}

    def rivals(team: str = "us") -> tuple[float, ...]:
        return settled_rivals(contest.state, losses, team=team, now=contest.now)

    assert rivals() == ()  # it is open: they may choose another, and a stop would tell a team of its score
    contest.now = contest.state.rules.closes + timedelta(seconds=1) if contest.state.rules else OPENS
    assert rivals() == ()  # t3 waits, and may be the best by its public score
    contest.score("t3", 0.9)
    assert rivals() == (0.7,)  # not their best by the private score: they are judged by t1
    assert rivals("them") == ()  # u1 waits
    contest.done(cm.Disqualify(team="them", reason="r", public_note="n"))
    assert rivals() == ()


def test_finals_are_the_chosen_ones_or_the_best_by_public_score() -> None:
    contest = Contest(valid_per_day=5)
    for entry, loss in (("e1", 0.5), ("e2", 0.3), ("e3", 0.4)):
        contest.submit(entry)
        contest.score(entry, loss)
    assert [one.entry for one in final_entries(contest.state, "us")] == ["e2", "e3"]
    refusal = contest.refused(cm.SelectFinals(team="us", entries=("e1", "e2", "e3")))
    assert (refusal.rule, refusal.count, refusal.limit) == (Rule.FINALS, 3, 2)
    contest.done(cm.SelectFinals(team="us", entries=("e1",)), team_actor("us"))
    assert [one.entry for one in final_entries(contest.state, "us")] == ["e1"]
    contest.done(cm.Disqualify(team="us", entry="e1", reason="copied", public_note="withdrawn"))
    assert final_entries(contest.state, "us") == ()


def test_the_board_ranks_what_has_a_score_and_after_release_what_a_team_is_judged_by() -> None:
    contest = Contest(finals=1)
    for entry, team, loss in (("e1", "us", 0.6), ("e2", "us", 0.5), ("e3", "them", 0.4), ("e4", "them", 0.3)):
        contest.submit(entry, team)
        contest.score(entry, loss)
    everything = {"run e1": "Us", "run e2": "Us", "run e3": "Them", "run e4": "Them"}
    assert judged_runs(contest.state, by=SetName.PUBLIC) == everything
    assert judged_runs(contest.state, by=SetName.PRIVATE) == {"run e2": "Us", "run e4": "Them"}
    contest.done(cm.Disqualify(entry="e4", team="them", reason="copied", public_note="copied"))
    assert judged_runs(contest.state, by=SetName.PRIVATE) == {"run e2": "Us", "run e3": "Them"}
    contest.done(cm.Disqualify(team="them", reason="copied", public_note="copied"))
    assert set(judged_runs(contest.state, by=SetName.PUBLIC).values()) == {"Us"}


def test_a_disqualified_team_hands_in_nothing_and_the_note_is_the_public_one() -> None:
    contest = Contest()
    contest.done(cm.Disqualify(team="us", reason="secret details", public_note="rule 3"))
    refusal = contest.refused(submission("e1"))
    assert refusal.rule is Rule.DISQUALIFIED
    assert "rule 3" in refusal.message
    assert "secret" not in refusal.message
    contest.done(cm.Reinstate(team="us", reason="appeal"))
    contest.submit("e1")


def test_merged_teams_share_one_quota_and_may_not_have_had_more_than_one() -> None:
    contest = Contest(merge_until=OPENS + timedelta(days=3))
    for entry, team in (("e1", "us"), ("e2", "us"), ("f1", "them")):
        contest.submit(entry, team)
    refusal = contest.refused(cm.MergeTeams(into="us", other="them"))
    assert (refusal.rule, refusal.count, refusal.limit) == (Rule.MERGE, 3, 2)
    contest.now += timedelta(days=1)
    contest.submit("f2", "them")
    contest.done(cm.MergeTeams(into="us", other="them"))
    contest.submit("e3")
    assert contest.refused(submission("e4")).count == 2
    assert contest.refused(submission("f3", "them")).rule is Rule.TEAM
    late = Contest(merge_until=OPENS + timedelta(hours=1))
    assert late.refused(cm.MergeTeams(into="us", other="them")).rule is Rule.MERGE


def test_a_team_asks_only_for_what_is_its_own() -> None:
    contest = Contest()
    contest.submit("e1")
    of_others: tuple[Command, ...] = (
        submission("e2"),
        cm.CancelEntry(entry="e1"),
        cm.SelectFinals(team="us", entries=()),
    )
    for command in of_others:
        assert contest.refused(command, team_actor("them")).rule is Rule.ROLE
    of_nobody: tuple[Command, ...] = (
        cm.GrantTries(team="us", tries=1, reason="x"),
        score("e1"),
        cm.MergeTeams(into="us", other="them"),
    )
    for command in of_nobody:
        assert contest.refused(command, team_actor("us")).rule is Rule.ROLE


def test_rules_are_amended_from_now_on_and_what_began_keeps_its_moment() -> None:
    contest = Contest()
    longer = rules(closes=OPENS + timedelta(days=90), valid_per_day=9)
    contest.done(cm.AmendRules(rules=longer, reason="the site was down"))
    assert contest.state.rules == longer
    for changed in (
        rules(opens=OPENS + timedelta(days=1)),
        rules(timezone="Asia/Tokyo"),
        rules(blind_from=OPENS + timedelta(hours=1)),
    ):
        assert contest.refused(cm.AmendRules(rules=changed, reason="x")).rule is Rule.SCHEDULE
    assert contest.refused(cm.AmendRules(rules=longer, reason=" ")).rule is Rule.TEXT


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Berlin", "2030-03-31T12:00", 12),  # a day of 23 hours: 12 are left at noon
        ("Europe/Berlin", "2030-10-27T01:00", 24),  # of 25: 24 are left at one o'clock
        ("America/Sao_Paulo", "2018-11-03T23:00", 1),  # clocks jump over the midnight that comes
        ("Pacific/Apia", "2011-12-29T12:00", 12),  # 30 December 2011 did not take place
        ("America/St_Johns", "2010-11-06T12:00", 12.01666),  # back over midnight, a minute past it
        ("Asia/Kathmandu", "2030-05-05T12:00", 12),
    ],
)
def test_days_are_those_of_the_zone_s_calendar(zone: str, noon: str, hours: float) -> None:
    here = ZoneInfo(zone)
    moment = datetime.fromisoformat(noon).replace(tzinfo=here).astimezone(UTC)
    following = next_day(moment, here)
    assert (following - moment) / timedelta(hours=1) == pytest.approx(hours, abs=0.02)
    assert day_of(following, here) > day_of(moment, here)
    assert day_of(following - timedelta(microseconds=1), here) >= day_of(moment, here)


def test_what_is_left_is_said_for_the_day_of_the_zone() -> None:
    contest = Contest(timezone="Pacific/Auckland", failed_per_day=4, total=10)
    contest.submit("e1")
    left = allowance(contest.state, "us", contest.now)
    assert (left.day, left.valid_left, left.failed_left, left.total_left) == (date(2030, 1, 2), 1, 3, 9)


def test_the_ladder_shows_a_score_only_if_it_is_better_by_a_step() -> None:
    ladder = PublicScores(rule=ShownRule.LADDER, step=0.01)

    def shown(loss: float, best: float | None) -> float:
        return shown_score(loss, best_shown=best, scores=ladder, public_decimals=4)

    assert shown(0.6931, None) == 0.69
    assert shown(0.6805, 0.69) == 0.69  # better, but by less than the step
    assert shown(0.6774, 0.69) == 0.68
    assert shown(0.9, 0.69) == 0.69  # worse ones say nothing


def test_a_regrade_needs_every_score_and_shows_them_again() -> None:
    contest = Contest(
        valid_per_day=5, public_scores={"rule": "ladder", "step": 0.1}, blind_from=OPENS + timedelta(days=9)
    )
    for entry, loss in (("e1", 0.72), ("e2", 0.55), ("e3", 0.53)):
        contest.submit(entry)
        contest.score(entry, loss)
    assert [contest.state.entries[one].shown for one in ("e1", "e2", "e3")] == [0.7, 0.6, 0.6]  # by tenths
    part = cm.RecordRegrade(regrade="g", reason="labels", public_losses={"e1": 0.4}, results={"e1": SHA})
    assert contest.refused(part).rule is Rule.REGRADE
    losses = {"e1": 0.41, "e2": 0.2, "e3": 0.9}
    whole = cm.RecordRegrade(
        regrade="g", reason="labels", public_losses=losses, results=dict.fromkeys(losses, "1" * 64)
    )
    contest.done(whole)
    assert [contest.state.entries[one].shown for one in ("e1", "e2", "e3")] == [0.4, 0.2, 0.2]
    assert contest.state.teams["us"].best_shown == 0.2
    assert contest.refused(whole).rule is Rule.REGRADE


def test_every_event_survives_json_and_a_damaged_one_is_refused(histories: ModuleType) -> None:
    seen = {}
    for seed in range(60):
        for event in histories.one_history(seed).events:
            seen[type(event).__name__] = event
            assert from_json(json.loads(json.dumps(to_json(event)))) == event
    assert set(seen) >= set(EVENT_TYPES) - {"RulesAmended"}
    document = to_json(seen["EntrySubmitted"])
    for changed in (
        {**document, "type": "Nonsense"},
        {**document, "version": 99},
        {**document, "day": "yesterday"},
        {**document, "extra": 1},
        {key: value for key, value in document.items() if key != "team"},
        {**document, "team": 5},
    ):
        with pytest.raises(ResultError):
            from_json(changed)


@pytest.fixture(scope="session")
def histories() -> ModuleType:
    path = Path(__file__).with_name("histories.py")
    spec = importlib.util.spec_from_file_location("contest_histories", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_random_histories_break_no_rule(histories: ModuleType) -> None:
    """A thousand here; `python tests/unit/contest/histories.py 1000000` does the full count."""
    for seed in range(1000):
        histories.one_history(seed)


def test_the_book_keeper_notices_what_is_wrong(histories: ModuleType) -> None:
    maker = histories.one_history(7)
    keeper = histories.Bookkeeper()
    for event in maker.events:
        keeper.see(event)
    again = next(one for one in maker.events if type(one).__name__ == "EntrySubmitted")
    with pytest.raises(histories.WrongError):
        keeper.see(again)
