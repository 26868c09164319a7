"""The command that attacks one's own machine: does the sandbox hold here?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.back_ends import docker_backend
from harness.cli.documents import print_document
from harness.cli.options import JsonOption, RuntimeOption
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.core.errors import ConfigError
from harness.diagnose.selfcheck.attack import Target
from harness.diagnose.selfcheck.behaviour import Behaviour, core_behaviours
from harness.diagnose.selfcheck.suite import Attacked, AttackProgress, run_behaviours
from harness.image.container_engine import connect

_out = printer()
_err = printer(errors=True)


def self_check(
    *,
    runtime: RuntimeOption = None,
    only: Annotated[list[str] | None, typer.Option(help="Names of attacks; repeat it. Default: all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack this machine's own sandbox with hostile packages, and show what stopped each."""
    behaviours = _chosen(core_behaviours(), only or [])
    with ConsoleObserver(_err) as observer:
        observer.step("Finding the runtime image")
        backend = docker_backend(observer.say, runtime=runtime)
        observer.step("Attacking")
        client = connect()
        try:
            target = Target(backend=backend, client=client)

            def attacking(progress: AttackProgress) -> None:
                observer.counting("attacks", progress.done, progress.total, unit="attack")

            findings = list(run_behaviours(behaviours, target, progress=attacking))
        finally:
            client.close()
        observer.counting("attacks", len(behaviours), len(behaviours), unit="attack")
    if as_json:
        from harness.cli.documents.machine import AttackRow, SelfCheckDocument

        held = all(finding.held for finding in findings)
        rows = tuple(AttackRow.of(finding) for finding in findings)
        print_document(SelfCheckDocument(ok=held, runtime=runtime, attacks=rows))
    else:
        _out.print(_table(findings))
        broken = sum(not finding.held for finding in findings)
        _out.print(
            f"{broken} of {len(findings)} attacks got through: run nobody's package on this machine."
            if broken
            else f"{len(findings)} attacks, none got through."
        )
    raise typer.Exit(0 if all(finding.held for finding in findings) else 1)


def _chosen(behaviours: tuple[Behaviour, ...], names: list[str]) -> tuple[Behaviour, ...]:
    known = {behaviour.name: behaviour for behaviour in behaviours}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ConfigError(
            f"no attack is called {', '.join(unknown)}", remedy=f"There are: {', '.join(known)}."
        )
    return tuple(known[name] for name in names) or behaviours


def _table(findings: list[Attacked]) -> Table:
    table = Table(title="Attacks on this machine's sandbox", title_justify="left", show_lines=True)
    table.add_column("")
    for heading in ("attack", "what stopped it", "evidence"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = Text("held", "green") if finding.held else Text("BROKEN", "bold red")
        expect = finding.behaviour.expect
        attack = Text(finding.behaviour.name, "bold").append(f"\n{expect.attack}", "not bold")
        stopped = expect.stopped_by if finding.held else "nothing, or not as it should"
        table.add_row(mark, attack, Text(stopped), Text(finding.evidence))
    return table
