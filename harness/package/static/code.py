"""Findings about a package's Python code: the entry, the command, imports, paths and the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from harness.core.text import printable
from harness.package.findings import Finding, Severity, found
from harness.package.manifest import MANIFEST_NAME, Layout, Manifest
from harness.package.static.reach import reached_from
from harness.package.static.removed import REMOVED, removed_part
from harness.package.static.scan import Method, Scan, Unreadable

NETWORK_MODULES = (
    *(
        "requests",
        "urllib.request",
        "urllib3",
        "http.client",
        "httpx",
        "aiohttp",
        "ftplib",
        "smtplib",
        "socket",
    ),
    *("huggingface_hub", "gdown", "wget", "kaggle", "kagglehub", "boto3", "paramiko", "wandb"),
)
_GONE_BEFORE_3_12 = ("asynchat", "asyncore", "distutils", "imp", "smtpd")
_SCRIPTS = (".py", ".sh")


@dataclass(frozen=True, kw_only=True)
class Code:
    """A package's code, read and not run."""

    manifest: Manifest | None  # None: it cannot be read, and the code is judged without it
    paths: frozenset[str]  # every file of the package
    scans: Mapping[str, Scan | Unreadable]  # by path, the Python files among them
    image_modules: frozenset[str]  # top-level modules that the runtime image can import
    gpus: bool = True  # whether the challenge gives any

    def main_file(self) -> str | None:
        """Return the file that the entry or the command starts, if there is one."""
        if self.manifest is None:
            return None
        if self.manifest.entry is not None:
            base = self.manifest.entry.partition(":")[0].replace(".", "/")
            return next((path for path in (f"{base}.py", f"{base}/__init__.py") if path in self.paths), None)
        return next((script for script in _scripts(self.manifest) if script in self.paths), None)


def code_findings(code: Code) -> Iterator[Finding]:
    """Yield every finding about the code."""
    main_file = code.main_file()
    yield from _syntax(code, main_file)
    if code.manifest is not None and code.manifest.entry is not None:
        yield from _entry(code, code.manifest.entry, main_file)
    elif code.manifest is not None:
        yield from _command(code, code.manifest)
    yield from _shadows(code, main_file)
    reached = reached_from(main_file, code.scans)
    available = _available(code)
    for path, scan in sorted(code.scans.items()):
        if isinstance(scan, Scan):
            for finding in (
                *_imports(available, path, scan),
                *_habits(code, path, scan),
                *_costs(code, path, scan),
            ):
                yield finding if reached is None or path in reached else replace(finding, reached=False)


def _syntax(code: Code, main_file: str | None) -> Iterator[Finding]:
    for path, scan in sorted(code.scans.items()):
        if isinstance(scan, Unreadable):
            # A file that nothing imports may be for another Python: only the main file must parse.
            severity = Severity.ERROR if path == main_file else Severity.WARNING
            message = f"is not valid Python 3.11: {printable(scan.message)}"
            yield found("P301", message, place=_at(path, scan.line), severity=severity)


def _entry(code: Code, entry: str, main_file: str | None) -> Iterator[Finding]:
    module, _, name = entry.partition(":")
    if main_file is None:
        wanted = module.replace(".", "/")
        yield found("P302", f"`entry` names {module!r}; the package has no {wanted}.py", place=MANIFEST_NAME)
        return
    scan = code.scans.get(main_file)
    if not isinstance(scan, Scan):
        return
    if name not in scan.names and not scan.star_import:
        classes = ", ".join(sorted(scan.classes)) or "none"
        yield found("P303", f"no class {name!r}; classes here: {printable(classes)}", place=main_file)
    shape = scan.classes.get(name)
    if shape is None:
        return
    if not shape.open_ended and "predict" not in shape.methods:
        yield found("P304", f"{name} has no method `predict(self, video)`", place=_at(main_file, shape.line))
    if not shape.open_ended and "__init__" not in shape.methods:
        yield found("P304", f"{name} has no `__init__(self, package)`", place=_at(main_file, shape.line))
    for method_name, argument in (("__init__", "package"), ("predict", "video")):
        method = shape.methods.get(method_name)
        if method is not None:
            yield from _signature(method, f"{name}.{method_name}", argument, main_file)


def _signature(method: Method, name: str, argument: str, path: str) -> Iterator[Finding]:
    if method.asynchronous:
        yield found("P304", f"{name} is asynchronous", place=_at(path, method.line))
    elif not method.decorated and not method.takes_one():
        yield found("P304", f"{name} cannot be called with `{argument}` alone", place=_at(path, method.line))


