"""Findings about weights: which files are, whether opening them would run code, and where they come from."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator, Mapping

from harness.package.findings import Finding, Severity, found
from harness.package.manifest import MANIFEST_NAME, Manifest

HEAD_BYTES = 512
INSTRUCTIONS_MIN = 3  # PROTO, a value, STOP; bytes that only look like the first are not evidence
WEIGHT_SUFFIXES = (
    *(
        ".pt",
        ".pth",
        ".bin",
        ".ckpt",
        ".safetensors",
        ".onnx",
        ".h5",
        ".hdf5",
        ".pb",
        ".tflite",
        ".npz",
        ".npy",
    ),
    *(
        ".pkl",
        ".pickle",
        ".joblib",
        ".caffemodel",
        ".engine",
        ".trt",
        ".msgpack",
        ".weights",
        ".gguf",
        ".keras",
    ),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")  # the PROTO opcode of protocols 2 to 5
_TEXT_PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")
_TORCH_ZIP = re.compile(rb"PK\x03\x04.{26}[^\0]{0,200}?(data|constants)\.pkl", re.DOTALL)
_TORCH_ZIP_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
_OBJECT_ARRAY = re.compile(rb"\x93NUMPY.{2,6}\{[^}]*'descr': '\|O", re.DOTALL)


def is_pickle(path: str, head: bytes) -> bool:
    """Tell by content, and by name if the content is ambiguous, whether opening a file runs a pickle.

    Args:
        path: The file's name.
        head: Its first `HEAD_BYTES` bytes.
    """
    lower = path.lower()
    if _TORCH_ZIP.match(head) or (head.startswith(b"PK\x03\x04") and lower.endswith(_TORCH_ZIP_SUFFIXES)):
        return True
    if _OBJECT_ARRAY.match(head):
        return True
    if _PICKLE.match(head) and _instructions(head) >= INSTRUCTIONS_MIN:
        return True
    return lower.endswith(_TEXT_PICKLE_SUFFIXES)


def _instructions(head: bytes) -> int:
    """Count the instructions of a pickle's beginning, without following any."""
    count = 0
    try:
        for _ in pickletools.genops(head):
            count += 1
    except ValueError:
        pass  # where the beginning ends, or the pickle turns out not to be one
    return count


def is_weights(path: str, head: bytes) -> bool:
    """Tell whether a file holds weights."""
    return path.lower().endswith(WEIGHT_SUFFIXES) or is_pickle(path, head)


def weight_findings(
    manifest: Manifest | None, heads: Mapping[str, bytes], *, external_data_required: bool
) -> Iterator[Finding]:
    """Yield the findings about weights.

    Args:
        manifest: What the contestant declares; None if it cannot be read.
        heads: Every file's first `HEAD_BYTES` bytes, by path.
        external_data_required: Whether the challenge refuses weights of unknown origin.
    """
    weights = sorted(path for path, head in heads.items() if is_weights(path, head))
    for path in weights:
        if is_pickle(path, heads[path]):
            yield found("P402", "is a pickle: opening it runs code", place=path)
    if manifest is None or manifest.external_data:
        return
    if weights:
        severity = Severity.ERROR if external_data_required else Severity.WARNING
        shown = ", ".join(weights[:3]) + (f" and {len(weights) - 3} more" if len(weights) > 3 else "")
        yield found(
            "P401",
            f"no [[external_data]] says what {shown} were trained on",
            place=MANIFEST_NAME,
            severity=severity,
        )
    else:
        yield found("P411", place=MANIFEST_NAME)
