"""The table of a batch entry: `filename,label` CSV in, a probability or a failure for each video out.

Pure. A contestant wrote the text: nothing in it is trusted, nothing is guessed, and every error
is listed rather than the first. A name that is answered twice has no answer, even if the rows agree: the
harness does not choose for the contestant.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from harness.core.text import printable
from harness.sandbox.protocol import TABLE_BYTES_MAX, probability_of

HEADER = ("filename", "label")
EXTRA_ROWS_MAX = 1000
LABEL_CHARACTERS_MAX = 64
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NO_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TableAnswers:
    """What a table says about each expected video; every expected name is in exactly one of the three."""

    probabilities: Mapping[str, float]
    invalid: Mapping[str, str]  # name → why its label is not a probability
    missing: tuple[str, ...]  # no row, in the order of the expected names
    errors: tuple[str, ...] = field(default=())  # everything that is wrong, one line each, safe to print


def parse_table(csv_text: str, expected_names: Collection[str], *, complete: bool = True) -> TableAnswers:
    """Read a table strictly.

    The first line must be `filename,label`; a byte order mark, CRLF line ends, quoted cells, blank lines and
    any order of rows are fine. A label is a plain decimal number in [0, 1]. Rows for unknown names are errors
    but spoil nothing else. If the text stops being CSV, the rows before are kept.

    Args:
        csv_text: As the command wrote it; more than `TABLE_BYTES_MAX` characters is not a table.
        expected_names: The file names of the videos, each answered exactly once in a good table.
        complete: False when the command was stopped: a last line without a line end may be half written
            (`a.mp4,0.9` of `a.mp4,0.93`), and is left out.
    """
    errors: list[str] = []
    labels: dict[str, list[str]] = {}
    if len(csv_text) > TABLE_BYTES_MAX:
        errors.append(f"the table has {len(csv_text)} characters; {TABLE_BYTES_MAX} are allowed")
    else:
        expected = frozenset(expected_names)
        for number, name, label in _rows(_whole_lines(csv_text, complete), len(expected), errors):
            if name in expected:
                labels.setdefault(name, []).append(label)
            else:
                errors.append(f"line {number}: {_unknown(name, expected)}")
    probabilities: dict[str, float] = {}
    invalid: dict[str, str] = {}
    missing = []
    for name in expected_names:
        answers = labels.get(name, [])
        if not answers:
            missing.append(name)
            continue
        value, wrong = _probability(answers)
        if value is None:
            invalid[name] = wrong
            errors.append(f"{name}: {wrong}")
        else:
            probabilities[name] = value
    errors += [f"{name}: no row" for name in missing]
    return TableAnswers(
        probabilities=probabilities, invalid=invalid, missing=tuple(missing), errors=tuple(errors)
    )


def _whole_lines(text: str, complete: bool) -> str:
    text = text.removeprefix("\ufeff")
    if complete or text.endswith(("\n", "\r")):
        return text
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def _rows(text: str, expected_count: int, errors: list[str]) -> Iterator[tuple[int, str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        if header != HEADER:
            errors.append(f"line 1: {_wrong_header(header)}")
            return
        count = 0
        for row in reader:
            if not row:
                continue
            count += 1
            if count > expected_count + EXTRA_ROWS_MAX:
                errors.append(f"line {reader.line_num}: far more rows than the {expected_count} videos")
                return
            if len(row) == len(HEADER):
                yield reader.line_num, row[0], row[1]
            else:
                errors.append(f"line {reader.line_num}: {len(row)} cells instead of `filename,label`")
    except csv.Error as error:
        errors.append(f"line {reader.line_num}: is not CSV: {error}")


def _wrong_header(header: tuple[str, ...]) -> str:
    if not header:
        return "the table is empty; its first line must be `filename,label`"
    hint = "; pandas writes its index unless told `index=False`" if header[1:] == HEADER else ""
    return f"the first line is {printable(','.join(header), cap=80)!r}, not `filename,label`{hint}"


def _unknown(name: str, expected: frozenset[str]) -> str:
    hint = "; give the file name without its folder" if name.rpartition("/")[2] in expected else ""
    return f"{printable(name, cap=80)!r} is not one of the videos{hint}"


def _probability(labels: list[str]) -> tuple[float | None, str]:
    if len(labels) > 1:
        return None, f"answered {len(labels)} times"
    text = labels[0].strip(" \t")
    shown = repr(printable(text, cap=40))
    if len(text) <= LABEL_CHARACTERS_MAX and _NUMBER.fullmatch(text):
        value = probability_of(float(text))
        return value, "" if value is not None else f"label {shown} is outside 0 to 1"
    if not text:
        return None, "the label is empty"
    return None, f"label {shown} is " + ("not finite" if _NO_NUMBER.fullmatch(text) else "no number")
