"""What an organiser asked for on a page, and the correction that it comes to where the labels are."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.contest.regrade.corrections import Correction, read_correction
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError
from harness.core.types import SetName

FOLDER = "corrections"  # beside challenge.toml: CSV files that can be chosen on the page


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A correction in an organiser's own words.

    Attributes:
        labels: CSV text by the set that it is of; of every set that has the videos if that is empty.
        files: Names of files in the challenge's folder `corrections`, by the set that they are of.
        drop: Videos that do not count, one a line.
        epsilon: Of the clip.
        failed_probability: What a failed video scores.
        adds: To the correction of the regrade in force, and not in its place.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    drop: str = ""
    epsilon: float | None = None
    failed_probability: float | None = None
    adds: bool = True

    def to_json(self) -> str:
        """Return it as one JSON document."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


def read_asked(document: str) -> Asked:
    """Read it back.

    Raises:
        ConfigError: another release wrote it, in other words.
    """
    try:
        return Asked(**json.loads(document))
    except (TypeError, ValueError) as error:
        raise ConfigError("what was requested cannot be read here", remedy="Ask for it again.") from error


def correction_files(challenge_toml: Path) -> tuple[str, ...]:
    """Return the names of the files that can be chosen; of their content nothing is read."""
    folder = challenge_toml.parent / FOLDER
    found = sorted(path.name for path in folder.glob("*.csv")) if folder.is_dir() else []
    return tuple(name for name in found if (folder / name).is_file() and not (folder / name).is_symlink())


def correction_asked(
    asked: Asked, challenge: Challenge, challenge_toml: Path, in_force: Correction
) -> Correction:
    """Read what was requested, by the reader of `harness regrade`.

    Raises:
        LabelsError: a file cannot be read; a row is for no video, or for different videos of one name.
        ConfigError: a set is unknown, a number is out of range, or a list cannot be read.
    """
    known = correction_files(challenge_toml)
    with tempfile.TemporaryDirectory(prefix="regrade-") as folder:  # nobody else's to read
        given = []
        for name, text in asked.labels.items():
            path = Path(folder) / f"{name or 'given'}.csv"
            path.write_text(text, encoding="utf-8")
            given.append(f"{name}={path}" if name else str(path))
        for name, chosen in asked.files.items():
            if chosen not in known:
                raise ConfigError(
                    f"there is no {chosen}", place=challenge_toml.parent / FOLDER, remedy="Choose another."
                )
            path = challenge_toml.parent / FOLDER / chosen
            given.append(f"{name}={path}" if name else str(path))
        drop = Path(folder) / "drop.txt"
        drop.write_text(asked.drop, encoding="utf-8")
        found = read_correction(
            challenge,
            labels=given,
            drop=drop if asked.drop.strip() else None,
            epsilon=asked.epsilon,
            failed_probability=asked.failed_probability,
        )
    return added(in_force, found) if asked.adds else found


def added(before: Correction, more: Correction) -> Correction:
    """Return both corrections in one; where they speak of the same, the later one counts."""
    sets = {*before.labels, *more.labels}
    return Correction(
        labels={name: {**before.labels.get(name, {}), **more.labels.get(name, {})} for name in sets},
        dropped=before.dropped | more.dropped,
        epsilon=before.epsilon if more.epsilon is None else more.epsilon,
        failed_probability=(
            before.failed_probability if more.failed_probability is None else more.failed_probability
        ),
    )


def to_plain(correction: Correction) -> dict[str, Any]:
    """Return a correction as JSON can hold it; `in_force.correction_of` reads it back."""
    return {
        "labels": {SetName(name).value: dict(rows) for name, rows in correction.labels.items()},
        "dropped": sorted(correction.dropped),
        "epsilon": correction.epsilon,
        "failed_probability": correction.failed_probability,
    }
