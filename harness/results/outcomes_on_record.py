"""Whether the outcomes that a run folder holds are those that its result was scored from.

A result is sealed, and names the sha256 of each set's journal: boards and regrades read journals, so one that
somebody changed later must show.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import InfrastructureError
from harness.core.types import SetName
from harness.results.run_folder import RunFolder
from harness.results.seal import read_document


@dataclass(frozen=True, kw_only=True)
class OutcomesOnRecord:
    """What was compared, and what is wrong."""

    checked: int  # sets whose journal was compared
    wrong: tuple[str, ...]


def outcomes_sha256(folder: RunFolder, name: SetName) -> str:
    """Return the sha256 of a set's journal; empty if there is none.

    Raises:
        InfrastructureError: it cannot be read.
    """
    path = folder.journal(name)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InfrastructureError(
            f"cannot be read: {error.strerror}", place=path, remedy="Allow reading it, and try again."
        ) from error


def compare_outcomes(result: Path) -> OutcomesOnRecord:
    """Compare the journals of a run with what its result says of them.

    Sets of which the result says nothing are passed over: results of earlier releases name no journal. So is
    a result that lies by itself, without the folder of its run.

    Raises:
        ResultError: the result cannot be read as JSON.
        InfrastructureError: a journal cannot be read.
    """
    document = read_document(result)
    sets = document.get("sets") if isinstance(document, dict) else None
    folder = _run_of(result)
    checked, wrong = 0, []
    for name in SetName if folder.path.joinpath("sets").is_dir() or folder.request.exists() else ():
        one = sets.get(name.value) if isinstance(sets, dict) else None
        named = one.get("outcomes_sha256") if isinstance(one, dict) else None
        if named:
            checked += 1
            found = outcomes_sha256(folder, name)
            if found != named:
                what = "was changed since the result was scored from it" if found else "is missing"
                wrong.append(f"{folder.journal(name).relative_to(folder.path)} {what}")
    return OutcomesOnRecord(checked=checked, wrong=tuple(wrong))


def _run_of(result: Path) -> RunFolder:
    """Return the folder of a result's run, which holds those of its regrades."""
    own = result.absolute().parent
    return RunFolder(path=own.parents[1] if own.parent.name == "regrades" else own)
