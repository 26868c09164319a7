"""The public functions: what the pages show is run, and the smallest challenge is scored through them."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

import harness
from harness.core.errors import LabelsError, RecipeError, ScoreInputError
from harness.core.types import SetName, Verdict
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PREDICTOR = """
class Predictor:
    def __init__(self, package):
        pass

    def predict(self, video):
        return 0.25
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's examples find in their working directory."""
    write_clip(tmp_path / "clip.mp4", ClipSpec(width=64, height=48, frames=5))
    (tmp_path / "predictions.csv").write_text("filename,label\na.mp4,0.2\nb.mp4,0.7\n")
    (tmp_path / "labels.csv").write_text("filename,label\na.mp4,0\nb.mp4,1\n")
    package = tmp_path / "my-entry"
    package.mkdir()
    (package / "submission.toml").write_text('name = "my-entry"\nentry = "predictor:Predictor"\n')
    (package / "predictor.py").write_text(PREDICTOR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_page_runs(example: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(example, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.strip()


def test_every_public_function_is_on_the_page() -> None:
    functions = [name for name in harness.__all__ if inspect.isfunction(getattr(harness, name))]
    assert len(functions) == 5
    for name in functions:
        assert f"`harness.{name}(" in PAGE.read_text(encoding="utf-8")


def test_evaluate_scores_a_package_and_prints_nothing(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = desk / "challenge" / "videos"
    folder.mkdir(parents=True)
    rows = ["filename,label"]
    for number in range(2):
        write_clip(folder / f"clip{number}.mp4", ClipSpec(width=64, height=48, frames=3, seed=number))
        rows.append(f"clip{number}.mp4,{number}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    place = desk / "challenge" / "challenge.toml"
    place.write_text(
        'schema = 1\nname = "tiny"\n[sets.public]\nvideos = "videos"\nlabels = "videos/labels.csv"\n'
        'recipe = "clean"\nseed = 1\n'
    )
    result = harness.evaluate("my-entry", challenge=place, sandbox="process")
    public = result.sets[SetName.PUBLIC]
    assert public.verdict is Verdict.OK
    assert public.score.log_loss == pytest.approx(0.8369882)  # the mean of -ln 0.75 and -ln 0.25
    recorded = json.loads((desk / "runs" / result.run_id / "result.json").read_text())
    assert recorded["run_id"] == result.run_id
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_perturb_gives_the_same_bytes_for_the_same_seed_and_others_for_another(desk: Path) -> None:
    for name, seed in (("one.mp4", 1), ("again.mp4", 1), ("other.mp4", 2)):
        harness.perturb("clip.mp4", name, kind="noise", severity=3, seed=seed)
    one, again, other = ((desk / name).read_bytes() for name in ("one.mp4", "again.mp4", "other.mp4"))
    assert one == again != other


def test_bad_input_is_named(desk: Path) -> None:
    with pytest.raises(RecipeError, match="no-such-kind"):
        harness.perturb("clip.mp4", "out.mp4", kind="no-such-kind", severity=1)
    with pytest.raises(LabelsError):
        harness.score("predictions.csv", "nowhere.csv")
    (desk / "predictions.csv").write_text("filename,label\na.mp4,0.2\n")
    with pytest.raises(ScoreInputError, match=r"b\.mp4"):
        harness.score("predictions.csv", "labels.csv")
