"""Python that brings its parser down: found in the text, before the parser sees it. Pure.

The parser joins the names of `import a.b.c` one by one and keeps each join: memory grows with the square of
their number, and 40 KB of it take half a gigabyte.
"""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from typing import Final

NAMES_MAX: Final = 100  # of one import, with dots between
# Each a table, or close to one; others make more of a text than it is long, or hide what is looked for here.
_ENCODINGS: Final = re.compile(
    r"utf-8(-sig)?|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gb\w+|big5\w*|euc_\w+|shift_jis\w*|johab"
)
_NAME: Final = r"(?:[0-9A-Za-z_]|[^\x00-\x7f])"
_GAP: Final = r"[\s\\]*+"
_LONG_IMPORT: Final = re.compile(
    rf"(?:\bimport\b|\bfrom\b|,)[\s\\.]*+(?:{_NAME}++{_GAP}\.{_GAP}){{{NAMES_MAX}}}"
)


def refuse_bombs(source: bytes) -> None:
    """Look through a file before it is parsed.

    Raises:
        SyntaxError: its encoding is unknown or not a plain one, or an import has more than `NAMES_MAX` names.
    """
    name, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    encoding = codecs.lookup(name).name
    if not _ENCODINGS.fullmatch(encoding):
        raise SyntaxError(f"is written in {encoding}; save it as UTF-8")
    text = source.decode(encoding, errors="replace")
    found = _LONG_IMPORT.search(text)
    if found is not None:
        error = SyntaxError(f"an import of more than {NAMES_MAX} names with dots between")
        error.lineno = text.count("\n", 0, found.start()) + 1
        raise error
