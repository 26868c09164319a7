"""Who works, on which nodes, and what was stopped early: said truly in every state, to organiser and team."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from portal_kit import Kit, made_result, portal, with_losses

from harness.contest.accepted_shard import AcceptedShard
from harness.contest.board.published import PublishedRow
from harness.contest.events import ContestPhase
from harness.contest.rules import HARNESS
from harness.contest.rules.commands import AmendRules, EnterPhase, RecordScore, Start
from harness.contest.shard_ledger import STOPPED
from harness.core.contest import EarlyStopping, StopRule
from harness.core.types import SetName
from harness.results.job_key import JobKey
from harness.results.result import eligibility, write_result
from harness.results.run_folder import RunFolder
from harness.results.seal import content_sha256
from harness.results.store import drivers, jobs, runs
from harness.results.store.drivers import Wish
from harness.results.store.jobs import Job, NewJob
from harness.sandbox.docker.owner import Owner

pytestmark = pytest.mark.slow  # starts a server

NODE = "0123456789abcdef" * 3
TOLD = "after 4 of 9 private videos, by the certain rule"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """A contest that has closed: red has both scores, one entry of blue's was stopped, one waits."""
    with portal(tmp_path_factory.mktemp("work")) as found:
        announce(found, EarlyStopping(rule=StopRule.CERTAIN, prizes=1))
        red, blue, _ = found.hand_in("red"), found.hand_in("blue"), found.hand_in("blue", answer="0.4")
        found.ask(EnterPhase(phase=ContestPhase.CLOSED, reason="it is over"))
        found.finish(red, loss=0.4)
        stop_early(found, blue)
        yield found


def announce(kit: Kit, stopping: EarlyStopping | None) -> None:
    rules = kit.ledger.state().rules
    assert rules is not None
    kit.ask(AmendRules(rules=rules.model_copy(update={"early_stopping": stopping}), reason="announced"))


def stop_early(kit: Kit, entry: str) -> None:
    """Put the record of an entry that was stopped on the private set."""
    folder, now = RunFolder(path=kit.config.runs / f"{kit.name}-{entry}"), datetime.now(UTC)
    result = with_losses(made_result(), run_id=folder.run_id, public=0.9, private=1.0)
    sets = {SetName.PUBLIC: result.sets[SetName.PUBLIC]}
    eligible = eligibility(sets, isolation="docker", stopped_early=TOLD)
    changes = {"sets": sets, "gaps": (), "stopped_early": TOLD, "leaderboard": eligible}
    write_result(result.model_copy(update=changes), folder.result)
    kit.ledger.ask(Start(entry=entry, attempt=1), now=now, by=HARNESS)
    kit.ledger.ask(
        RecordScore(
            entry=entry,
            attempt=1,
            run_id=folder.run_id,
            verdict="OK",
            result_sha256=content_sha256(folder.result),
            public_loss=0.9,
        ),
        now=now,
        by=HARNESS,
        also=lambda connection, _state, _events: _keep(runs.record(connection, folder)),
    )
    new = [a_job(kit, "stopped", number) for number in range(3)]
    kit.site.store.write(lambda connection: jobs.enqueue(connection, new, now=now))
    done(kit, "stopped")
    kit.site.store.write(lambda connection: jobs.cancel(connection, run_id="stopped", now=now, note=STOPPED))


def _keep(_row: object) -> None:
    """Ignore the row that was written."""


def a_job(kit: Kit, run: str, number: int) -> NewJob:
    key = JobKey(run_id=run, set_name="private", shard=number)
    return NewJob(key=key, challenge=kit.name, entry=run, team="blue", videos=3)


def claimed(kit: Kit, run: str) -> Job:
    """Claim a run's next shard."""
    now = datetime.now(UTC)
    job = kit.site.store.write(lambda connection: jobs.claim(connection, worker="w", now=now, run_id=run))
    assert job is not None
    return job


def done(kit: Kit, run: str) -> None:
    """Have a node finish a run's next shard."""
    job, now = claimed(kit, run), datetime.now(UTC)
    outcome = AcceptedShard(
        file="shard",
        sha256="0" * 64,
        videos=3,
        seconds=60.0,
        billed_seconds=50.0,
        startup_seconds=1.0,
        fetch_seconds=1.0,
        node=NODE,
    )
    kit.site.store.write(
        lambda connection: jobs.complete(
            connection,
            job.key,
            attempt=job.attempt,
            token=job.token,
            now=now,
            outcome=outcome.to_json(),
        )
    )