def _command(code: Code, manifest: Manifest) -> Iterator[Finding]:
    command = manifest.command or ()
    program = command[0].removeprefix("{package}/").removeprefix("./")
    if program in code.paths:
        yield found("P314", f"`command` starts {printable(program)!r} itself", place=MANIFEST_NAME)
    for script in _scripts(manifest):
        if script not in code.paths:
            yield found(
                "P305", f"`command` names {printable(script)!r}, which is missing", place=MANIFEST_NAME
            )


def _scripts(manifest: Manifest) -> Iterator[str]:
    """Yield the parts of the command that name a script in the package, relative to its root."""
    for part in manifest.command or ():
        path = part.removeprefix("{package}/").removeprefix("./")
        if path.endswith(_SCRIPTS) and not path.startswith(("-", "/")) and "{" not in path:
            yield path


def _shadows(code: Code, main_file: str | None) -> Iterator[Finding]:
    # Python looks for modules beside a script, and for an entry's in the package's root.
    script = main_file if main_file and code.manifest and code.manifest.entry is None else ""
    folder = script.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    known = code.image_modules | sys.stdlib_module_names | {"sitecustomize", "usercustomize"}
    for path in sorted(code.scans):
        if not path.startswith(prefix):
            continue
        top, slash, rest = path.removeprefix(prefix).partition("/")
        name = top.removesuffix(".py")
        if name in known and (not slash or rest == "__init__.py"):
            yield found("P312", f"hides the module {name!r}", place=path)


def _available(code: Code) -> frozenset[str]:
    """Return the top-level names that an import may mean: the image's, Python's, and the package's own."""
    own = {part.removesuffix(".py") for path in code.paths for part in path.split("/")}
    return code.image_modules | sys.stdlib_module_names | own | set(_GONE_BEFORE_3_12)


def _imports(available: frozenset[str], path: str, scan: Scan) -> Iterator[Finding]:
    seen: set[str] = set()
    for item in scan.imports:
        top = item.module.partition(".")[0]
        if top in seen:
            continue
        seen.add(top)
        if top not in available:
            where = " (guarded: fine if it is optional)" if item.guarded else ""
            yield found(
                "P311",
                f"imports {printable(top)!r}, which the runtime image lacks{where}",
                place=_at(path, item.line),
            )


def _habits(code: Code, path: str, scan: Scan) -> Iterator[Finding]:
    for item in scan.imports:
        if any(item.module == name or item.module.startswith(f"{name}.") for name in NETWORK_MODULES):
            yield found(
                "P501", f"imports {printable(item.module)!r}; there is no network", place=_at(path, item.line)
            )
    for hint in scan.downloads:
        yield found("P501", f"{printable(hint.text)} may download", place=_at(path, hint.line))
    for hint in scan.elsewhere:
        if hint.text.startswith("/kaggle/"):
            if code.manifest is None or code.manifest.layout is Layout.KAGGLE:
                continue
            message = f'{printable(hint.text)!r} needs layout = "kaggle" in submission.toml'
        else:
            message = f"{printable(hint.text)!r} does not exist in the container"
        yield found("P502", message, place=_at(path, hint.line))


def _costs(code: Code, path: str, scan: Scan) -> Iterator[Finding]:
    """Yield what fails late or scores badly: removed names, absent GPUs, errors answered by a guess."""
    seen: set[str] = set()
    for hint in scan.habits.names:
        part = removed_part(hint.text)
        if part is not None and part not in seen:
            seen.add(part)
            message = f"{part} is gone from the image's release. Instead: {REMOVED[part]}"
            yield found("P315", message, place=_at(path, hint.line))
    for hint in scan.habits.guesses:
        message = f"an `except` answers {hint.text}: an error then counts as a guess, and nobody sees it"
        yield found("P316", message, place=_at(path, hint.line))
    for hint in scan.habits.waits:
        yield found("P318", f"{hint.text}; nobody answers in the container", place=_at(path, hint.line))
    if not code.gpus:
        for hint in scan.habits.cuda:
            yield found(
                "P317",
                f"{printable(hint.text)}; this challenge gives no GPU",
                place=_at(path, hint.line),
            )


def _at(path: str, line: int) -> str:
    return f"{path}:{line}" if line else path
