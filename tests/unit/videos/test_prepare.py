from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import ConfigError, InfrastructureError
from harness.core.locks import try_lock
from harness.videos.perturb.recipes import load_recipe
from harness.videos.prepare import PrepareProgress, SourceVideo, file_sha256, neutral_name, prepare_set
from harness.videos.prepare_one import RenderJob, prepare_one
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

RECIPE = """
name = "mine"
untouched = 0.2
count = { 1 = 0.5, 3 = 0.5 }
[[kinds]]
name = "noise"
[[kinds]]
name = "text_jumping"
[[kinds]]
name = "rotation"
[[kinds]]
name = "frame_rate"
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[SourceVideo]:
    folder = tmp_path_factory.mktemp("sources")
    return [
        SourceVideo(
            source_id=f"secret_{index}.mp4",
            path=write_clip(folder / f"secret_{index}.mp4", ClipSpec(seed=index, frames=10)),
            label="FAKE" if index % 2 else "REAL",
            method="swap",
            source=f"person {index}",
        )
        for index in range(5)
    ]


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "mine.toml"
    path.write_text(RECIPE)
    return path


def hashes(destination: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in (destination / "videos").iterdir()}


def test_a_second_call_redoes_nothing(sources: list[SourceVideo], recipe_path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    first = prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    stamps = {video.path: video.path.stat().st_mtime_ns for video in first.videos}
    again = prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    assert (first.reused, again.reused) == (0, 5)
    assert again.videos == first.videos
    assert {video.path: video.path.stat().st_mtime_ns for video in again.videos} == stamps


def test_order_workers_and_company_change_no_byte(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_path)
    prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path / "a", workers=0)
    prepare_set(sources=sources[::-1], recipe=recipe, set_seed=1, destination=tmp_path / "b", workers=2)
    prepare_set(sources=sources[:2], recipe=recipe, set_seed=1, destination=tmp_path / "c", workers=1)
    whole = hashes(tmp_path / "a")
    assert hashes(tmp_path / "b") == whole
    part = hashes(tmp_path / "c")
    assert part == {name: whole[name] for name in part}
    assert len(part) == 2


def test_what_was_damaged_or_changed_since_is_done_again(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_path)
    first = prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    before = hashes(tmp_path)
    first.videos[0].path.unlink()
    with first.videos[1].path.open("ab") as file:
        file.write(b"x")
    (tmp_path / "records" / f"{first.videos[2].video_id}.json").write_text("{ torn")
    (tmp_path / "videos" / f".{first.videos[0].video_id}.99.part").write_text("left by a killed worker")
    again = prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    assert again.reused == 2
    assert hashes(tmp_path) == before


def test_a_new_recipe_redoes_only_what_it_changes(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_path)
    prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    finer = replace(recipe, encoding=replace(recipe.encoding, crf=30.0))
    again = prepare_set(sources=sources, recipe=finer, set_seed=1, destination=tmp_path, workers=0)
    assert again.reused == 0
    fewer = prepare_set(sources=sources[:3], recipe=finer, set_seed=1, destination=tmp_path, workers=0)
    assert fewer.reused == 3
    assert len(hashes(tmp_path)) == 3


def test_files_of_others_are_left_alone(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    mine = tmp_path / "videos" / "holiday.mp4"
    mine.write_bytes(b"mine")
    recipe = load_recipe(recipe_path)
    prepare_set(sources=sources[:1], recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    assert mine.read_bytes() == b"mine"


def test_unreadable_sources_are_named_and_the_rest_goes_on(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all" * 100)
    mixed = [
        SourceVideo(source_id="bad.mp4", path=bad),
        *sources[:2],
        SourceVideo(source_id="gone.mp4", path=tmp_path / "gone.mp4"),
    ]
    prepared = prepare_set(
        sources=mixed, recipe=load_recipe(recipe_path), set_seed=1, destination=tmp_path / "set", workers=2
    )
    assert [name for name, _ in prepared.unreadable] == ["bad.mp4", "gone.mp4"]
    assert "No such file" in dict(prepared.unreadable)["gone.mp4"]
    assert len(prepared.videos) == 2


def test_a_source_that_only_another_machine_has_is_our_fault_and_not_left_out(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    gone = replace(sources[0], path=tmp_path / "gone.mp4")
    job = RenderJob(
        source=gone,
        recipe=load_recipe(recipe_path),
        set_seed=1,
        cell=0,
        destination=tmp_path,
        ahead=False,
        found=True,
    )
    with pytest.raises(InfrastructureError, match=r"gone\.mp4: is not there on"):
        prepare_one(job)


def test_names_and_files_reveal_nothing_and_the_manifest_says_all(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    prepared = prepare_set(
        sources=sources, recipe=load_recipe(recipe_path), set_seed=1, destination=tmp_path, workers=0
    )
    for video in prepared.videos:
        content = video.path.read_bytes()
        assert len(video.path.stem) == 16
        for telltale in (b"secret", b"x264", b"Lavf", b"Lavc", b"FAKE", b"crf="):
            assert telltale not in content
        assert video.sha256 == file_sha256(video.path)
    manifest = json.loads(prepared.manifest_path.read_text())
    assert prepared.manifest_path.parent != prepared.videos[0].path.parent
    by_source = {record["source_id"]: record for record in manifest["videos"]}
    for source in sources:
        record = by_source[source.source_id]
        assert (record["label"], record["method"], record["source"]) == (
            source.label,
            source.method,
            source.source,
        )
        assert record["input"]["sha256"] == file_sha256(source.path)
        for key in ("sha256", "packets_sha256", "frames_sha256"):
            assert len(record["output"][key]) == 64
    assert manifest["versions"]["pyav"]
    assert manifest["expected_shares"]
    assert manifest["actual_shares"]


def test_a_changed_label_is_recorded_without_rendering(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_path)
    prepare_set(sources=sources[:1], recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    corrected = [replace(sources[0], label="CORRECTED")]
    again = prepare_set(sources=corrected, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    assert again.reused == 1
    assert json.loads(again.manifest_path.read_text())["videos"][0]["label"] == "CORRECTED"


def test_labels_change_no_byte(sources: list[SourceVideo], recipe_path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    swapped = [replace(source, label="", method="", source="") for source in sources[:2]]
    prepare_set(sources=sources[:2], recipe=recipe, set_seed=1, destination=tmp_path / "a", workers=0)
    prepare_set(sources=swapped, recipe=recipe, set_seed=1, destination=tmp_path / "b", workers=0)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_progress_counts_to_the_end(sources: list[SourceVideo], recipe_path: Path, tmp_path: Path) -> None:
    seen: list[PrepareProgress] = []
    prepare_set(
        sources=sources,
        recipe=load_recipe(recipe_path),
        set_seed=1,
        destination=tmp_path,
        workers=0,
        progress=seen.append,
    )
    assert [item.done for item in seen] == [1, 2, 3, 4, 5]
    assert {item.total for item in seen} == {5}
    assert seen[-1].frames > 0
    assert seen[-1].bytes_written == sum(path.stat().st_size for path in (tmp_path / "videos").iterdir())


def test_one_id_for_two_sources_is_refused(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    twice = [sources[0], replace(sources[1], source_id=sources[0].source_id)]
    with pytest.raises(ConfigError, match=r"secret_0\.mp4"):
        prepare_set(sources=twice, recipe=load_recipe(recipe_path), set_seed=1, destination=tmp_path)


def test_a_grid_renders_every_cell_under_its_own_name(sources: list[SourceVideo], tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('name = "grid"\nlaw = "grid"\n[[kinds]]\nname = "noise"\n[[kinds]]\nname = "grayscale"\n')
    prepared = prepare_set(
        sources=sources[:1], recipe=load_recipe(path), set_seed=1, destination=tmp_path / "set", workers=0
    )
    assert len(prepared.videos) == 11
    assert sorted(item.severity for video in prepared.videos for item in video.perturbations) == sorted(
        2 * [1, 2, 3, 4, 5]
    )
    assert {video.source_id for video in prepared.videos} == {"secret_0.mp4"}


def test_neutral_names_differ_by_seed_source_and_cell() -> None:
    names = {neutral_name(seed, source, cell) for seed in (1, 2) for source in "ab" for cell in (0, 1)}
    assert len(names) == 8


def test_no_partial_file_is_ever_in_place(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between rendering and renaming: what is in `videos` is whole, and the next call completes it."""
    renames = []

    def die(self: Path, target: Path) -> Path:
        renames.append(target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", die)
    recipe = load_recipe(recipe_path)
    with pytest.raises(KeyboardInterrupt):
        prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    assert renames
    assert hashes(tmp_path) == {}
    monkeypatch.undo()
    prepare_set(sources=sources, recipe=recipe, set_seed=1, destination=tmp_path, workers=0)
    assert len(hashes(tmp_path)) == 5
    assert not list((tmp_path / "videos").glob(".*"))


HARNESS = """
import sys
from pathlib import Path
from harness.videos.perturb.recipes import load_recipe
from harness.videos.prepare import SourceVideo, prepare_set
folder, recipe, destination = map(Path, sys.argv[1:])
sources = [SourceVideo(source_id=path.name, path=path) for path in sorted(folder.glob("*.mp4"))]
made = prepare_set(
    sources=sources, recipe=load_recipe(recipe), set_seed=1, destination=destination, workers=0,
    waiting=lambda text: print(text, flush=True),
)
print(len(made.videos), made.reused, made.unreadable, flush=True)
"""


def harness(folder: Path, recipe_path: Path, destination: Path) -> subprocess.Popen[str]:
    """Prepare a set in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(folder), str(recipe_path), str(destination)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_two_harnesses_that_prepare_one_set_at_once_both_get_all_of_it(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    folder = sources[0].path.parent
    both = [harness(folder, recipe_path, tmp_path / "shared") for _ in range(2)]
    said = [one.communicate(timeout=600)[0].splitlines() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sorted(lines[-1] for lines in said) == ["5 0 ()", "5 5 ()"], (
        "one has rendered, one has found it done"
    )
    prepare_set(
        sources=sources,
        recipe=load_recipe(recipe_path),
        set_seed=1,
        destination=tmp_path / "alone",
        workers=0,
    )
    assert hashes(tmp_path / "shared") == hashes(tmp_path / "alone")


def test_what_another_harness_is_rendering_is_left_alone_and_waited_for(
    sources: list[SourceVideo], recipe_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    part = tmp_path / "videos" / ".0123456789abcdef.mp4.1234.part"
    part.write_text("in progress")
    with ExitStack() as held:
        assert try_lock(tmp_path / ".lock", held)
        second = harness(sources[0].path.parent, recipe_path, tmp_path)
        assert second.stdout is not None
        assert second.stdout.readline().startswith("waiting for the set in ")
        assert part.read_text() == "in progress"
    said, _ = second.communicate(timeout=600)
    assert (said, second.returncode) == ("5 0 ()\n", 0)
    assert not part.exists(), "and nobody's parts are removed"