def lose(kit: Kit, job: Job, *, faults_max: int | None) -> None:
    """Give a claim back as a lost node's."""
    note, now = f"its node was lost (node {NODE[:12]})", datetime.now(UTC)
    kit.site.store.write(
        lambda connection: jobs.give_back(
            connection,
            job.key,
            attempt=job.attempt,
            token=job.token,
            now=now,
            note=note,
            faults_max=faults_max,
        )
    )


def drive(kit: Kit, wish: Wish, *, silent_seconds: float, places: int = 4) -> None:
    """Write down a driver that was heard of some time ago."""
    heard = datetime.now(UTC) - timedelta(seconds=silent_seconds)
    with kit.site.store.read() as connection:
        before = drivers.get(connection, kit.name)
    dead = before is not None

    def work(connection: sa.Connection) -> None:
        row = drivers.take(
            connection,
            kit.name,
            driver=str(Owner.current()),
            now=heard,
            silent_seconds=60,
            dead=dead,
        )
        assert row is not None
        drivers.beat(connection, kit.name, token=row.token, now=heard, places=places)
        drivers.wish(connection, kit.name, wish)

    kit.site.store.write(work)


def words_of(kit: Kit, team: str | None, path: str) -> str:
    """Return a page's words, as somebody reads them."""
    answer = kit.browser(team).get(f"{kit.address}/c/{kit.name}{path}", timeout=60)
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]).split())


def test_nobody_at_work_is_told_what_to_do_as_things_stand(kit: Kit) -> None:
    for wish, words in (
        (Wish.RUN, "Start one:"),
        (Wish.PAUSE, "begins nothing until you press “Run”. Start one:"),
        (Wish.DRAIN, "Press “Run” first, then start one:"),
    ):
        drive(kit, wish, silent_seconds=4000)
        page = words_of(kit, None, "/organise")
        assert "nobody is at work silent for" in page
        assert words in page
    drive(kit, Wish.RUN, silent_seconds=0)
    assert "nobody is at work" not in words_of(kit, None, "/organise")
    drive(kit, Wish.DRAIN, silent_seconds=0)
    assert "none begins, and it ends after that" in words_of(kit, None, "/organise")


def test_work_is_counted_by_entries_and_what_was_stopped_early_is_said(kit: Kit) -> None:
    page = words_of(kit, None, "/organise")
    assert "2 with a result" in page
    assert "0 running, 1 waiting" in page.replace("interrupted", "running")
    assert "1 was stopped early on the private set, which saved about" in page
    assert "Every entry is run to its end" not in page


