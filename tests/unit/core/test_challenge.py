"""challenge.toml: what is wrong is named with its file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.challenge import load_challenge, parse_challenge
from harness.core.errors import ChallengeError
from harness.core.types import FailureRule, Limits, SetName

MINIMAL = """
schema = 1
name = "sample"
[sets.public]
videos = "public"
labels = "public/labels.csv"
recipe = "public"
seed = 1
[sets.private]
videos = "private"
labels = "private/labels.csv"
recipe = "own.toml"
seed = 2
"""


def write(folder: Path, text: str = MINIMAL) -> Path:
    for name in ("public", "private"):
        (folder / name).mkdir()
        (folder / name / "labels.csv").write_text("filename,label\na.mp4,1\n")
    (folder / "own.toml").write_text("")
    path = folder / "challenge.toml"
    path.write_text(text)
    return path


def test_defaults_are_those_of_the_limits_table(tmp_path: Path) -> None:
    challenge = load_challenge(write(tmp_path))
    assert challenge.limits == Limits()
    assert challenge.scoring.failure_rule is FailureRule.LENIENT
    assert challenge.scoring.epsilon == 1e-15


def test_paths_are_relative_to_the_file_and_recipes_may_be_shipped(tmp_path: Path) -> None:
    challenge = load_challenge(write(tmp_path))
    assert challenge.sets[SetName.PUBLIC].videos == tmp_path / "public"
    assert challenge.sets[SetName.PUBLIC].recipe == "public"
    assert challenge.sets[SetName.PRIVATE].recipe == str(tmp_path / "own.toml")


def test_one_limit_can_be_changed_and_the_others_stay(tmp_path: Path) -> None:
    challenge = load_challenge(write(tmp_path, MINIMAL + "[limits]\nvideo_seconds = 5\n"))
    assert challenge.limits == Limits(video_seconds=5.0)


@pytest.mark.parametrize(
    ("addition", "named"),
    [
        ("[limits]\nvideo_second = 5\n", "video_second"),
        ("[limits]\nvideo_seconds = -1\n", "video_seconds"),
        ("[limits]\nvideo_seconds = inf\n", "video_seconds"),
        ("[limits]\nmemory_bytes = 'much'\n", "memory_bytes"),
        ("[limits]\npids = 0\n", "pids"),
        ("[scoring]\nepsilon = 0.7\n", "scoring.epsilon"),
        ("[scoring]\nfailure_rule = 'mild'\n", "scoring.failure_rule"),
        ("[contract]\nkaggle_slug = '../etc'\n", "contract.kaggle_slug"),
        ("[contract]\nmodes = ['telepathy']\n", "contract.modes"),
        ("[surprise]\nx = 1\n", "surprise"),
        ("[sets.secret]\nvideos = 'x'\nlabels = 'x'\nrecipe = 'x'\nseed = 1\n", "secret"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, addition: str, named: str) -> None:
    path = write(tmp_path, MINIMAL + addition)
    with pytest.raises(ChallengeError) as caught:
        load_challenge(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
    assert "Remedy" in str(caught.value)


def test_all_wrong_keys_are_listed_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL.replace('name = "sample"', "nam = 1") + "[scoring]\nepsilon = 0\n")
    with pytest.raises(ChallengeError) as caught:
        load_challenge(path)
    for part in ("nam: unknown key", "name: missing", "scoring.epsilon"):
        assert part in str(caught.value)


def test_a_missing_set_a_missing_folder_and_a_missing_recipe_are_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    only_private = MINIMAL.replace("[sets.public]", "[sets.control]")
    for text, named in (
        (only_private, "sets.public"),
        (MINIMAL.replace('videos = "private"', 'videos = "elsewhere"'), "sets.private.videos"),
        (MINIMAL.replace("own.toml", "gone.toml"), "sets.private.recipe"),
    ):
        path.write_text(text)
        with pytest.raises(ChallengeError, match=named):
            load_challenge(path)


def test_another_schema_version_is_refused() -> None:
    with pytest.raises(ChallengeError, match="schema"):
        parse_challenge(MINIMAL.replace("schema = 1", "schema = 2").encode(), place="here")


def test_a_missing_file_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="Remedy"):
        load_challenge(tmp_path / "nothing.toml")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_challenge_error(data: bytes) -> None:
    with pytest.raises(ChallengeError):
        parse_challenge(data, place="fuzz")


@given(st.text(alphabet="abcdefgh_[].=\"'0123456789-\n{}", max_size=200))
def test_any_addition_is_read_or_refused(text: str) -> None:
    try:
        parse_challenge((MINIMAL + text).encode(), place="fuzz")
    except ChallengeError as error:
        assert error.remedy  # noqa: PT017  (both ends are legitimate; only the refusal has something to hold)
