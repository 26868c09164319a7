"""The table of features that the audit tries to predict labels from: one column a feature, one row a video.

Numbers stay as they are and come once more as their distance from the set's median, so that "all fakes are of
middling size" is found too. Words become one column for each value that occurs twice. Names are spelled out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.diagnose.audit.stats import Floats, Integers, standardised_ranks
from harness.diagnose.audit.traits import Traits

LEVELS_MAX = 30  # the commonest values of a word; the rest is described by its alphabetical place
SHOWN_CHARACTERS_MAX = 60
MODIFIED = "modification time"


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features of a set. `values` is (videos, features); features that rank all videos alike are one.

    `names[i]` says what column i is; `also[i]` names the features that are the same in this set.
    """

    names: tuple[str, ...]
    also: tuple[tuple[str, ...], ...]
    values: Floats


def feature_table(traits: Sequence[Traits]) -> FeatureTable:
    """Return all that a contestant could see: file, container, codecs, audio, name and place by name."""
    columns = [*_number_columns(traits), *_word_columns(traits), *_name_columns([one.name for one in traits])]
    return _merged(columns, rows=len(traits))


def modified_table(traits: Sequence[Traits]) -> FeatureTable:
    """Return what the modification times reveal, which staging hides and a published folder shows."""
    times = np.asarray([one.modified_ns for one in traits], dtype=np.float64)
    place = _places(times)
    columns = [*_with_distance(MODIFIED, times), (f"{MODIFIED}, parity of the place", place % 2)]
    return _merged(columns, rows=len(traits))


def name_order(traits: Sequence[Traits]) -> Integers:
    """Return the videos' indices in the order of their names."""
    return np.asarray(sorted(range(len(traits)), key=lambda index: traits[index].name), dtype=np.int64)


Column = tuple[str, Floats]


def _number_columns(traits: Sequence[Traits]) -> Iterator[Column]:
    for key in _keys(one.numbers for one in traits):
        values = np.asarray([one.numbers.get(key, math.nan) for one in traits], dtype=np.float64)
        yield from _with_distance(key, values)
        if np.isnan(values).any():
            yield f"{key} missing", np.isnan(values).astype(np.float64)


def _with_distance(name: str, values: Floats) -> Iterator[Column]:
    yield name, values
    if len(np.unique(values[~np.isnan(values)])) > 2:
        yield f"{name}, distance from the median", np.abs(values - np.nanmedian(values))


def _word_columns(traits: Sequence[Traits]) -> Iterator[Column]:
    for key in _keys(one.words for one in traits):
        words = [one.words.get(key) for one in traits]
        counts = Counter(words)
        if len(counts) == 1:
            continue
        for word, count in counts.most_common(LEVELS_MAX):
            if count >= 2:
                shown = "none" if word is None else repr(_shown(word))
                yield f"{key} is {shown}", np.asarray([one == word for one in words], dtype=np.float64)
        if len(counts) > 2:
            alphabetical = {word: place for place, word in enumerate(sorted(one or "" for one in counts))}
            yield (
                f"{key}, alphabetical",
                np.asarray([alphabetical[one or ""] for one in words], dtype=np.float64),
            )
            lengths = [len(one or "") for one in words]
            yield f"{key}, length", np.asarray(lengths, dtype=np.float64)


def _name_columns(names: Sequence[str]) -> Iterator[Column]:
    stems = [name.rpartition(".")[0] or name for name in names]
    ordered = {name: place for place, name in enumerate(sorted(names))}
    place = np.asarray([ordered[name] for name in names], dtype=np.float64)
    yield from _with_distance("place by name", place)
    yield "place by name, parity", place % 2
    yield "name, length", np.asarray([len(stem) for stem in stems], dtype=np.float64)
    for what, test in (("digits", str.isdigit), ("letters", str.isalpha), ("capitals", str.isupper)):
        yield (
            f"name, number of {what}",
            np.asarray([sum(map(test, stem)) for stem in stems], dtype=np.float64),
        )
    for character in sorted(set("".join(stems)))[:64]:
        counts = np.asarray([stem.count(character) for stem in stems], dtype=np.float64)
        yield f"name, number of {character!r}", counts
    numbers = [re.findall(r"\d+", stem) for stem in stems]
    last = np.asarray([float(found[-1][-15:]) if found else math.nan for found in numbers])
    yield from _with_distance("name, last number", last)
    yield "name, parity of the last number", last % 2
    for length in (1, 2, 3, 4):
        yield from _levels(f"name, first {length}", [stem[:length] for stem in stems])
        yield from _levels(f"name, last {length}", [stem[-length:] for stem in stems])
    yield from _levels("name, word in front", [re.split(r"[\W\d_]", stem, maxsplit=1)[0] for stem in stems])


def _levels(name: str, words: Sequence[str]) -> Iterator[Column]:
    for word, count in Counter(words).most_common(LEVELS_MAX):
        if 2 <= count < len(words):
            yield f"{name} is {_shown(word)!r}", np.asarray([one == word for one in words], dtype=np.float64)


def _shown(word: str) -> str:
    return word if len(word) <= SHOWN_CHARACTERS_MAX else f"{word[: SHOWN_CHARACTERS_MAX - 1]}…"


def _keys(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _places(values: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    places = np.empty(len(values))
    places[order] = np.arange(len(values))
    return places


def _merged(columns: Iterable[Column], *, rows: int) -> FeatureTable:
    """Drop what is constant, and put together what ranks the videos alike (or in reverse)."""
    names: list[str] = []
    also: list[list[str]] = []
    kept: list[Floats] = []
    place_of: dict[bytes, int] = {}
    for name, values in columns:
        ranks = np.round(standardised_ranks(values[:, None])[:, 0], 6) + 0.0
        first = ranks[np.flatnonzero(ranks)[:1]]
        if not first.size:
            continue
        key = (ranks * np.sign(first) + 0.0).tobytes()
        if key in place_of:
            also[place_of[key]].append(name)
            continue
        place_of[key] = len(kept)
        names.append(name)
        also.append([])
        kept.append(np.where(np.isnan(values), np.nanmedian(values), values))
    table = np.stack(kept, axis=1) if kept else np.zeros((rows, 0))
    return FeatureTable(names=tuple(names), also=tuple(map(tuple, also)), values=table)
