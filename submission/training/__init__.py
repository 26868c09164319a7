"""Training of the reference entry: from clips to weights. Not part of the package that is handed in.

Its modules are run with the package on the path, `PYTHONPATH=submission python -m training.train --help`, or
all in their order by `make train`. The first two lines come before any import of torch or timm, here because
nothing else of this package is imported earlier.
"""

import os

from . import children, shim

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in predictor.py

children.end_with_parent()  # a no-op but for what `children.run` starts

__all__ = ["children", "shim"]
