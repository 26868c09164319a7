"""Standard output and error that refuse no character: what they cannot show is spelled in ASCII, or escaped.

`LC_ALL=C` is what a cron job, a container or an old cluster has; a crash while an error is printed hides it.
"""

from __future__ import annotations

import codecs
import io
import sys
from typing import Final

_SPELLED: Final = {
    "…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "·": "/", "●": "*", "×": "x", "±": "+-", "≤": "<=",
    "≥": ">=", "ε": "epsilon", "σ": "sigma", "α": "alpha", "²": "^2", "“": '"', "”": '"', "’": "'", "✓": "ok",
    "°": " degrees", "½": "1/2",
}  # fmt: skip
_ERRORS: Final = "harness-spelled"
_RAW_BYTES: Final = range(0xDC80, 0xDD00)  # how Python holds bytes of a file's name that are no text


def make_streams_safe() -> None:
    """Let standard output and error spell what they cannot show; none of them raises from now on."""
    codecs.register_error(_ERRORS, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != _ERRORS:
            stream.reconfigure(errors=_ERRORS)


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if ord(character) in _RAW_BYTES:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    escaped = character.encode("ascii", "backslashreplace").decode("ascii")
    return _SPELLED.get(character, escaped), error.start + 1
