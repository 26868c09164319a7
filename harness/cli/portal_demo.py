"""The sample challenge as a contest of its own, for a first look at the portal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.cli.open_store import open_store
from harness.cli.options import shipped_samples
from harness.contest.ledger import Ledger
from harness.contest.rules.commands import CreateContest, RegisterTeam, Role
from harness.core.challenge import load_challenge
from harness.core.errors import ChallengeError
from harness.core.files import write_text
from harness.portal.access import Holder, make_link
from harness.portal.config import PortalConfig
from harness.portal.site import Site

DAYS = 30
TEAM = "first-team"
CHALLENGE = """# Written by `harness serve --demo`: the sample challenge with a [contest] table.
schema = 1
name = "demo"
title = "Demo: two people, real and fake"

[sets.public]
videos = "{samples}/public"
labels = "{samples}/public/labels.csv"
recipe = "{samples}/recipes/public.toml"
seed = 20191211

[sets.private]
videos = "{samples}/private"
labels = "{samples}/private/labels.csv"
recipe = "{samples}/recipes/private.toml"
seed = 20200331

[contest]
timezone = "UTC"
opens = {opens}
closes = {closes}
valid_per_day = 50
finals = 2
"""


def demo_places(folder: Path) -> tuple[str, Path, Path, Path, Path]:
    """Return the demo's store, runs, packages, uploads, and its challenge.toml, which is written once."""
    challenge = folder.resolve() / "challenge" / "challenge.toml"
    if not challenge.is_file():
        now = datetime.now(UTC).replace(microsecond=0)
        text = CHALLENGE.format(
            samples=shipped_samples().resolve(),
            opens=(now - timedelta(days=1)).isoformat(),
            closes=(now + timedelta(days=DAYS)).isoformat(),
        )
        write_text(challenge, text)
    store = f"sqlite:///{folder.resolve()}/portal.db"
    open_store(store).close()
    return store, folder / "runs", folder / "packages", folder / "uploads", challenge


def make_demo(config: PortalConfig, challenge: Path) -> tuple[tuple[str, str], ...]:
    """Make the contest and its team if they are not there, and links for both readers.

    Returns:
        What each link is for, and the link.

    Raises:
        ChallengeError: somebody took the [contest] table away.
    """
    loaded, now = load_challenge(challenge), datetime.now(UTC)
    if loaded.contest is None:
        raise ChallengeError("has no [contest] table", place=challenge, remedy="Delete the file.")
    site = Site(config)
    try:
        ledger = Ledger(site.store, loaded.name, path=str(challenge))
        if ledger.state().rules is None:
            ledger.ask(
                CreateContest(
                    challenge=loaded.name,
                    challenge_sha256=loaded.sha256,
                    public_decimals=loaded.scoring.public_decimals,
                    rules=loaded.contest,
                ),
                now=now,
            )
            ledger.ask(RegisterTeam(team=TEAM, name="First team"), now=now)
        organiser = make_link(site, Holder(role=Role.ORGANISER, label="demo"))
        team = make_link(site, Holder(role=Role.TEAM, label="you", challenge=loaded.name, team=TEAM))
    finally:
        site.close()
    return (
        ("for the organiser (open it in another browser, or a private window):", organiser.text),
        ("for a team; hand in submission.zip from `make pack`, say:", team.text),
    )
