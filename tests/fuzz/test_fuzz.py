"""Thousands of inputs for each reader of foreign bytes, at every change: no crash, no hang, bounded memory.

Inputs are the committed corpus as it is, the corpus with bytes changed, cut, doubled and joined, and inputs
that are built to be nearly right. The targets and what must hold are in `targets.py`.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = 250
quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,  # a red build must be red for everybody; new inputs are run_atheris.py's task
    database=None,
    suppress_health_check=list(HealthCheck),
)


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_everything_that_was_ever_found_is_read_without_a_fault(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)


@st.composite
def changed(draw: st.DrawFn, target: str) -> bytes:
    """Return a seed with a few things done to it."""
    seeds = corpus(target)
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(("set", "cut", "insert", "double", "join", "number")))
        if what == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=12))
        elif what == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 60))]
        elif what == "join":
            data[at:] = draw(st.sampled_from(seeds))[at:]
        elif what == "number":
            size = draw(st.sampled_from((1, 2, 4)))
            data[at : at + size] = draw(st.sampled_from((b"\0", b"\1", b"\x7f", b"\xff"))) * size
    return bytes(data)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_no_changed_input_is_a_fault(target: str) -> None:
    @quick
    @given(changed(target))
    def run(data: bytes) -> None:
        TARGETS[target](data)

    run()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
REPLIES = st.fixed_dictionaries(
    {"type": st.sampled_from(["ready", "failed", "answer", "table", "x"])},
    optional={
        "id": st.none() | st.text(max_size=8) | JSON,
        "message": st.text() | JSON,
        "probability": st.floats() | st.integers() | JSON,
        "csv": st.text() | JSON,
        "package_missing": JSON,
    },
).map(lambda one: json.dumps(one).encode())


@quick
@given(REPLIES)
def test_no_reply_that_is_nearly_right_is_a_fault(data: bytes) -> None:
    TARGETS["reply"](data)


@quick
@given(st.lists(REPLIES | st.binary(max_size=50), max_size=8), st.binary(max_size=6))
def test_no_stream_of_frames_is_a_fault(payloads: list[bytes], tail: bytes) -> None:
    TARGETS["stream"](b"".join(len(one).to_bytes(4, "big") + one for one in payloads) + tail)


NAMES = st.text(st.sampled_from("ab./\\:é\u202e\0 ~"), min_size=1, max_size=12) | st.sampled_from(
    ["submission.toml", "../x", "/x", "a/../b", "a//b", "A", "a", "a/", "a/b", "CON", "\u00e9", "e\u0301"]
)


@quick
@given(
    st.lists(
        st.tuples(NAMES, st.binary(max_size=80), st.sampled_from([0, 8]), st.integers(0, 0xFFFF)), max_size=6
    ),
    st.binary(max_size=4),
)
def test_no_zip_of_hostile_names_is_a_fault(
    entries: list[tuple[str, bytes, int, int]], comment: bytes
) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.comment = comment
        for name, content, method, mode in entries:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.filename = name  # ZipInfo cleans what it is given
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a repeated name is what we are after
                archive.writestr(member, content, method)
    TARGETS["archive"](target.getvalue())
    TARGETS["package"](target.getvalue())


TOML_VALUES = st.sampled_from(
    [
        "1",
        "9" * 5000,
        "-1",
        "0",
        "1e400",
        "nan",
        "inf",
        '""',
        '"x"',
        "[]",
        "{}",
        "true",
        "1979-05-27",
        "[" * 50,
        '"\\u0000"',
    ]
)
KEYS = {
    "manifest": ["name", "entry", "command", "layout", "exclude", "external_data", "kaggle.slug", "x"],
    "challenge": [
        "schema",
        "name",
        "sets",
        "limits.pids",
        "limits.memory_bytes",
        "scoring.epsilon",
        "contract.modes",
    ],
    "recipe": ["name", "untouched", "count", "kinds", "encode", "about", "x"],
}


@pytest.mark.parametrize("target", sorted(KEYS))
def test_no_value_of_any_key_is_a_fault(target: str) -> None:
    @quick
    @given(st.dictionaries(st.sampled_from(KEYS[target]), TOML_VALUES, max_size=5))
    def run(document: dict[str, str]) -> None:
        TARGETS[target]("".join(f"{key} = {value}\n" for key, value in document.items()).encode())

    run()


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize(
    "unit", [b"[", b'{"a":', b"a=[", b'"', b"a,", b"\0", b"PK\x05\x06", b"PK\x01\x02", b"\n"]
)
def test_no_long_repetition_hangs_or_overflows(target: str, unit: bytes) -> None:
    TARGETS[target](unit * (60_000 // len(unit)))
