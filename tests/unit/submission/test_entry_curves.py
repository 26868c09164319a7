"""Robustness curves: read from a result as the harness writes it, and refused where there is no grid."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from training import curves


def _cut(name: str, severity: int, log_loss: float) -> dict[str, Any]:
    interval = {"low": log_loss - 0.1, "high": log_loss + 0.1, "level": 0.95, "unit": "video"}
    return {
        "kind": "perturbation_severity",
        "name": name,
        "severity": severity,
        "videos": 16,
        "log_loss": log_loss,
        "interval": interval,
        "roc_auc": 0.75,
    }


def _result(cuts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"sets": {"private": {"score": {"slices": cuts}}}}


GRID = [
    _cut("none", 0, 0.6),
    *(_cut("noise", s, 0.6 + s / 100) for s in range(1, 6)),
    *(_cut("blur", s, 0.6 + s / 10) for s in range(1, 6)),
    {**_cut("blur", 1, 9.0), "kind": "perturbation"},
]


def test_the_kind_that_costs_most_comes_first_and_other_cuts_do_not_count() -> None:
    control, points = curves.read_points(_result(GRID), "private")
    assert control.log_loss == 0.6
    assert list(points) == ["blur", "noise"]
    assert points["blur"][5].log_loss == pytest.approx(1.1)
    assert points["blur"][1].log_loss == pytest.approx(0.7)


def test_the_table_has_a_row_for_each_kind() -> None:
    lines = curves.markdown(*curves.read_points(_result(GRID), "private")).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("| *control, re-encoded only* | 0.600 (0.50-0.70), 0.75 |")
    assert lines[3].startswith("| blur | 0.700 (0.60-0.80), 0.75 |")
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("cuts", [[], GRID[1:], GRID[:1]])
def test_what_is_no_grid_is_refused(cuts: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="not a grid"):
        curves.read_points(_result(cuts), "private")


def test_picture_and_table_are_written(tmp_path: Path) -> None:
    result, picture, table = tmp_path / "result.json", tmp_path / "c.png", tmp_path / "c.md"
    result.write_text(json.dumps(_result(GRID)))
    curves.main([str(result), "--picture", str(picture), "--table", str(table)])
    assert "| noise |" in table.read_text()
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert min(drawn.shape[:2]) > 100


def test_an_unknown_set_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = tmp_path / "result.json"
    result.write_text(json.dumps(_result(GRID)))
    with pytest.raises(SystemExit):
        curves.main([str(result), "--set", "control"])
    assert "it has private" in capsys.readouterr().err
