"""Lets torchvision be imported where its compiled operators do not fit the installed torch.

Package indexes often carry torchvision built for CUDA only, while torch beside it is a CPU build. The library
of operators then cannot be loaded, and `import torchvision` (hence `import timm`) ends with "operator
torchvision::nms does not exist": torchvision describes the shapes of two operators, nms and qnms, without
asking whether they are there. This module declares the two before torchvision is imported, and gives nms a
body in plain torch, so that detectors which need nothing else (MTCNN among them) work.

Where the library loads, nothing is declared and nothing is changed. Where it does not, all other operators
(roi_pool, deform_conv2d, ...) stay as torchvision leaves them, with its clear message; roi_align asks for a
C++ compiler. Nothing else of torchvision is touched.

A `.pth` file beside this module calls `install` at every start of Python. It only puts a finder in
`sys.meta_path`; torch is not imported before somebody imports torchvision.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


def install() -> None:
    """Watch for the import of torchvision. Cheap: imports nothing but importlib.

    In a virtual environment Python reads `.pth` files twice, so a second call does nothing.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds torchvision as Python would, and wraps its loader.

    It stays: others look for torchvision with `importlib.util.find_spec` long before they import it.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations:
            folder = Path(spec.submodule_search_locations[0])
            spec.loader = _Loader(spec.loader, folder)  # type: ignore[assignment]  # all the import system calls
        return spec


class _Loader:
    """Declares the operators, if they are missing, just before torchvision runs."""

    def __init__(self, loader: Any, folder: Path) -> None:
        self._loader = loader
        self._folder = folder

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Whoever asks the module later (importlib.resources, inspect) meets the real loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        missing = not _library_loads(self._folder)
        if missing:
            _declare()
        self._loader.exec_module(module)
        if missing:
            _let_nms_pass()


def _library_loads(folder: Path) -> bool:
    torch: Any = import_module("torch")  # heavy: only when torchvision is imported

    for library in sorted(folder.glob("_C*.so")):
        try:
            torch.ops.load_library(str(library))
        except OSError:  # built for another torch: a library or symbol it needs is not there
            return False
        return True
    return False


def _declare() -> None:
    torch: Any = import_module("torch")  # heavy: only when torchvision is imported

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", nms, "CPU")
    library.impl("nms", nms, "CUDA")
    _declared.append(library)


_declared: list[Any] = []  # operators vanish with the Library that made them


def _let_nms_pass() -> None:
    """Let `torchvision.ops.nms` run; the other operators keep their check, and its clear message."""
    boxes: Any = import_module("torchvision.ops.boxes")

    # `box_iou` of rotated boxes shares this check; it then fails by the missing operator's name instead.
    boxes._assert_has_ops = lambda: None


def nms(dets: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy non-maximum suppression, as torchvision's kernel does it.

    Args:
        dets: Boxes, (N, 4), as x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: A box goes when its intersection over union with a better one that stays is larger.

    Returns:
        Indices of the boxes that stay, int64, best score first.
    """
    torch: Any = import_module("torch")  # heavy: only when torchvision is imported

    order = torch.sort(scores, stable=True, descending=True).indices
    areas = (dets[:, 2] - dets[:, 0]) * (dets[:, 3] - dets[:, 1])
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(dets[best, :2], dets[rest, :2])
        high = torch.minimum(dets[best, 2:], dets[rest, 2:])
        sides = (high - low).clamp(min=0)
        shared = sides[:, 0] * sides[:, 1]
        order = rest[~(shared / (areas[best] + areas[rest] - shared) > iou_threshold)]
    return torch.stack(kept) if kept else torch.empty((0,), dtype=torch.int64, device=dets.device)
