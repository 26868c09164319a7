"""Commands that look at a package, pack it, and say what it is held to. All but a trial start at once."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.options import (
    SAMPLE_CHALLENGE,
    ChallengeOption,
    JsonOption,
    PackageArgument,
    find_challenge,
)
from harness.cli.terminal import printer
from harness.cli.views.check import render_report
from harness.core.errors import ConfigError
from harness.core.limits import limits_markdown
from harness.core.types import Limits
from harness.package.check import Opened, admit, check_package
from harness.package.findings import found
from harness.package.opened import remove_package
from harness.package.pack import pack

_out = printer()
_err = printer(errors=True)


def check(
    package: PackageArgument,
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    static: Annotated[
        bool, typer.Option("--static", help="Only look at the files; start nothing, need no engine.")
    ] = False,
    videos: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many public videos to try it on. Default: 2.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Ask for one video, once, and do not look at the image's modules.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Check again at every save, with a container ready beforehand. For your own package only.",
        ),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show findings in files that the entry's imports do not reach.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find everything that would keep a package from running, and try it on sample videos."""
    loaded = find_challenge(challenge)
    if watch:
        if static or as_json:
            raise ConfigError("--watch cannot be combined with --static or --json", remedy="Leave one out.")
        from harness.cli.watch import watch_package  # see below

        watch_package(package, loaded, videos=videos or 1, everything=everything)
    projections: list[str] = []
    with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
        root = None if static else Path(folder) / "package"
        Path(folder).chmod(0o755)  # the container's user is another one
        try:
            admitted = admit(package, root, limits=loaded.limits, contract=loaded.contract)
            report = admitted.report(more=[found("P621")])
            if isinstance(admitted, Opened):
                # Only now, for `--static` is to answer at once: a trial needs an engine.
                from harness.cli.trial import projections_of, trial

                with trial(loaded, videos=videos, quick=quick) as (inside, runs):
                    # A run shows more than the text: an error in the text does not suppress it.
                    report = admitted.report(modules=inside.modules, more=inside.smoke(admitted.package))
                projections = projections_of(runs, loaded.limits)
        finally:
            remove_package(Path(folder) / "package")
    if as_json:
        from harness.cli.documents import print_document  # types take time to load
        from harness.cli.documents.package import CheckDocument

        print_document(CheckDocument.of(report, projections))
    else:
        _out.print(render_report(report, everything=everything))
        for text in projections:
            _out.print(text, soft_wrap=True, highlight=False)
    raise typer.Exit(OK if report.ok else NOT_WELL)


def pack_command(
    folder: Annotated[Path, typer.Argument(help="The package's folder, or a zip of it.")],
    *,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the folder's name with .zip.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a zip of a package; the same files give the same bytes, on any machine."""
    target = output or Path(f"{folder.resolve().name.removesuffix('.zip')}.zip")
    if target.exists() and not force:
        raise ConfigError("already exists", place=target, remedy="Give --force, or another --output.")
    loaded = find_challenge(challenge)
    checked = check_package(folder, limits=loaded.limits, contract=loaded.contract)
    if not checked.ok:
        (_err if as_json else _out).print(render_report(checked))
        raise typer.Exit(NOT_WELL)
    report = pack(folder, target, limits=loaded.limits)
    if as_json:
        from harness.cli.documents import print_document
        from harness.cli.documents.package import PackDocument

        print_document(
            PackDocument(path=str(target), file_count=report.file_count, sha256=report.package_sha256)
        )
        return
    _out.print(f"{target}: {report.file_count} files, sha256 {report.package_sha256}", soft_wrap=True)


def limits(*, as_json: JsonOption = False) -> None:
    """Print every limit, its key in challenge.toml and its default, as a Markdown table."""
    if as_json:
        from harness.cli.documents import print_document
        from harness.cli.documents.package import LimitsDocument

        print_document(LimitsDocument.of(Limits()))
        return
    sys.stdout.write(limits_markdown(Limits()) + "\n")
