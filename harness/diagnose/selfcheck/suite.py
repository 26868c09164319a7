"""Runs many behaviours, and describes what was found: for a person, for a program, and for the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.diagnose.selfcheck.attack import Target, attack
from harness.diagnose.selfcheck.behaviour import Behaviour
from harness.diagnose.selfcheck.judge import Check, evidence, judge


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """One attack that was made."""

    behaviour: Behaviour
    seconds: float
    checks: tuple[Check, ...]
    evidence: str

    @property
    def held(self) -> bool:
        """Whether everything that had to be so was so."""
        return all(check.held for check in self.checks)


@dataclass(frozen=True, kw_only=True)
class AttackProgress:
    """How far it is, before each attack."""

    done: int
    total: int
    name: str


def run_behaviours(
    behaviours: Sequence[Behaviour], target: Target, *, progress: Callable[[AttackProgress], None]
) -> Iterator[Attacked]:
    """Make one attack after the other.

    Raises:
        InfrastructureError: our fault or the host's: nothing can be said of the sandbox.
    """
    for number, behaviour in enumerate(behaviours):
        progress(AttackProgress(done=number, total=len(behaviours), name=behaviour.name))
        observed = attack(behaviour, target)
        checks = judge(behaviour, observed)
        yield Attacked(
            behaviour=behaviour,
            seconds=observed.seconds,
            checks=checks,
            evidence=evidence(behaviour, observed, checks),
        )


def table_markdown(behaviours: Iterable[Behaviour]) -> str:
    """Return the suite as Markdown: a heading and a table per family, in the order of their names."""
    families: dict[str, list[Behaviour]] = {}
    for behaviour in sorted(behaviours, key=lambda one: one.name):
        families.setdefault(behaviour.expect.family, []).append(behaviour)
    parts = []
    for family in sorted(families):
        rows = [_row(behaviour) for behaviour in families[family]]
        head = ["| behaviour | attack | lenient | strict | what stops it |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"## {family[0].upper()}{family[1:]}", "", *head, *rows]))
    return "\n\n".join(parts)


def _row(behaviour: Behaviour) -> str:
    expect = behaviour.expect
    name = f"`{behaviour.name}`" + (" (allowed)" if expect.allowed else "")
    cells = (name, expect.attack, expect.verdicts.lenient, expect.verdicts.strict, expect.stopped_by)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
