"""A package made ready to be sent: checked here first, and packed if it is a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import typer

from harness.cli.documents import print_document
from harness.cli.documents.package import CheckDocument
from harness.cli.exit_codes import NOT_WELL
from harness.cli.terminal import printer
from harness.cli.views.check import render_report
from harness.core.files import cache_folder
from harness.core.types import Limits
from harness.package.check import check_package
from harness.package.pack import pack
from harness.portal.client.replies import JsonObject
from harness.portal.client.upload import Parcel, parcel_of

_err = printer(errors=True)


@contextmanager
def checked_parcel(
    package: Path, limits: Sequence[JsonObject], *, check: bool, as_json: bool
) -> Iterator[Parcel]:
    """Check a package by the portal's limits, and give the zip to send; a zip that was made here is removed.

    The same package makes the same zip, so that an upload that was cut off is found again.

    Args:
        package: A folder or zip.
        limits: Of the challenge, as the portal names them.
        check: Whether to check it here.
        as_json: Whether findings are printed as JSON.

    Raises:
        PackageError: it cannot be opened as a package.
        typer.Exit: the check found errors; they were shown, and nothing was sent.
    """
    held_to = _limits_of(limits)
    report = check_package(package, limits=held_to) if check else None
    if report is not None and not report.ok:
        if as_json:
            print_document(CheckDocument.of(report, []))
        else:
            _err.print(render_report(report))
            _err.print("It was not sent, and nothing was spent.")
        raise typer.Exit(NOT_WELL)
    name = package.resolve().name.removesuffix(".zip") + ".zip"
    if package.is_file():
        yield parcel_of(package, name=name, package_sha256=report.sha256 if report else "")
        return
    root = cache_folder()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parcel-", dir=root) as folder:
        packed = pack(package, Path(folder) / "package.zip", limits=held_to)
        yield parcel_of(packed.output, name=name, package_sha256=packed.package_sha256)


def _limits_of(lines: Sequence[JsonObject]) -> Limits:
    """Take over the limits that this release knows; a whole number stays one."""
    given = {str(one.get("key")): one.get("number") for one in lines}
    plain = Limits()
    known = {one.name: given[one.name] for one in fields(Limits) if given.get(one.name) is not None}
    return replace(plain, **{name: type(getattr(plain, name))(value) for name, value in known.items()})
