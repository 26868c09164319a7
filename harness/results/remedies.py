"""Remedies for errors, by what the error says. A table; each row has a test."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from harness.core.limits import bytes_in_words, seconds_in_words
from harness.core.types import Limits, OutcomeKind
from harness.core.usage import Usage

_ITEM: Final = "Return a plain number: `return tensor.item()`, or `float(array.squeeze())`."
# What the words match → what to do. The first that fits is taken: the particular stands before the general.
BY_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"no probability: '?(Tensor|ndarray|array) of shape \(1(, 1)*,?\)", _ITEM),
    (r"no probability: '?\w+ of shape", "Return one number for the video: take the mean over its frames."),
    (
        r"no probability: (?i:nan)",
        "NaN: look for a division by zero, an empty list of frames or faces, or half precision that "
        "overflows.",
    ),
    (
        r"no probability: -?(?i:inf)",
        "Infinite: clip before the logarithm, or check for half precision that overflows.",
    ),
    (
        r"no probability: -?\d[\d.e+-]*",
        "That looks like a logit or a percentage. `torch.sigmoid(logit)` makes a probability of a logit.",
    ),
    (r"no probability: None", "`predict` returned nothing: is a `return` missing on some path?"),
    (r"no probability: (True|False|'?bool)", "Return the probability, not the decision: `float(p)`."),
    (r"no probability: '", "Return a number, not text: `float(…)`."),
    (
        r"(Torch not compiled with CUDA|No CUDA GPUs are available|Found no NVIDIA driver|CUDA driver)",
        'There is no GPU here. Choose with `device = "cuda" if torch.cuda.is_available() else '
        '"cpu"`, and load '
        "weights with `map_location=device`.",
    ),
    (
        r"Attempting to deserialize object on a CUDA device",
        'The weights were saved from a GPU: `torch.load(path, map_location="cpu")`.',
    ),
    (r"CUDA out of memory|CUDA error: out of memory", "Use smaller batches, or half precision."),
    (
        r"(download\.pytorch\.org|load_state_dict_from_url|download_url_to_file|weights=.DEFAULT"
        r"|pretrained=True|encoder_weights=|(?<!_)hub\.load)",
        '`weights="DEFAULT"` and `pretrained=True` download. Make the model with `weights=None`, put '
        "its weights "
        "into the package and load them from there.",
    ),
    (
        r"(huggingface|LocalEntryNotFound|HF_HUB_OFFLINE|offline mode|outgoing traffic has been disabled"
        r"|cached files)",
        "There is no network, so nothing can come from a hub. Put the model's folder into the "
        "package, and load it "
        'with `from_pretrained(package / "model", local_files_only=True)`.',
    ),
    (
        r"(URLError|Name or service not known|Temporary failure in name resolution|Network is unreachable"
        r"|ConnectionError|NameResolutionError)",
        "There is no network: put every file into the package.",
    ),
    (
        r"(Read-only file system|PermissionError: \[Errno 13\])",
        "Only /tmp can be written, and the package and the videos are read-only: use `tempfile`.",
    ),
    (
        r"FileNotFoundError: .*: '(?!/)[^']*'",
        "That path is relative, and the working directory is not the package: write `package / "
        '"name"`, with the '
        "`package` that `__init__` is given.",
    ),
    (
        r"FileNotFoundError: .*'/",
        "Nothing outside the package exists in the container: build paths from `package`.",
    ),
    (
        r"ModuleNotFoundError: No module named '\w+\.",
        "The library is there, but has no such part: another release of it, or a file left out of the "
        "package. `harness check --static` names what replaced many.",
    ),
    (
        r"(ModuleNotFoundError|ImportError): ",
        "Bring the module: as a folder beside the entry, or as a wheel for Python 3.11 in the "
        "package's `wheels/`. "
        "docs/contestants.md lists what the image has.",
    ),
    (
        r"(EOFError: EOF when reading a line|bdb\.BdbQuit|breakpoint\(\)|\(Pdb\))",
        "Nobody answers inside: remove `input()` and `breakpoint()`. `harness predict PACKAGE VIDEO "
        "--pdb` gives "
        "a real debugger.",
    ),
    (
        r"^no table in ",
        "The command ended without the file that `{output}` names: write `filename,label` there, and a row "
        "for each video.",
    ),
    (r"^no row\b", "The table needs a row `filename,label` for every video, by the file's own name."),
    (r"SystemExit", "`exit()` ends the package: return an answer, or raise an exception."),
    (
        r"AttributeError: module 'numpy' has no attribute '(int|float|bool|object|str|long|complex)'",
        "NumPy removed that name: write the plain Python type, such as `int` or `float`.",
    ),
    (
        r"weights_only|Unsupported global",
        "`torch.load` reads plain tensors only by default now. Save a `state_dict` (safetensors is "
        "best), or pass "
        "`weights_only=False` for a file of your own.",
    ),
    (
        r"(InvalidCxxCompiler|InductorError|BackendCompilerFailed)",
        "`torch.compile` failed. Its caches and compilers need /tmp; try `torch.compile(model, "
        "dynamic=True)`, or "
        "do without it.",
    ),
)


def _memory(limits: Limits, usage: Usage) -> str:
    return (
        f"The limit is {bytes_in_words(limits.memory_bytes)}, /tmp and /dev/shm included"
        f"{_peak(usage.peak_memory_bytes)}. Read fewer frames at a time, and free them."
    )


def _gpu_memory(limits: Limits, usage: Usage) -> str:
    return (
        f"The limit is {bytes_in_words(limits.gpu_memory_bytes)}{_peak(usage.peak_gpu_memory_bytes)}: "
        "use smaller batches, or half precision."
    )


def _peak(peak_bytes: int | None) -> str:
    return "" if peak_bytes is None else f"; the most that was seen in use is {bytes_in_words(peak_bytes)}"


def _output(limits: Limits, usage: Usage) -> str:
    del usage
    return (
        f"What is printed is limited to {bytes_in_words(limits.log_bytes)} for a set: print less for "
        f"each video, "
        "and switch progress bars off."
    )


def _timeout(limits: Limits, usage: Usage) -> str:
    del usage
    return (
        f"One video may take {seconds_in_words(limits.video_seconds)}: look at fewer frames. A hang "
        f"inside decord "
        "comes from a header that claims more frames than the file holds; PyAV and OpenCV do not hang on it."
    )


BY_KIND: Final[dict[OutcomeKind, Callable[[Limits, Usage], str]]] = {
    OutcomeKind.MEMORY_LIMIT: _memory,
    OutcomeKind.GPU_MEMORY_LIMIT: _gpu_memory,
    OutcomeKind.OUTPUT_LIMIT: _output,
    OutcomeKind.VIDEO_TIMEOUT: _timeout,
}
_DIED: Final = (
    "The process ended by itself. `exit()` or `os._exit()` does that; exit code 139 is a crash in a "
    "library's own "
    "code, 137 a kill."
)


def remedy_of(
    kind: OutcomeKind,
    words: str,
    *,
    log_tail: str = "",
    limits: Limits | None = None,
    usage: Usage | None = None,
) -> str:
    """Return a remedy for a failure; empty if nothing fits better than its own words.

    Args:
        kind: Of the failure.
        words: What the package or the gateway said about it.
        log_tail: The end of the package's log: asked only if the words say nothing.
        limits: Those of the run.
        usage: What the run used.
    """
    if kind in BY_KIND:
        return BY_KIND[kind](limits or Limits(), usage or Usage())
    for text in (words, log_tail):
        for pattern, remedy in BY_WORDS:
            if re.search(pattern, text):
                return remedy
        if "exit code" in text:
            return _DIED
        if "Traceback" in text:
            break  # it says itself what is wrong; an older line of the log would only mislead
    return ""
