from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import RecipeError
from harness.videos.perturb.recipes import (
    CONTROL,
    actual_shares,
    draw,
    expected_shares,
    load_recipe,
    plan,
    shipped_recipes,
)
from harness.videos.perturb.registry import SEVERITIES, catalogue, find, generator
from harness.videos.probe import VideoInfo

INFO = VideoInfo(
    width=640,
    height=360,
    rotation_degrees=0,
    pixel_aspect=1.0,
    frames_per_second=30.0,
    duration_seconds=10.0,
    frame_count=300,
    video_codec="h264",
    pixel_format="yuv420p",
    color_space=1,
    has_audio=True,
    audio_streams=1,
    audio_codec="aac",
    audio_rate=44100,
    audio_channels=2,
    container="mov",
    file_bytes=1,
)


def test_the_promised_recipes_ship() -> None:
    assert {"clean", "public", "private", "one-at-a-time", "dfdc-like"} <= set(shipped_recipes())


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_say_what_they_are_for(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.about


def test_clean_touches_nothing() -> None:
    recipe = load_recipe("clean")
    assert all(not draw(recipe, generator(1, f"{index}", "recipe")) for index in range(50))


def test_one_at_a_time_has_every_kind_at_every_severity_and_the_control() -> None:
    cells = load_recipe("one-at-a-time").cells
    assert cells[0] == ()
    assert all(len(cell) == 1 for cell in cells[1:])
    assert {(item.name, item.severity) for cell in cells for item in cell} == {
        (name, severity) for name in catalogue() for severity in SEVERITIES
    }
    assert len(cells) == len(set(cells))


def test_private_holds_all_that_public_holds_and_more() -> None:
    public = {rule.name for rule in load_recipe("public").kinds}
    private = {rule.name for rule in load_recipe("private").kinds}
    assert public < private


@given(seed=st.integers(0, 2**63), name=st.sampled_from(["public", "private", "dfdc-like"]))
def test_draws_keep_the_law(seed: int, name: str) -> None:
    recipe = load_recipe(name)
    chosen = draw(recipe, generator(seed, "v.mp4", "recipe"))
    assert len(chosen) <= max(recipe.counts)
    groups = [find(item.name).group for item in chosen]
    assert len(groups) == len(set(groups))
    stages = [find(item.name).stage for item in chosen]
    assert stages == sorted(stages)
    rules = {rule.name: rule for rule in recipe.kinds}
    assert all(rules[item.name].severities[item.severity - 1] > 0 for item in chosen)


def test_actual_shares_come_near_the_expected() -> None:
    recipe = load_recipe("dfdc-like")
    videos = 3000
    drawn = [draw(recipe, generator(5, f"{index}.mp4", "recipe")) for index in range(videos)]
    actual, expected = actual_shares(drawn), expected_shares(recipe)
    for name, share in expected.items():
        deviation = math.sqrt(share * (1 - share) / videos)
        assert abs(actual.get(name, 0) - share) < 5 * deviation + 0.005, name
    assert expected[CONTROL] == pytest.approx(recipe.untouched, abs=0.01)


def test_the_plan_of_a_video_does_not_depend_on_the_other_videos_or_on_what_it_is() -> None:
    recipe = load_recipe("private")
    small = VideoInfo(**{**INFO.__dict__, "width": 320, "height": 240, "has_audio": False})
    for index in range(30):
        one = plan(recipe, set_seed=1, video_id=f"{index}.mp4", info=INFO)
        assert one == plan(recipe, set_seed=1, video_id=f"{index}.mp4", info=INFO)
        assert one.applied == plan(recipe, set_seed=1, video_id=f"{index}.mp4", info=small).applied


def test_seeds_and_ids_decide() -> None:
    recipe = load_recipe("private")

    def drawn(set_seed: int, prefix: str) -> list[object]:
        return [
            plan(recipe, set_seed=set_seed, video_id=f"{prefix}{i}", info=INFO).applied for i in range(20)
        ]

    assert drawn(1, "a") != drawn(2, "a")
    assert drawn(1, "a") != drawn(1, "b")


GOOD = 'name = "mine"\nuntouched = 0.1\n[[kinds]]\nname = "noise"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is not TOML"),
        ('untouched = 0.5\n[[kinds]]\nname = "noise"', "name: Field required"),
        (GOOD.replace("noise", "nois"), "no perturbation is called 'nois'"),
        (GOOD.replace("0.1", "1.5"), "untouched"),
        (GOOD + "weight = -1", r"kinds\[0\]\.weight"),
        (GOOD + "severities = [1, 2]", r"kinds\[0\]\.severities"),
        (GOOD + "severities = [0, 0, 0, 0, 0]", "all severities have weight 0"),
        (GOOD + 'stage = "moon"', "no stage 'moon'"),
        (GOOD + '[[kinds]]\nname = "noise"', "listed twice: noise"),
        ('name = "mine"', "no kind with a weight"),
        (GOOD.replace("untouched", "untuched"), "untuched"),
        ('exclude = [["noise", "nosie"]]\n' + GOOD, "nosie"),
        ("count = { 9 = 1 }\n" + GOOD, "count"),
        ('law = "anarchy"\n' + GOOD, "law"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe(path)
    assert "mine.toml" in str(caught.value)
    assert caught.value.remedy


def test_a_missing_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match="dfdc-like"):
        load_recipe("dfdc-lik")


def test_exclusions_and_stages_of_a_recipe_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ncount = { 3 = 1.0 }\nexclude = [["noise", "grayscale"]]\n'
        '[[kinds]]\nname = "noise"\nstage = "final"\n[[kinds]]\nname = "grayscale"\n'
        '[[kinds]]\nname = "rotation"\n[[kinds]]\nname = "resolution"\n'
    )
    recipe = load_recipe(path)
    for index in range(200):
        names = [item.name for item in draw(recipe, generator(index, "v", "recipe"))]
        assert not {"noise", "grayscale"} <= set(names)
        assert len(names) == 3
        if "noise" in names:
            assert names[-1] == "noise"


def test_the_documented_recipe_loads(tmp_path: Path) -> None:
    document = (Path(__file__).parents[4] / "docs" / "perturbations.md").read_text("utf-8")
    path = tmp_path / "documented.toml"
    path.write_text(document.split("```toml\n")[1].split("```")[0])
    recipe = load_recipe(path)
    assert recipe.counts == {1: 0.7, 2: 0.3}
    assert len(recipe.kinds) == 3


def test_all_means_the_kinds_of_the_catalogue_that_the_recipe_names(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    found = {}
    for version in ("", "catalogue = 1\n", "catalogue = 2\n"):
        path.write_text(f'name = "all"\n{version}kinds = "all"\n')
        found[version] = {rule.name for rule in load_recipe(path).kinds}
    assert (
        found[""] == found["catalogue = 1\n"] == {one.name for one in catalogue().values() if one.since == 1}
    )
    assert found["catalogue = 2\n"] == set(catalogue())
    path.write_text('name = "all"\ncatalogue = 3\nkinds = "all"\n')
    with pytest.raises(RecipeError, match="catalogue"):
        load_recipe(path)
