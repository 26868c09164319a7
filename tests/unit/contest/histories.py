"""Random histories of a contest, and an independent book-keeper that says what is wrong with one.

The book-keeper knows the rules' text and none of their code: it counts from the events alone, in its own way.
Run as a script it does as many histories as it is told, e.g. a million: `python histories.py 1000000`.
"""

from __future__ import annotations

import random
import sys
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from harness.contest import events as ev
from harness.contest.events import ContestPhase, Event, Purse
from harness.contest.rules import HARNESS, ORGANISER, Actor, Command, Refusal, decide, team_actor
from harness.contest.rules import commands as cm
from harness.contest.state import EntryStatus, State, fold
from harness.core.contest import ContestRules, PublicScores, ShownRule

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia")
STARTS = (  # days of 23, 24 and 25 hours, a day that was left out, clocks that went back over midnight
    datetime(2030, 3, 30, 9, tzinfo=UTC),
    datetime(2030, 10, 26, 9, tzinfo=UTC),
    datetime(2011, 12, 28, 12, tzinfo=UTC),
    datetime(2018, 11, 3, 12, tzinfo=UTC),
    datetime(2010, 11, 6, 12, tzinfo=UTC),
)
STEPS = 24
KINDS = {  # what is asked for, and how often
    "submit": 38,
    "start": 10,
    "score": 14,
    "fail": 7,
    "void": 6,
    "cancel": 5,
    "requeue": 4,
    "grant": 2,
    "merge": 2,
    "finals": 4,
    "disqualify": 2,
    "reinstate": 2,
    "phase": 1,
    "tick": 1,
    "regrade": 2,
}
WEIGHTS = tuple(KINDS.values())
SHA = "0" * 64


class WrongError(AssertionError):
    """A rule was broken."""


def random_rules(rng: random.Random) -> ContestRules:
    opens = rng.choice(STARTS)
    hours = rng.randrange(30, 120)
    closes = opens + timedelta(hours=hours)
    blind = opens + timedelta(hours=hours * rng.random() * 0.9 + 0.1) if rng.random() < 0.5 else None
    return ContestRules(
        timezone=rng.choice(ZONES),
        opens=opens,
        blind_from=blind,
        closes=closes,
        releases=closes + timedelta(hours=rng.randrange(0, 30)) if rng.random() < 0.5 else None,
        merge_until=opens + timedelta(hours=hours / 2) if rng.random() < 0.3 else None,
        valid_per_day=rng.randrange(1, 4),
        failed_per_day=rng.randrange(1, 4) if rng.random() < 0.5 else None,
        total=rng.randrange(2, 9) if rng.random() < 0.5 else None,
        finals=rng.randrange(1, 3),
        external_data_declaration=rng.random() < 0.5,
        public_scores=PublicScores(rule=rng.choice(tuple(ShownRule)), step=rng.choice((0.005, 0.05))),
    )


