"""A harness for black-box video challenges: run, perturb, score.

`harness.evaluate`, `check`, `score`, `perturb` and `audit` are its public functions; see `harness.api`.
"""

from harness.api import audit, check, evaluate, perturb, score

__all__ = ["__version__", "audit", "check", "evaluate", "perturb", "score"]
__version__ = "0.1.0"
