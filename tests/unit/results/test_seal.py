"""The seal: any change of content breaks it, no change of form does, and the key stays where it is."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.app import run_command
from harness.core.errors import ConfigError, ResultError
from harness.core.types import SetName
from harness.results.outcomes_on_record import OutcomesOnRecord, compare_outcomes, outcomes_sha256
from harness.results.run_folder import RunFolder
from harness.results.seal import (
    KEY_VARIABLE,
    Key,
    SealState,
    canonical,
    key_from_environment,
    mismatches,
    read_key,
    seal,
    seal_path,
    verify,
)

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = Key(secret=SECRET)
DOCUMENT: dict[str, Any] = {
    "run_id": "r",
    "package": {"sha256": "a" * 64},
    "challenge": {"sha256": "b" * 64},
    "sets": {"public": {"log_loss": 0.1 + 0.2, "count": 3, "none": None, "name": "Zoë"}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(DOCUMENT, indent=2), encoding="utf-8")
    seal(DOCUMENT, path, KEY)
    return path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def test_what_was_sealed_verifies(sealed: Path) -> None:
    assert verify(sealed, KEY) is SealState.OK


def test_another_form_of_the_same_content_verifies(sealed: Path) -> None:
    other = json.dumps(dict(reversed(DOCUMENT.items())), ensure_ascii=False, separators=(" ,", ":  "))
    sealed.write_text(other, encoding="utf-8")
    assert verify(sealed, KEY) is SealState.OK


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


@pytest.mark.parametrize("path", list(leaves(DOCUMENT)), ids=".".join)
@pytest.mark.parametrize("change", ["remove", "replace", "rename"])
def test_every_change_anywhere_is_seen(sealed: Path, path: tuple[str, ...], change: str) -> None:
    document = json.loads(sealed.read_text(encoding="utf-8"))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    value = holder.pop(path[-1])
    if change == "replace":
        holder[path[-1]] = value + 1e-16 if isinstance(value, float) and value > 1 else "another"
    elif change == "rename":
        holder[path[-1] + "_"] = value
    sealed.write_text(json.dumps(document), encoding="utf-8")
    assert verify(sealed, KEY) is SealState.ALTERED


def test_the_last_bit_of_a_score_is_seen(sealed: Path) -> None:
    text = sealed.read_text(encoding="utf-8")
    assert "0.30000000000000004" in text
    sealed.write_text(text.replace("0.30000000000000004", "0.3"), encoding="utf-8")
    assert verify(sealed, KEY) is SealState.ALTERED


def test_a_number_that_became_text_or_a_whole_one_is_seen(sealed: Path) -> None:
    text = sealed.read_text(encoding="utf-8")
    for other in ('"3"', "3.0", "true", "03"):
        sealed.write_text(text.replace('"count": 3', f'"count": {other}'), encoding="utf-8")
        try:
            assert verify(sealed, KEY) is SealState.ALTERED
        except ResultError:
            assert other == "03"


def test_another_key_does_not_verify(sealed: Path) -> None:
    assert verify(sealed, Key(secret=SECRET[::-1])) is SealState.ALTERED


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"hmac-sha256-v1",
        b"hmac-sha256-v1 ",
        b"hmac-sha256-v1 " + b"0" * 64,
        b"\xff\xfe",
        b"x" * 5000,
    ],
)
def test_a_damaged_seal_is_not_a_seal(sealed: Path, text: bytes) -> None:
    seal_path(sealed).write_bytes(text)
    assert verify(sealed, KEY) is SealState.ALTERED


def test_a_right_digest_under_another_scheme_is_refused(sealed: Path) -> None:
    found = seal_path(sealed).read_text(encoding="utf-8")
    seal_path(sealed).write_text(found.replace("hmac-sha256-v1", "hmac-sha256-v0"), encoding="utf-8")
    assert verify(sealed, KEY) is SealState.ALTERED


def test_without_a_seal_it_is_unsigned(sealed: Path) -> None:
    seal_path(sealed).unlink()
    assert verify(sealed, KEY) is SealState.UNSIGNED


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": NaN}', '{"a": 1, "a": 2}', '{"x": {"a": 1, "a": 1}}', "[" * 100_000, "1" * 5000]
)
def test_what_is_not_plain_json_is_never_judged(sealed: Path, text: str) -> None:
    sealed.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError):
        verify(sealed, KEY)


@given(JSON, JSON)
def test_two_contents_have_the_same_text_only_if_they_are_the_same(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )
    assert canonical(json.loads(canonical(one))) == canonical(one)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (SECRET[:-1], 0o600, "31"),
        (b"", 0o600, "0"),
        (b"k" * 70_000, 0o600, "more"),
        (SECRET, 0o640, "others may read"),
        (SECRET, 0o604, "others may read"),
    ],
)
def test_a_weak_or_open_key_is_refused_without_being_shown(
    tmp_path: Path, content: bytes, mode: int, reason: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_key(path)
    assert SECRET[:8].decode() not in str(caught.value)


def test_a_key_that_is_not_there_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        key_from_environment({KEY_VARIABLE: str(tmp_path / "nowhere")})
    assert key_from_environment({}) is None
    assert key_from_environment({KEY_VARIABLE: ""}) is None


def test_a_key_never_shows_itself(key_file: Path) -> None:
    key = read_key(key_file)
    assert key == KEY
    for text in (repr(key), str(key), f"{key}"):
        assert "0123" not in text


def test_digests_are_compared_with_what_was_asked_for(sealed: Path) -> None:
    assert mismatches(sealed, challenge_sha256=None, package_sha256=None) == ()
    assert mismatches(sealed, challenge_sha256="b" * 64, package_sha256="a" * 64) == ()
    assert len(mismatches(sealed, challenge_sha256="c" * 64, package_sha256="d" * 64)) == 2
    sealed.write_text("[]", encoding="utf-8")
    assert len(mismatches(sealed, challenge_sha256="c" * 64, package_sha256="")) == 2


def test_the_command_says_so_with_its_exit_code(
    sealed: Path, key_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert run_command(["verify", str(sealed)]) == 2
    monkeypatch.setenv(KEY_VARIABLE, str(key_file))
    assert run_command(["verify", str(sealed)]) == 0
    assert run_command(["verify", str(sealed.parent)]) == 0
    assert run_command(["verify", str(sealed), "--package", "a" * 64]) == 0
    assert run_command(["verify", str(sealed), "--package", "e" * 64]) == 1
    sealed.write_text(sealed.read_text(encoding="utf-8").replace('"r"', '"s"'), encoding="utf-8")
    assert run_command(["verify", str(sealed), "--key", str(key_file)]) == 1
    seal_path(sealed).unlink()
    assert run_command(["verify", str(sealed)]) == 1
    shown = capsys.readouterr()
    assert "altered" in shown.out
    assert "unsigned" in shown.out
    assert "0123456789" not in shown.out + shown.err


def test_the_seal_does_not_carry_the_key(sealed: Path) -> None:
    found = seal_path(sealed).read_bytes()
    assert SECRET not in found
    assert len(found) == len("hmac-sha256-v1 ") + 64 + 1
    assert stat.S_ISREG(seal_path(sealed).stat().st_mode)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A sealed run with two sets, of which only the public one's journal is named, as by an early stop."""
    folder = RunFolder(path=tmp_path / "run")
    folder.journal(SetName.PUBLIC).parent.mkdir(parents=True)
    folder.request.write_text("{}", encoding="utf-8")
    folder.journal(SetName.PUBLIC).write_text('{"header": {}}\n{"probability": 0.5}\n', encoding="utf-8")
    digest = outcomes_sha256(folder, SetName.PUBLIC)
    document = {"sets": {"public": {"outcomes_sha256": digest}, "private": {"outcomes_sha256": ""}}}
    for place in (folder, folder.regrade("later")):
        place.path.mkdir(exist_ok=True, parents=True)
        place.result.write_text(json.dumps(document, indent=1), encoding="utf-8")
        seal(document, place.result, KEY)
    return folder


