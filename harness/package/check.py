"""Look a package over before it runs: every finding at once, each with its remedy.

Static checks need no container. Where the caller can start one, it passes a `ContainerProbe`, and the package
is also started and shown sample videos. A package without an error will be run; a package with one will not.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from harness.core.errors import PackageError
from harness.core.text import printable
from harness.core.types import Limits, Mode
from harness.package.content_rules import Entry, shortened
from harness.package.findings import Finding, Severity, found
from harness.package.layout import kaggle_datasets
from harness.package.manifest import MANIFEST_NAME, Layout, Manifest
from harness.package.opened import Package, digest, open_package
from harness.package.source import Survey, survey
from harness.package.static.code import Code, code_findings
from harness.package.static.own_wheels import OwnWheel, is_own_wheel, look, wheel_findings
from harness.package.static.scan import SOURCE_BYTES_MAX, Scan, Unreadable, scan
from harness.package.static.weights import HEAD_BYTES, is_weights, weight_findings

SOURCES_BYTES_MAX = 8_000_000  # of Python files looked at in one package; the largest are left out first
LARGE_BYTES = 50_000_000
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the challenge asks of a package."""

    modes: Collection[Mode] = tuple(Mode)
    external_data_required: bool = True
    kaggle_slug: str = "deepfake-detection-challenge"


@dataclass(frozen=True, kw_only=True)
class ContainerProbe:
    """What a caller with a container engine knows and can do. `harness.run.trial` makes one."""

    modules: frozenset[str]  # top-level modules that the runtime image can import
    smoke: Callable[[Package], Iterable[Finding]]  # starts the package on sample videos


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Everything that was found."""

    source: str
    name: str  # of the package; empty where the manifest cannot be read
    sha256: str  # of the package; empty where its files cannot all be read
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

    def to_json(self) -> str:
        """Return the report as a JSON object, with `schema` and `ok` beside its fields."""
        document = {"schema": SCHEMA_VERSION, "ok": self.ok, **asdict(self)}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What one pass over every file of a package gives."""

    sha256: str
    heads: dict[str, bytes]
    scans: dict[str, Scan | Unreadable]
    wheels: tuple[OwnWheel, ...]
    findings: tuple[Finding, ...]


def check_package(
    source: Path, *, limits: Limits, rules: Rules | None = None, inside: ContainerProbe | None = None
) -> CheckReport:
    """Check a folder or zip.

    Args:
        source: The package.
        limits: Its size and number of files.
        rules: What the challenge asks.
        inside: Where given, a package that can be opened is also started; without it, a note says so.
    """
    rules = rules or Rules()
    with survey(source, limits=limits) as looked:
        reading = _read_all(looked, bytes_max=limits.package_bytes)
        findings = [*looked.findings, *reading.findings]
        if looked.manifest is not None:
            findings += _contract(looked, looked.manifest, rules)
        findings += _static(looked, reading, rules, limits, inside.modules if inside else shipped_modules())
        opens = looked.manifest is not None and not looked.errors
        complete = bool(looked.contents.members) and not looked.errors and not reading.findings
    if inside is None:
        findings.append(found("P621"))
    elif opens:  # what a run shows is worth more than what its text does: an error there does not hide it
        findings += _run(source, limits, inside)
    order = list(Severity)
    return CheckReport(
        source=printable(source.name),
        name=looked.manifest.name if looked.manifest else "",
        sha256=reading.sha256 if complete else "",
        size_bytes=looked.contents.size_bytes,
        file_count=len(looked.contents.members),
        opens=opens,
        findings=tuple(
            sorted(shortened(findings), key=lambda f: (order.index(f.severity), not f.reached, f.code))
        ),
    )


def shipped_modules() -> frozenset[str]:
    """Return the top-level modules of the runtime image as released, for where no engine can be asked."""
    text = files("harness.package.static").joinpath("image_modules.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def _read_all(looked: Survey, *, bytes_max: int) -> _Reading:
    heads: dict[str, bytes] = {}
    scans: dict[str, Scan | Unreadable] = {}
    findings: list[Finding] = []
    wheels: list[OwnWheel] = []
    listing: list[tuple[Entry, str]] = []
    too_large = _too_large(looked.contents.members)
    bytes_left = bytes_max
    for entry in looked.contents.members:
        if entry.size_bytes > bytes_left:
            continue  # P112 is found already; a file may be a terabyte of nothing, or a bomb
        bytes_left -= entry.size_bytes
        python = _is_python(entry) and entry.path not in too_large
        sha256, head, keep = hashlib.sha256(), b"", SOURCE_BYTES_MAX if python else HEAD_BYTES
        try:
            with tempfile.TemporaryFile() as wheel:
                for piece in looked.read(entry):
                    sha256.update(piece)
                    head += piece[: keep - len(head)]
                    if is_own_wheel(entry.path):
                        wheel.write(piece)
                if is_own_wheel(entry.path):
                    wheels.append(look(entry.path, wheel))
        except PackageError as error:
            findings.append(found("P103" if looked.zipped else "P101", error.message, place=entry.path))
            continue
        listing.append((entry, sha256.hexdigest()))
        heads[entry.path] = head[:HEAD_BYTES]
        if python:
            scans[entry.path] = scan(head, place=entry.path)
    findings += [found("P313", f"{size:,} bytes of Python", place=path) for path, size in too_large.items()]
    return _Reading(
        sha256=digest(listing),
        heads=heads,
        scans=scans,
        wheels=tuple(wheels),
        findings=tuple(findings),
    )


def _is_python(entry: Entry) -> bool:
    return entry.path.endswith(".py")


def _too_large(members: Iterable[Entry]) -> dict[str, int]:
    """Choose the Python files that are not looked at: those over the cap, and the largest over the sum."""
    sizes = {entry.path: entry.size_bytes for entry in members if _is_python(entry)}
    total = 0
    chosen = {}
    for path, size in sorted(sizes.items(), key=lambda item: item[1]):
        total += size
        if size > SOURCE_BYTES_MAX or total > SOURCES_BYTES_MAX:
            chosen[path] = size
    return chosen


def _contract(looked: Survey, manifest: Manifest, rules: Rules) -> Iterator[Finding]:
    if manifest.mode not in rules.modes:
        allowed = " and ".join(sorted(rules.modes))
        yield found("P204", f"{manifest.mode} mode; this challenge allows {allowed}", place=MANIFEST_NAME)
    if manifest.layout is Layout.KAGGLE:
        try:
            kaggle_datasets(manifest, looked.contents.folders(), rules.kaggle_slug)
        except PackageError as error:
            yield found("P203", error.message, place=MANIFEST_NAME)


def _static(
    looked: Survey, reading: _Reading, rules: Rules, limits: Limits, modules: frozenset[str]
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
        looked.manifest, reading.heads, external_data_required=rules.external_data_required
    )
    for entry in members:
        if any(part.startswith(".") for part in entry.path.split("/")):
            yield found("P114", place=entry.path)
        if entry.size_bytes > LARGE_BYTES and not is_weights(entry.path, reading.heads.get(entry.path, b"")):
            yield found("P115", f"{entry.size_bytes:,} bytes that do not look like weights", place=entry.path)


def _run(source: Path, limits: Limits, inside: ContainerProbe) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
        Path(folder).chmod(0o755)  # the container's user is another one
        root = Path(folder) / "package"
        try:
            return list(inside.smoke(open_package(source, root, limits=limits)))
        except PackageError as error:
            return [found("P101", error.message, place=error.place or "")]
