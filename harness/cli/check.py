"""Commands that look at a package, pack it, and say what it is held to. All but a trial start at once."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.options import SAMPLE_CHALLENGE, ChallengeOption, JsonOption, PackageArgument
from harness.cli.views.check import render_report
from harness.core.challenge import load_challenge
from harness.core.limits import limits_markdown
from harness.core.types import Limits
from harness.package.check import Opened, admit
from harness.package.findings import found
from harness.package.opened import remove_package
from harness.package.pack import pack

_out = Console()


def check(
    package: PackageArgument,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    static: Annotated[
        bool, typer.Option("--static", help="Only look at the files; start nothing, need no engine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find everything that would keep a package from running, and try it on two sample videos."""
    loaded = load_challenge(challenge)
    projections: list[str] = []
    with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
        root = None if static else Path(folder) / "package"
        Path(folder).chmod(0o755)  # the container's user is another one
        try:
            admitted = admit(package, root, limits=loaded.limits, contract=loaded.contract)
            report = admitted.report(more=[found("P621")])
            if isinstance(admitted, Opened) and report.ok:
                # Only now, for `--static` is to answer at once: a trial needs an engine.
                from harness.cli.trial import projections_of, trial  # noqa: PLC0415

                with trial(loaded) as (inside, runs):
                    report = admitted.report(modules=inside.modules, more=inside.smoke(admitted.package))
                projections = projections_of(runs, loaded.limits)
        finally:
            remove_package(Path(folder) / "package")
    if as_json:
        sys.stdout.write(report.to_json())
    else:
        _out.print(render_report(report))
        for text in projections:
            _out.print(text, soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(OK if report.ok else NOT_WELL)


def pack_command(
    folder: Annotated[Path, typer.Argument(help="The package's folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the folder's name with .zip.")
    ] = None,
) -> None:
    """Make a zip of a package; the same files give the same bytes, on any machine."""
    target = output or Path(f"{folder.resolve().name}.zip")
    report = pack(folder, target)
    _out.print(f"{target}: {report.file_count} files, sha256 {report.package_sha256}", soft_wrap=True)


def limits() -> None:
    """Print every limit, its key in challenge.toml and its default, as a Markdown table."""
    sys.stdout.write(limits_markdown(Limits()) + "\n")
