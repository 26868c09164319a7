from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from harness.cli.perturb import UNREADABLE_EXIT, app
from harness.core.errors import LabelsError, RecipeError
from harness.videos.perturb.registry import catalogue
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

RUNNER = CliRunner(env={"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    videos = tmp_path / "videos"
    videos.mkdir()
    for index in range(2):
        write_clip(videos / f"{index}.mp4", ClipSpec(width=96, height=64, frames=8, seed=index))
    return videos


def test_list_names_every_kind() -> None:
    result = RUNNER.invoke(app, ["list"])
    assert result.exit_code == 0
    assert all(name in result.output for name in catalogue())


def test_table_has_a_row_per_kind_with_five_strengths() -> None:
    result = RUNNER.invoke(app, ["table"])
    assert result.exit_code == 0
    rows = [line for line in result.output.splitlines() if line.startswith("| `")]
    assert len(rows) == len(catalogue())
    assert all(row.count("|") == 7 for row in rows)
    assert all(row.split("|")[3].count("·") % 4 == 0 for row in rows)


def test_the_documented_table_is_the_generated_one() -> None:
    document = (Path(__file__).parents[3] / "docs" / "perturbations.md").read_text("utf-8")
    assert RUNNER.invoke(app, ["table"]).output in document


def test_preview_writes_a_sheet_of_rows_and_severities(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["preview", str(folder / "0.mp4"), "--kinds", "noise,crop", "--output", str(sheet)]
    result = RUNNER.invoke(app, [*arguments, "--cell-width", "96"])
    assert result.exit_code == 0
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape[0] > 2 * 64
    assert picture.shape[1] > 6 * 96


def test_preview_refuses_an_unknown_kind(folder: Path) -> None:
    result = RUNNER.invoke(app, ["preview", str(folder / "0.mp4"), "--kinds", "nois"])
    assert isinstance(result.exception, RecipeError)


def test_render_makes_a_set_says_its_shares_and_resumes(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("filename,label,method\n0.mp4,1,swap\n1.mp4,0,\n")
    arguments = ["render", str(folder), str(tmp_path / "set"), "--labels", str(labels), "--seed", "5"]
    arguments += ["--workers", "0", "--recipe", "public"]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0
    assert "expected" in result.output
    assert "untouched" in result.output
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert {(item["source_id"], item["label"], item["method"]) for item in manifest["videos"]} == {
        ("0.mp4", "1", "swap"),
        ("1.mp4", "0", ""),
    }
    assert "2 of them already done" in RUNNER.invoke(app, arguments).output


def test_render_lists_what_it_cannot_read_and_says_so_in_its_exit_code(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.mp4").write_bytes(b"x" * 5000)
    arguments = ["render", str(folder), str(tmp_path / "set"), "--workers", "0", "--recipe", "clean"]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == UNREADABLE_EXIT
    assert "unreadable: broken.mp4" in result.stderr
    assert len(list((tmp_path / "set" / "videos").iterdir())) == 2


@pytest.mark.parametrize("content", ["", "name,label\na,1\n", "filename,label\n"])
def test_render_refuses_labels_without_what_it_needs(folder: Path, tmp_path: Path, content: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(content)
    result = RUNNER.invoke(app, ["render", str(folder), str(tmp_path / "set"), "--labels", str(labels)])
    assert isinstance(result.exception, LabelsError)
    assert not (tmp_path / "set").exists()


def test_render_refuses_a_folder_without_videos(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    result = RUNNER.invoke(app, ["render", str(empty), str(tmp_path / "set")])
    assert isinstance(result.exception, LabelsError)
