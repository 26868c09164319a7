"""Makes `import timm` work beside a CPU build of torch, as the runtime image does.

The runtime image loads `torchvision_operators` at Python's start; on the host it is taken from the harness
beside this package. Where it is missing (the package alone, or an environment whose torchvision fits)
nothing is done.
"""

import importlib.util
import sys
from pathlib import Path

_FILE = Path(__file__).resolve().parents[2] / "harness" / "image" / "runtime" / "torchvision_operators.py"

if _FILE.exists() and "torchvision_operators" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("torchvision_operators", _FILE)
    if _spec is not None and _spec.loader is not None:
        _module = importlib.util.module_from_spec(_spec)
        sys.modules["torchvision_operators"] = _module
        _spec.loader.exec_module(_module)
        _module.install()