def test_every_byte_of_a_result_of_its_seal_and_of_its_outcomes_counts(run: RunFolder) -> None:
    """But for blanks between the parts of a result, which are no content."""
    content = json.loads(run.result.read_text(encoding="utf-8"))
    for path in (run.result, seal_path(run.result), run.journal(SetName.PUBLIC)):
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert not _holds(run.result) or _same_content(run.result, content), (path.name, place)
        path.write_bytes(whole)
    assert _holds(run.result)


def _holds(result: Path) -> bool:
    try:
        return verify(result, KEY) is SealState.OK and compare_outcomes(result).wrong == ()
    except ResultError:
        return False


def _same_content(result: Path, content: object) -> bool:
    return bool(json.loads(result.read_text(encoding="utf-8")) == content)


def test_outcomes_that_are_missing_or_longer_show_also_from_a_regrade(run: RunFolder) -> None:
    for result in (run.result, run.regrade("later").result):
        assert compare_outcomes(result) == OutcomesOnRecord(checked=1, wrong=())
    with run.journal(SetName.PUBLIC).open("a", encoding="utf-8") as stream:
        stream.write("\n")
    for result in (run.result, run.regrade("later").result):
        (wrong,) = compare_outcomes(result).wrong
        assert wrong.startswith("sets/public/outcomes.jsonl was changed")
    run.journal(SetName.PUBLIC).unlink()
    assert compare_outcomes(run.result).wrong == ("sets/public/outcomes.jsonl is missing",)


def test_a_result_by_itself_says_nothing_of_outcomes(run: RunFolder, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "result.json"
    alone.parent.mkdir()
    alone.write_bytes(run.result.read_bytes())
    assert compare_outcomes(alone) == OutcomesOnRecord(checked=0, wrong=())


def test_the_command_says_whose_outcomes_were_changed(
    run: RunFolder, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["verify", str(run.path), "--key", str(key_file)]
    assert run_command(arguments) == 0
    assert "outcomes of 1 of 1 sets are as they were scored" in capsys.readouterr().out
    run.journal(SetName.PUBLIC).write_text('{"header": {}}\n{"probability": 0.1}\n', encoding="utf-8")
    assert run_command(arguments) == 1
    assert "sets/public/outcomes.jsonl was changed" in capsys.readouterr().out
    assert run_command([*arguments, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["state"], document["outcomes_checked"]) == (False, "OK", 1)
