"""From what the members see in a person to the log-odds of being fake.

Each member looks for one kind of trace, and the kinds exclude each other seldom: a face that a generator drew
has no seam, and a face that was laid over another has no trace of a generator's decoder. So a member that
finds nothing says little, and one that finds its trace says much: a mean of their log-odds, in which the one
would silence the other, is the wrong sum. Here every kind adds weight * softplus(its log-odds): at least
nothing, at most what it is sure of. That is close to "or", and of those sums the one that can be calibrated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

FILE = "evidence.json"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """How the kinds are summed: fitted by training/calibrate.py, written beside the members' weights.

    Attributes:
        offset: the log-odds of a face in which nothing is found.
        weights: by kind of trace, as `MemberConfig.finds` names them.
    """

    offset: float
    weights: Mapping[str, float]

    def log_odds(self, found: Mapping[str, float]) -> float:
        """The log-odds of being fake, given each kind's calibrated log-odds.

        Raises:
            KeyError: a kind has no weight.
        """
        return self.offset + sum(
            self.weights[kind] * float(np.logaddexp(0, value)) for kind, value in found.items()
        )


def load(folder: Path) -> Evidence:
    """Reads the sum that belongs to a folder of weights.

    Raises:
        FileNotFoundError: the folder holds none.
    """
    return Evidence(**json.loads((folder / FILE).read_text()))


def save(evidence: Evidence, folder: Path) -> None:
    """Writes what `load` reads."""
    (folder / FILE).write_text(json.dumps(asdict(evidence), indent=1) + "\n")
