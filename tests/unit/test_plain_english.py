"""Phrases that must not come back into messages, docstrings and pages, each with the better wording."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXTS = (
    *(ROOT / "harness").rglob("*.py"),
    *(ROOT / "harness").rglob("expect.toml"),
    *(ROOT / "harness" / "report" / "templates").glob("*.html"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")),
)
_NOUNS = (
    r"answer|attempt|batch|CSV|entry|error|face|failure|finding|folder|frame|id|image|JSON|log|manifest|match|"
    r"metric|name|number|outcome|package|part|picture|plain|probability|proof|quarter|record|recipe|reply|"
    r"result|run|sandbox|score|set|sha256|stranger|table|team|test|TOML|valid|verdict|video|wheel|zip"
)
# What must not be written → what to write instead.
FORBIDDEN = {
    rf"(?<![Tt]here )\b(?:is|was|are|were) no (?:{_NOUNS})\b": "is not a …, are not …, is not valid …",
    r"\b(?:[Nn]one|NaN|[Ee]mpty|[Nn]othing|only|even) where\b": "… if",
    r"\bwhere (?:there (?:is|are|was|were)|none|nothing|no)\b": "if …",
    r"\bnone was asked for\b": "none was requested",
    r"\bit was not asked for\b": "it was not requested",
    r"(?<=; )none: (?!\{)": "None if …, or: if not given, …",
    r"\blies (?:in|at|on|beside|under|outside|there)\b": "is in, is at, …",
    r"\b[Hh]olds no (?:video|picture|label|package|event|result)": "contains no …",
    r"\bdoes not tell\b(?=[\s.,;\")]*$)": "does not say",
    r"\btwice is once\b": "doing it twice changes nothing",
    r"\bwhat was asked for\b": "what was requested",
    r"\bas often as was\b": "as often as requested",
    r"\bhow-manieth\b": "its number",
    r"\bis none of\b(?! this)": "is not one of",
    r"\b(?:is|are) (?:on record|a contest) already\b": "already exists, is already …",
}
# Lines that a pattern finds though they are good English, each with its file.
ALLOWED: frozenset[tuple[str, str]] = frozenset()


def test_no_phrase_comes_back_that_plain_english_replaced() -> None:
    patterns = [(re.compile(pattern, re.MULTILINE), better) for pattern, better in FORBIDDEN.items()]
    found = []
    for path in TEXTS:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for pattern, better in patterns:
            for match in pattern.finditer(text):
                number = text.count("\n", 0, match.start())
                if (name, lines[number].strip()) not in ALLOWED:
                    found.append(f"{name}:{number + 1}: {match.group()!r}: write {better!r}")
    assert not found, "\n".join(found)


def test_every_allowed_line_is_still_there() -> None:
    assert all(
        text in (line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
        for name, text in ALLOWED
    )
