"""What each command prints with `--json`: one type for each, whose schema is in docs/schemas.

A command that goes well or not prints one document on standard output and nothing else there. Where it
cannot be done at all (exit codes 2 and 3) there is no document; the error is on standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.core.files import write_text


class Document(BaseModel):
    """What every document has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(
        default=1, description="a key that is removed, or means something else, makes it another version"
    )


_ROOM = "harness.cli.documents."
# By command. A command that prints another document with an option has a row for that, too.
DOCUMENTS: Mapping[str, str] = {
    "access list": f"{_ROOM}portal:AccessListDocument",
    "audit": f"{_ROOM}videos:AuditDocument",
    "audit --labels": f"{_ROOM}videos:LabelsDocument",
    "backup list": f"{_ROOM}portal:BackupListDocument",
    "backup make": f"{_ROOM}portal:BackupMakeDocument",
    "backup verify": f"{_ROOM}portal:BackupVerifyDocument",
    "board": f"{_ROOM}board:BoardDocument",
    "calibrate": f"{_ROOM}machine:CalibrateDocument",
    "check": f"{_ROOM}package:CheckDocument",
    "contest packages": f"{_ROOM}contest:ContestPackagesDocument",
    "contest plan": f"{_ROOM}contest:ContestPlanDocument",
    "contest show": f"{_ROOM}contest:ContestShowDocument",
    "contest status": f"{_ROOM}contest:ContestStatusDocument",
    "doctor": f"{_ROOM}machine:DoctorDocument",
    "environment": f"{_ROOM}machine:EnvironmentDocument",
    "image": f"{_ROOM}machine:ImageDocument",
    "leaderboard": f"{_ROOM}results:LeaderboardDocument",
    "limits": f"{_ROOM}package:LimitsDocument",
    "pack": f"{_ROOM}package:PackDocument",
    "perturb list": f"{_ROOM}videos:KindsDocument",
    "perturb render": f"{_ROOM}videos:RenderDocument",
    "plan": f"{_ROOM}board:PlanDocument",
    "predict": f"{_ROOM}package:PredictDocument",
    "reap": f"{_ROOM}machine:ReapDocument",
    "rebuild": f"{_ROOM}results:RebuildDocument",
    "regrade": f"{_ROOM}results:RegradeDocument",
    "run": f"{_ROOM}results:RunDocument",
    "score": f"{_ROOM}results:ScoreDocument",
    "score-folder": f"{_ROOM}results:ScoreFolderDocument",
    "self-check": f"{_ROOM}machine:SelfCheckDocument",
    "verify": f"{_ROOM}results:VerifyDocument",
}

# These print an answer of the portal's API as it is: the portal's own /api/v1/openapi.json has the schema.
OF_THE_API = frozenset(f"remote {name}" for name in ("board", "cancel", "select", "status", "submit"))


def document_type(command: str) -> type[Document]:
    """Return the type of what a command prints.

    Raises:
        KeyError: it prints none.
    """
    module, _, name = DOCUMENTS[command].partition(":")
    found: type[Document] = getattr(import_module(module), name)
    return found


def schema_of(command: str) -> dict[str, Any]:
    """Return the JSON schema of what a command prints."""
    title = f"harness {command} --json"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document_type(command).model_json_schema(mode="serialization"),
        "title": title,
    }


def schema_name(command: str) -> str:
    """Return the name of the file in docs/schemas."""
    return f"{'-'.join(command.replace('--', '').split())}.schema.json"


def print_document(document: Document) -> None:
    """Write a document to standard output; in ASCII if it cannot show more."""
    text = document.model_dump_json(indent=2)
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        text = json.dumps(json.loads(text), indent=2)
    sys.stdout.write(text + "\n")


def write_schemas(folder: Path) -> None:
    """Write every schema: `python -m harness.cli.documents` does, from the repository's root."""
    for command in DOCUMENTS:
        text = json.dumps(schema_of(command), indent=2, ensure_ascii=False)
        write_text(folder / schema_name(command), text + "\n")
