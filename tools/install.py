"""Install this project with uv where it is there and can, else with pip; run by the environment it fills.

uv unpacks on every core and takes a third of pip's time. It does not read pip's settings, by which many hosts
say where packages come from: these are handed on. Where one of them has no counterpart, or uv fails for any
reason, pip does it all, and says what is wrong if something is.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

# pip's setting → uv's option. Where pip takes several values, they are separated by white space.
OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "constraint": "--constraints",
    "trusted-host": "--allow-insecure-host",
}
FLAGS = {"no-index": "--no-index", "pre": "--prerelease=allow", "no-build-isolation": "--no-build-isolation"}
VARIABLES = {
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
}
# What changes no package: how much is said, and where pip keeps things.
NO_MATTER = {
    *(
        "disable-pip-version-check",
        "quiet",
        "verbose",
        "no-input",
        "progress-bar",
        "no-color",
        "log",
        "retries",
    ),
    *("no-cache-dir", "cache-dir", "root-user-action", "require-virtualenv", "break-system-packages"),
    *("no-warn-script-location", "no-python-version-warning", "config-file", "compile", "no-compile"),
}


def settings_of(listing: str) -> dict[str, str]:
    """Return what `pip config list` prints as setting → value, the one that pip follows of each."""
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if value and rank is not None and (name not in found or rank >= found[name][0]):
            found[name] = (rank, str(ast.literal_eval(value)))
    return {name: value for name, (_, value) in found.items()}


def in_uv(settings: Mapping[str, str]) -> tuple[list[str], dict[str, str]] | None:
    """Return uv's options and variables for pip's settings; None if one of them cannot be said."""
    options, variables = [], {}
    for name, value in settings.items():
        if name in OPTIONS:
            options += [f"{OPTIONS[name]}={one}" for one in value.split()]
        elif name in FLAGS:
            on = value.strip().lower() in {"1", "true", "yes", "on", "y", "t"}
            options += [FLAGS[name]] if on else []
        elif name in VARIABLES:
            variables |= dict.fromkeys(VARIABLES[name], value)
        elif name not in NO_MATTER:
            return None
    return options, variables


def with_uv(constraints: str, what: Iterable[str], *, compiled: bool) -> bool:
    """Install with uv; tell whether that went well."""
    uv = Path(sys.prefix) / "bin" / "uv"
    if not uv.is_file():
        return False
    listing = subprocess.run(
        # Many times verbose: a setting that makes pip quiet would silence this list, too.
        [sys.executable, "-m", "pip", "config", "list", "-vvv"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = in_uv(settings_of(listing.stdout)) if listing.returncode == 0 else None
    if said is None:
        return False
    options, variables = said
    command = [
        *(str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--system-certs"),
        # As pip chooses: the best release of all places, not the first place that has the name.
        *("--index-strategy=unsafe-best-match", *options, "--constraints", constraints),
        *(["--compile-bytecode"] if compiled else []),
        *what,
    ]
    done = subprocess.run(  # noqa: S603  (our own arguments)
        command, env={**os.environ, **variables}, capture_output=True, check=False
    )
    return done.returncode == 0


def main() -> int:
    """Install what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraints", required=True, help="the file with every release")
    parser.add_argument("--no-compile", action="store_true", help="leave compiling to the first import")
    parser.add_argument("--editable", required=True, help="this project, with its extras")
    asked = parser.parse_args()
    what = ["--editable", asked.editable]
    if with_uv(asked.constraints, what, compiled=not asked.no_compile):
        return 0
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    command += ["-c", asked.constraints, *(["--no-compile"] if asked.no_compile else []), *what]
    return subprocess.run(command, check=False).returncode  # noqa: S603  (our own arguments)


if __name__ == "__main__":
    sys.exit(main())
