"""A harness for black-box video challenges: run, perturb, score."""

__version__ = "0.1.0"
