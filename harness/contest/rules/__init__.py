"""The rules of a contest: `decide` says what a command comes to, as events or as a refusal. Pure."""

from harness.contest.rules.commands import HARNESS, ORGANISER, Actor, Command, Refusal, Role, Rule, team_actor
from harness.contest.rules.decide import decide

__all__ = ["HARNESS", "ORGANISER", "Actor", "Command", "Refusal", "Role", "Rule", "decide", "team_actor"]
