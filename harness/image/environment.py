"""The image's own wheels as a virtual environment of this machine, for debugging without a container.

Made once, on request: the same pinned wheels as in the image, and the same stand-in for torchvision's
operators. It is neither a sandbox nor an image: the operating system's libraries are this machine's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.core.errors import ImageError
from harness.image.wheels import PYTHON_VERSION, Wheelhouse

OPERATORS: Final = ("torchvision_operators.py", "torchvision_operators.pth")
_INSTALL_SECONDS: Final = 1800.0


def environment_folder(cache: Path, wheels: Wheelhouse) -> Path:
    """Return where the environment of these wheels is, or would be."""
    return cache / "environment" / wheels.digest[:16]


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / "bin" / "python3"


def ensure_environment(wheels: Wheelhouse, *, cache: Path, runtime: Path, say: Callable[[str], None]) -> Path:
    """Return the interpreter of the environment, making it if it is not there.

    Raises:
        ImageError: this Python is another release than the image's, or the wheels cannot be installed.
    """
    folder = environment_folder(cache, wheels)
    if python_of(folder).exists():
        return python_of(folder)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != PYTHON_VERSION:
        raise ImageError(
            f"the image has Python {PYTHON_VERSION}, this is {here}: its wheels do not fit",
            remedy=f"Install the harness under Python {PYTHON_VERSION}, or use --container.",
        )
    say(f"Installing the image's packages into {folder} (a minute or two, about 2 GB).")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as partial:
        fresh = Path(partial) / "environment"
        # Not under its later name, so that a half-made one is never found; nothing in it names its own path.
        _run([sys.executable, "-m", "venv", "--without-pip", str(fresh)])
        pip = next((wheels.folder / "tools").glob("pip-*.whl"))
        packages = sorted(str(path) for path in (wheels.folder / "packages").glob("*.whl"))
        _run(
            [str(python_of(fresh)), f"{pip}/pip", "install", "--isolated", "--no-index", "--no-deps",
             "--quiet", "--no-cache-dir", "--disable-pip-version-check", *packages]
        )  # fmt: skip
        site = next((fresh / "lib").glob("python3*")) / "site-packages"
        for name in OPERATORS:
            shutil.copyfile(runtime / name, site / name)
        fresh.rename(folder)
    return python_of(folder)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603  (our own arguments)
            command, capture_output=True, encoding="utf-8", errors="replace", check=False,
            timeout=_INSTALL_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(
            f"the environment cannot be made: {error}", remedy="Run the command again."
        ) from error
    if done.returncode != 0:
        tail = "\n    ".join(done.stderr.strip().splitlines()[-8:])
        raise ImageError(
            f"the environment cannot be made:\n    {tail}",
            remedy="Look for a full disk; on Debian, `apt-get install python3-venv`.",
        )
