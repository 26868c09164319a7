"""Check a package before it runs: every finding at once, each with its remedy.

Static checks need no container. If the caller can start one, it passes a `ContainerProbe`, and the package
is also started and shown sample videos. Only a package without an error is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from harness.core.challenge import Contract
from harness.core.errors import PackageError
from harness.core.text import printable
from harness.core.types import Limits
from harness.package.content_rules import shortened
from harness.package.findings import Finding, Severity, found
from harness.package.layout import kaggle_datasets
from harness.package.manifest import MANIFEST_NAME, Layout, Manifest
from harness.package.opened import Package, read_and_open, remove_package
from harness.package.reading import PackageReading
from harness.package.source import Survey, survey
from harness.package.static.code import Code, code_findings
from harness.package.static.own_wheels import wheel_findings
from harness.package.static.weights import is_weights, weight_findings

LARGE_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class ContainerProbe:
    """What a caller with a container engine knows and can do. `harness.run.trial` makes one."""

    modules: frozenset[str]  # top-level modules that the runtime image can import
    smoke: Callable[[Package], Iterable[Finding]]  # starts the package on sample videos


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Everything that was found."""

    source: str
    name: str  # of the package; empty if the manifest cannot be read
    sha256: str  # of the package; empty if its files cannot all be read
    size_bytes: int
    file_count: int
    findings: tuple[Finding, ...]  # the worst first
    opens: bool = True  # can be run at all, whatever its code looks like

    @property
    def ok(self) -> bool:
        """Tell whether the package will be run."""
        return not self.count(Severity.ERROR)

    def count(self, severity: Severity) -> int:
        """Count the findings of one severity."""
        return sum(finding.severity is severity for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A package that can be started. It may still have errors: see its report."""

    package: Package
    _inspected: _Inspected

    def report(self, *, modules: frozenset[str] | None = None, more: Iterable[Finding] = ()) -> CheckReport:
        """Return everything that was found, without reading anything again.

        Args:
            modules: Top-level modules that the runtime image can import; those of the release by default.
            more: Further findings, of a trial.
        """
        return self._inspected.report(modules or shipped_modules(), more)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A package that cannot be started, and everything that was found in it."""

    _inspected: _Inspected

    def report(self, *, modules: frozenset[str] | None = None, more: Iterable[Finding] = ()) -> CheckReport:
        """Return everything that was found. See `Opened.report`."""
        return self._inspected.report(modules or shipped_modules(), more)


def admit(
    source: Path, destination: Path | None, *, limits: Limits, contract: Contract | None = None
) -> Opened | Refused:
    """Survey a folder or zip, read each of its files once, and open it on the way if nothing forbids it.

    Args:
        source: The package.
        destination: Where it is opened; see `harness.package.opened`. Without one nothing is opened.
        limits: Its size and number of files.
        contract: What the challenge asks.

    Raises:
        InfrastructureError: the destination exists or cannot be written.
    """
    with survey(source, limits=limits) as looked:
        package, reading = read_and_open(looked, destination, limits=limits)
        inspected = _Inspected(
            source=printable(source.name),
            looked=looked,
            reading=reading,
            contract=contract or Contract(),
            limits=limits,
        )
    return Refused(_inspected=inspected) if package is None else Opened(package=package, _inspected=inspected)


def check_package(
    source: Path, *, limits: Limits, contract: Contract | None = None, inside: ContainerProbe | None = None
) -> CheckReport:
    """Check a folder or zip.

    Args:
        source: The package.
        limits: Its size and number of files.
        contract: What the challenge asks.
        inside: If given, a package that can be opened is also started; without it, a note says so.
    """
    if inside is None:
        return admit(source, None, limits=limits, contract=contract).report(more=[found("P621")])
    with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
        Path(folder).chmod(0o755)  # the container's user is another one
        root = Path(folder) / "package"
        try:
            admitted = admit(source, root, limits=limits, contract=contract)
            if isinstance(admitted, Refused):
                return admitted.report(modules=inside.modules)
            # A run shows more than the text: an error in the text does not suppress it.
            return admitted.report(modules=inside.modules, more=inside.smoke(admitted.package))
        finally:
            remove_package(root)


@dataclass(frozen=True, kw_only=True)
class _Inspected:
    """What one pass over a package found; its meaning depends on the challenge and the image."""

    source: str
    looked: Survey
    reading: PackageReading
    contract: Contract
    limits: Limits

    def report(self, modules: frozenset[str], more: Iterable[Finding]) -> CheckReport:
        looked, reading = self.looked, self.reading
        findings = [*looked.findings, *reading.findings]
        if looked.manifest is not None:
            findings += _contract(looked, looked.manifest, self.contract)
        findings += _static(looked, reading, self.contract, self.limits, modules)
        findings += more
        complete = bool(looked.contents.members) and not looked.errors and not reading.findings
        order = list(Severity)
        return CheckReport(
            source=self.source,
            name=looked.manifest.name if looked.manifest else "",
            sha256=reading.sha256 if complete else "",
            size_bytes=looked.contents.size_bytes,
            file_count=len(looked.contents.members),
            opens=looked.manifest is not None and not looked.errors,
            findings=tuple(
                sorted(shortened(findings), key=lambda f: (order.index(f.severity), not f.reached, f.code))
            ),
        )


def shipped_modules() -> frozenset[str]:
    """Return the top-level modules of the runtime image as released, for when no engine can be asked."""
    text = files("harness.package.static").joinpath("image_modules.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def _contract(looked: Survey, manifest: Manifest, contract: Contract) -> Iterator[Finding]:
    if manifest.mode not in contract.modes:
        allowed = " and ".join(sorted(contract.modes))
        yield found("P204", f"{manifest.mode} mode; this challenge allows {allowed}", place=MANIFEST_NAME)
    if manifest.layout is Layout.KAGGLE:
        try:
            kaggle_datasets(manifest, looked.contents.folders(), contract.kaggle_slug)
        except PackageError as error:
            yield found("P203", error.message, place=MANIFEST_NAME)


def _static(
    looked: Survey, reading: PackageReading, contract: Contract, limits: Limits, modules: frozenset[str]
) -> Iterator[Finding]:
    members = looked.contents.members
    code = Code(
        manifest=looked.manifest,
        paths=frozenset(entry.path for entry in members),
        scans=reading.scans,
        image_modules=modules.union(*(wheel.modules for wheel in reading.wheels if not wheel.problem)),
        gpus=limits.gpus > 0,
    )
    yield from code_findings(code)
    yield from wheel_findings(reading.wheels, limits)
    yield from weight_findings(
        looked.manifest, reading.heads, external_data_required=contract.external_data_required
    )
    for entry in members:
        if any(part.startswith(".") for part in entry.path.split("/")):
            yield found("P114", place=entry.path)
        if entry.size_bytes > LARGE_BYTES and not is_weights(entry.path, reading.heads.get(entry.path, b"")):
            yield found("P115", f"{entry.size_bytes:,} bytes that do not look like weights", place=entry.path)