def test_a_lost_driver_s_shards_and_the_gravest_faults_come_first(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        now, names = datetime.now(UTC), [f"run-{number:02}" for number in range(12)]
        new = [a_job(kit, name, 0) for name in names]
        kit.site.store.write(lambda connection: jobs.enqueue(connection, new, now=now))
        for name in names:
            lose(kit, claimed(kit, name), faults_max=1 if name == names[-1] else None)
        claimed(kit, names[0])
        drive(kit, Wish.RUN, silent_seconds=4000)
        page = words_of(kit, None, "/organise")
        assert "1 shard under way when it ended: the next worker does it again" in page
        listed = page.partition("Shards that were given back")[2]
        assert listed.strip().startswith(f"blue {names[-1]} , private set, shard 0: its node was lost")
        assert "(given up after attempt 1)" in listed
        assert "And 2 more" in listed


def test_a_node_s_line_is_stacked_on_a_phone_and_its_names_are_explained(kit: Kit) -> None:
    text = kit.browser(None).get(f"{kit.address}/c/{kit.name}/organise", timeout=60).text
    table = text.partition('aria-label="Nodes"')[2].partition("</table>")[0]
    assert '<table class="stack">' in table
    assert f'data-what="node"><code>{NODE[:12]}</code>' in table
    assert "A shard is a part of one set of one entry" in text


def test_what_queued_work_takes_goes_by_the_driver_s_places(kit: Kit) -> None:
    new = [a_job(kit, "queued", number) for number in range(8)]
    kit.site.store.write(lambda connection: jobs.enqueue(connection, new, now=datetime.now(UTC)))
    foretold = []
    for places in (1, 4):
        drive(kit, Wish.RUN, silent_seconds=0, places=places)
        (said,) = re.findall(r"takes about ([\d.]+) (\w+) more", words_of(kit, None, "/organise"))
        foretold.append(float(said[0]) * {"s": 1, "min": 60, "h": 3600}[said[1]])
    assert foretold[0] == pytest.approx(4 * foretold[1], rel=0.05)


@pytest.mark.parametrize(
    ("stopping", "words"),
    [
        (
            EarlyStopping(rule=StopRule.CERTAIN, prizes=1),
            "the prize place, whatever it still answers, is not",
        ),
        (EarlyStopping(rule=StopRule.SEQUENTIAL, prizes=3), "any of the 3 prize places is not"),
        (EarlyStopping(rule=StopRule.SEQUENTIAL, prizes=3, error=1e-5), "a mistake is at most 0.001%."),
    ],
)
def test_a_rule_of_early_stopping_is_announced_in_whole_sentences(
    stopping: EarlyStopping, words: str
) -> None:
    assert words in stopping.in_words()
    assert stopping.in_words().endswith("gets no private one, and its team is told.")


def test_the_rules_do_not_promise_a_whole_run_once_early_stopping_is_announced(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        assert "stopped early" not in words_of(kit, "red", "")
        announce(kit, EarlyStopping(rule=StopRule.CERTAIN, prizes=1))
        page = words_of(kit, "red", "")
        assert "to its end unless it is stopped early by the rules" in page
        assert "whether your run on it was valid, or was stopped early" in page
        kit.ask(EnterPhase(phase=ContestPhase.CLOSED, reason="it is over"))  # long before its date
        assert "what waits is run. when the organiser said so" in words_of(kit, "red", "")
        page = words_of(kit, "red", "/team")
        assert "Finals could be chosen until the contest closed." in page
        assert "You can choose until" not in page


def test_a_team_reads_the_same_of_a_stopped_entry_whatever_the_rules_say_since(kit: Kit) -> None:
    entry = kit.ledger.state().teams["blue"].entries[0]
    for stopping in (EarlyStopping(rule=StopRule.CERTAIN, prizes=1), None):
        announce(kit, stopping)
        page = words_of(kit, "blue", f"/entries/{entry}")
        assert "Private set stopped early" in page
        assert "Its score is published at release" not in page
        assert "stopped early on the private set" in words_of(kit, "blue", "/entries")
        assert "private stopped early" in words_of(kit, None, "/organise/entries?team=blue")
        answer = kit.call("GET", f"entries/{entry}", "blue").json()
        assert answer["stopped_early"]
        assert answer["private_valid"] is None
    announce(kit, EarlyStopping(rule=StopRule.CERTAIN, prizes=1))


def test_who_has_no_private_score_is_named_before_release_and_told_after_it(tmp_path: Path) -> None:
    with portal(tmp_path) as kit:
        announce(kit, EarlyStopping(rule=StopRule.CERTAIN, prizes=1))
        red, blue = kit.hand_in("red"), kit.hand_in("blue")
        kit.ask(EnterPhase(phase=ContestPhase.CLOSED, reason="it is over"))
        kit.finish(red, loss=0.4)
        stop_early(kit, blue)
        page = words_of(kit, None, "/organise/phase?to=released")
        assert "judged by has no private score: The blue team." in page
        kit.ask(EnterPhase(phase=ContestPhase.RELEASED, reason="it is over"))
        line = PublishedRow(
            place=1,
            team="red",
            name="The red team",
            score=0.98,
            low=None,
            high=None,
            group=None,
            best_percent=None,
            entries=1,
            last="2026-11-27T07:00:00+00:00",
            entry=red,
        )
        kit.publish((line,), set_name="private")
        assert "Your team has no line here" in words_of(kit, "blue", "/board")
        page = words_of(kit, "red", "/board")
        assert "Your team has no line here" not in page
        assert "A team whose entries were all stopped early, as the rules announced, has no private" in page


def test_a_list_without_entries_says_why(kit: Kit) -> None:
    assert "No entry fits this filter. All entries" in words_of(kit, None, "/organise/entries?text=nothing")
    assert "No entry fits" not in words_of(kit, None, "/organise/entries")