class Maker:
    """Asks for random things, sensible and not, and passes on what came of each."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rules = random_rules(rng)
        self.state = State()
        self.events: list[Event] = []
        self.now = self.rules.opens - timedelta(hours=2)
        self.made = 0

    def ask(self, command: Command, by: Actor = ORGANISER) -> tuple[Event, ...] | Refusal:
        decided = decide(self.state, command, self.now, by)
        if not isinstance(decided, Refusal):
            self.state = fold(decided, self.state)
            self.events += decided
        return decided

    def begin(self) -> None:
        self.ask(cm.CreateContest(challenge="c", challenge_sha256=SHA, public_decimals=3, rules=self.rules))
        for team in ("a", "b", "c"):
            self.ask(cm.RegisterTeam(team=team, name=f"Team {team}"))

    def step(self) -> tuple[Command, tuple[Event, ...] | Refusal]:
        rng = self.rng
        if rng.random() < 0.5:
            self.now += timedelta(minutes=rng.expovariate(1 / 240))
        elif rng.random() < 0.05:
            self.now -= timedelta(minutes=5)  # another machine's clock
        command, by = self._command()
        return command, self.ask(command, by)

    def _command(self) -> tuple[Command, Actor]:
        rng = self.rng
        entry = self._entry()
        attempt = self.state.entries[entry].attempt if entry in self.state.entries else 1
        attempt -= rng.random() < 0.1  # a late report
        kind = rng.choices(tuple(KINDS), WEIGHTS)[0]
        made: tuple[Command, Actor] = getattr(self, f"_{kind}")(rng.choice("abc"), entry, attempt)
        return made

    def _submit(self, team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        self.made += self.rng.random() < 0.97
        data = () if self.rng.random() < 0.9 else None
        asked = cm.Submit(entry=f"e{self.made}", team=team, package_sha256=SHA, external_data=data)
        return asked, team_actor(team if self.rng.random() < 0.95 else "b")

    def _start(self, _team: str, entry: str, attempt: int) -> tuple[Command, Actor]:
        return cm.Start(entry=entry, attempt=attempt), HARNESS

    def _score(self, _team: str, entry: str, attempt: int) -> tuple[Command, Actor]:
        loss = round(self.rng.random(), 6)
        return cm.RecordScore(
            entry=entry, attempt=attempt, run_id="r", verdict="OK", result_sha256=SHA, public_loss=loss
        ), HARNESS

    def _fail(self, _team: str, entry: str, attempt: int) -> tuple[Command, Actor]:
        verdict = self.rng.choice(("TIME_LIMIT", "RUNTIME_ERROR", "HARNESS_ERROR"))
        return cm.RecordFailure(entry=entry, attempt=attempt, run_id="r", verdict=verdict), HARNESS

    def _void(self, _team: str, entry: str, attempt: int) -> tuple[Command, Actor]:
        return cm.VoidAttempt(entry=entry, attempt=attempt, reason="disk"), HARNESS

    def _cancel(self, team: str, entry: str, _attempt: int) -> tuple[Command, Actor]:
        owner = self.state.entries[entry].team if entry in self.state.entries else team
        return cm.CancelEntry(entry=entry), team_actor(owner if self.rng.random() < 0.9 else team)

    def _requeue(self, team: str, entry: str, _attempt: int) -> tuple[Command, Actor]:
        owner = self.state.entries[entry].team if entry in self.state.entries else team
        actor = team_actor(owner if self.rng.random() < 0.9 else team) if self.rng.random() < 0.5 else HARNESS
        return cm.RequeueEntry(entry=entry, reason="again"), actor

    def _grant(self, team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        return cm.GrantTries(team=team, tries=self.rng.randrange(0, 3), reason="sorry"), ORGANISER

    def _merge(self, team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        return cm.MergeTeams(into=team, other=self.rng.choice("abc")), ORGANISER

    def _finals(self, team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        chosen = tuple(self._entry() for _ in range(self.rng.randrange(0, 3)))
        return cm.SelectFinals(team=team, entries=chosen), team_actor(team)

    def _disqualify(self, team: str, entry: str, _attempt: int) -> tuple[Command, Actor]:
        one = entry if self.rng.random() < 0.5 else None
        return cm.Disqualify(team=team, entry=one, reason="r", public_note="n"), ORGANISER

    def _reinstate(self, team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        return cm.Reinstate(team=team, reason="r"), ORGANISER

    def _phase(self, _team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        return cm.EnterPhase(phase=self.rng.choice(tuple(ContestPhase)), reason="now"), ORGANISER

    def _tick(self, _team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        return cm.Tick(), HARNESS

    def _regrade(self, _team: str, _entry: str, _attempt: int) -> tuple[Command, Actor]:
        scored = [e.entry for e in self.state.entries.values() if e.status is EntryStatus.SCORED]
        losses = {entry: round(self.rng.random(), 6) for entry in scored}
        results = dict.fromkeys(scored, "1" * 64)
        return cm.RecordRegrade(
            regrade=f"g{len(self.events)}", reason="labels", public_losses=losses, results=results
        ), ORGANISER

    def _entry(self) -> str:
        return f"e{self.rng.randrange(1, self.made + 2)}"


class Bookkeeper:
    """Counts by itself, event by event, and raises `WrongError` where a rule was broken."""

    def __init__(self) -> None:
        self.rules: ContestRules | None = None
        self.phase = ContestPhase.ANNOUNCED
        self.last: datetime | None = None
        self.owner: dict[str, str] = {}
        self.day: dict[str, date] = {}
        self.purse: dict[str, Purse] = {}
        self.what: dict[str, tuple[int, str]] = {}  # attempt, status
        self.granted: dict[str, int] = defaultdict(int)
        self.gone: set[str] = set()
        self.out: set[str] = set()

    def charged(self, team: str, purse: Purse) -> list[str]:
        return [
            entry
            for entry, owner in self.owner.items()
            if owner == team
            and self.purse[entry] is purse
            and self.what[entry][1] not in {"voided", "cancelled"}
        ]

    def see(self, event: Event) -> None:
        if self.last is not None and event.at < self.last:
            raise WrongError("time ran backwards")
        self.last = event.at
        handler: Any = getattr(self, f"_{type(event).__name__}", None)
        if handler is not None:
            handler(event)

    def _ContestCreated(self, event: ev.ContestCreated) -> None:
        self.rules = event.rules

    def _PhaseEntered(self, event: ev.PhaseEntered) -> None:
        order = list(ContestPhase)
        if order.index(event.phase) <= order.index(self.phase):
            raise WrongError(f"{self.phase} became {event.phase}")
        if event.phase is ContestPhase.RELEASED and any(
            status in {"waiting", "running"} for _, status in self.what.values()
        ):
            raise WrongError("released with entries that wait")
        self.phase = event.phase

    def _TeamsMerged(self, event: ev.TeamsMerged) -> None:
        rules = self.rules
        assert rules is not None
        if event.at > (rules.merge_until or rules.closes) or event.into == event.other:
            raise WrongError("merged too late, or with itself")
        if {event.into, event.other} & (self.gone | self.out):
            raise WrongError("merged a team that is gone or out")
        zone = ZoneInfo(rules.timezone)
        days = (event.at.astimezone(zone).date() - rules.opens.astimezone(zone).date()).days + 1
        both = [*self.charged(event.into, Purse.QUOTA), *self.charged(event.other, Purse.QUOTA)]
        could = max(0, days) * (rules.valid_per_day + (rules.failed_per_day or 0))
        if len(both) > could or (rules.total is not None and len(both) > rules.total):
            raise WrongError("together they have more than one team could have had")
        for entry, owner in self.owner.items():
            if owner == event.other:
                self.owner[entry] = event.into
        self.granted[event.into] += self.granted.pop(event.other, 0)
        self.gone.add(event.other)

    def _EntrySubmitted(self, event: ev.EntrySubmitted) -> None:
        rules = self.rules
        assert rules is not None
        if self.phase not in {ContestPhase.OPEN, ContestPhase.BLIND} or event.phase is not self.phase:
            raise WrongError(f"an entry was taken while {self.phase}")
        if event.at >= rules.closes:
            raise WrongError("an entry was taken after the close")
        if event.team in self.gone | self.out or event.entry in self.owner:
            raise WrongError("a team that may not, or an entry twice")
        if rules.external_data_declaration and event.external_data is None:
            raise WrongError("nothing was declared")
        if event.day != event.at.astimezone(ZoneInfo(rules.timezone)).date():
            raise WrongError("another day")
        if event.paid_by is Purse.ORGANISER:
            raise WrongError("the organiser pays for no first attempt")
        self.pay(event.entry, event.team, event.day, event.paid_by)
        self.what[event.entry] = (1, "waiting")

    def purse_for(self, team: str, day: date) -> Purse:
        """Say what pays for one more entry; the organiser, where the team has nothing left."""
        rules = self.rules
        assert rules is not None
        quota = self.charged(team, Purse.QUOTA)
        today = [self.what[one][1] for one in quota if self.day[one] == day]
        pending = sum(status in {"waiting", "running"} for status in today)
        valid, failed = today.count("scored") + pending, today.count("failed") + pending
        if rules.failed_per_day is None:
            room = len(today) < rules.valid_per_day
        else:
            room = valid < rules.valid_per_day and failed < rules.failed_per_day
        if room and (rules.total is None or len(quota) < rules.total):
            return Purse.QUOTA
        granted = len(self.charged(team, Purse.GRANT)) < self.granted[team]
        return Purse.GRANT if granted else Purse.ORGANISER

    def pay(self, entry: str, team: str, day: date, purse: Purse) -> None:
        """Charge an entry, and find out whether it was the right purse."""
        wanted = self.purse_for(team, day)
        if purse is not wanted:
            raise WrongError(f"paid from {purse}, not from {wanted}")
        self.owner[entry], self.day[entry], self.purse[entry] = team, day, purse

    def refused(self, command: cm.Submit, moment: datetime) -> None:
        """Find out whether a team was told that its quota is used up where it is not."""
        assert self.rules is not None
        day = moment.astimezone(ZoneInfo(self.rules.timezone)).date()
        if self.purse_for(command.team, day) is not Purse.ORGANISER:
            raise WrongError("refused, though something would have paid")

    def _move(self, entry: str, attempt: int, status: str, before: set[str]) -> None:
        had, was = self.what[entry]
        if had != attempt or was not in before:
            raise WrongError(f"{entry}: {was} of attempt {had} became {status} of attempt {attempt}")
        self.what[entry] = (attempt, status)

    def _EntryStarted(self, event: ev.EntryStarted) -> None:
        self._move(event.entry, event.attempt, "running", {"waiting"})

    def _EntryScored(self, event: ev.EntryScored) -> None:
        self._move(event.entry, event.attempt, "scored", {"waiting", "running"})

    def _EntryFailed(self, event: ev.EntryFailed) -> None:
        if event.verdict == "HARNESS_ERROR":
            raise WrongError("our fault was counted against a team")
        self._move(event.entry, event.attempt, "failed", {"waiting", "running"})

    def _EntryVoided(self, event: ev.EntryVoided) -> None:
        self._move(event.entry, event.attempt, "voided", {"waiting", "running"})

    def _EntryCancelled(self, event: ev.EntryCancelled) -> None:
        self._move(event.entry, self.what[event.entry][0], "cancelled", {"waiting", "running"})

    def _EntryRequeued(self, event: ev.EntryRequeued) -> None:
        had, was = self.what[event.entry]
        if was != "voided" or event.attempt != had + 1 or self.phase is ContestPhase.RELEASED:
            raise WrongError("only what was voided waits again, as the next attempt")
        self.pay(event.entry, self.owner[event.entry], self.day[event.entry], event.paid_by)
        self.what[event.entry] = (event.attempt, "waiting")

    def _TriesGranted(self, event: ev.TriesGranted) -> None:
        self.granted[event.team] += event.tries

    def _FinalsSelected(self, event: ev.FinalsSelected) -> None:
        assert self.rules is not None
        fits = len(set(event.entries)) == len(event.entries) <= self.rules.finals
        own = all(self.owner.get(e) == event.team and self.what[e][1] == "scored" for e in event.entries)
        if not fits or not own:
            raise WrongError("finals that are too many, or not the team's own")

    def _Disqualified(self, event: ev.Disqualified) -> None:
        if event.entry is None:
            self.out.add(event.team)

    def _Reinstated(self, event: ev.Reinstated) -> None:
        if event.entry is None:
            self.out.discard(event.team)


def agree(keeper: Bookkeeper, state: State) -> None:
    """Compare what the book-keeper has with the state."""
    for entry in state.entries.values():
        mine = (entry.attempt, entry.status.value, entry.team, entry.paid_by)
        theirs = (*keeper.what[entry.entry], keeper.owner[entry.entry], keeper.purse[entry.entry])
        if mine != theirs:
            raise WrongError(f"{entry.entry}: the state has {mine}, the books {theirs}")
    waiting = sum(status in {"waiting", "running"} for _, status in keeper.what.values())
    if waiting != state.unfinished or len(keeper.what) != len(state.entries):
        raise WrongError("unfinished entries are counted wrong")


def one_history(seed: int, *, steps: int = STEPS) -> Maker:
    """Make a history and check it: step by step, at its end, and by replaying it.

    Raises:
        WrongError: a rule was broken; the seed makes the same history again.
    """
    maker, keeper = Maker(random.Random(seed)), Bookkeeper()
    maker.begin()
    seen = 0
    for _ in range(steps):
        before = maker.state
        command, decided = maker.step()
        if isinstance(decided, Refusal):
            if maker.state is not before:
                raise WrongError("a refusal changed the state")
            if decided.again is not None and decided.again <= maker.now - timedelta(minutes=10):
                raise WrongError(f"{decided.rule}: possible again in the past")
            if decided.limit is not None and isinstance(command, cm.Submit):
                if decided.count is None or decided.count < decided.limit:
                    raise WrongError(f"refused with {decided.count} of {decided.limit}")
                keeper.refused(command, max(maker.now, maker.state.last or maker.now))
        for event in maker.events[seen:]:
            keeper.see(event)
        seen = len(maker.events)
    agree(keeper, maker.state)
    if fold(maker.events) != maker.state:
        raise WrongError("a replay gives another state")
    return maker


def main() -> None:
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began, made = time.monotonic(), 0
    for seed in range(first, first + count):
        try:
            made += len(one_history(seed).events)
        except Exception as error:
            raise SystemExit(f"seed {seed}: {error!r}") from error
    seconds = time.monotonic() - began
    print(f"{count} histories, {made} events, {seconds:.0f} s, nothing wrong")


if __name__ == "__main__":
    main()
