r"""What members are held against on the clips that they never saw: the constant 0.5, and containers alone.

    python -m training.containers --clips FOLDER --unseen UNSEEN --judged judged.json \
        --report results/unseen.json

The classifier of containers is that of examples/metadata, fitted fold by fold as its fit.py does: on the
clips of the other folds as they were published, where size, rate and length tell much. It is asked about the
clips of the fold, which all went through one preparation. What it finds there is what that preparation left
of a shortcut. What was forged by hand it is not asked about: of those runs crops are kept, and no containers.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import calibrate, worth
from .clips import FOLDS, Clip, read_clips, split
from .judge import SETS
from .members import RECIPES
from .places import ROOT

CLIP = 0.02  # as examples/metadata answers
Describe = Callable[[Path], list[float]]
Floats = NDArray[np.float64]


def describe() -> Describe:
    """The six numbers of examples/metadata.

    Raises:
        FileNotFoundError: the example is not beside this package.
    """
    path = ROOT / "examples" / "metadata" / "container.py"
    spec = importlib.util.spec_from_file_location("container", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path} is not there: the example says what is looked at")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Describe = module.describe
    return found


def answers(training: Sequence[Clip], asked: Mapping[str, Path], describe: Describe) -> dict[str, float]:
    """P(fake) of some videos, by a fit to the containers of others."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    fitted.fit(np.array([describe(clip.video) for clip in training]), [clip.label for clip in training])
    p = fitted.predict_proba(np.array([describe(video) for video in asked.values()]))[:, 1]
    return dict(zip(asked, p.clip(CLIP, 1 - CLIP).tolist(), strict=True))


def ask(clips: Sequence[Clip], always: Sequence[str], unseen: Path) -> dict[str, dict[str, float]]:
    """The answers to every clip of every set, each by a fit to the clips of the other folds."""
    from harness.core.challenge import load_challenge  # noqa: PLC0415  (the harness is needed here alone)
    from harness.core.types import SetName  # noqa: PLC0415  (likewise)
    from harness.videos.ready_set import ready_set  # noqa: PLC0415  (likewise)

    look = describe()
    out: dict[str, dict[str, float]] = {name: {} for name in SETS}
    for fold in range(FOLDS):
        challenge = load_challenge(unseen / f"fold{fold}" / "challenge.toml")
        training, _ = split(clips, fold, always=always)
        for name in SETS:
            prepared = ready_set(SetName(name), challenge, cache=unseen / "prepared")
            asked = {Path(video.source_id).stem: video.path for video in prepared.videos}
            out[name] |= answers(training, asked, look)
    return out


def rows_of(p: Mapping[str, Floats], judged: Mapping[str, worth.Seen]) -> dict[str, Any]:
    """The figures of answers that need no calibration: by set and kind, and less a constant 0.5."""
    seen = worth.together([judged[name] for name in p])
    every = np.concatenate(list(p.values()))
    rows: dict[str, Any] = worth.describe(every, every, seen)
    rows["less_than"] = worth.differences(every, {"constant 0.5": np.full(len(every), 0.5)}, seen)
    return rows


def main(command_line: Sequence[str] | None = None) -> None:
    """Adds both rows to the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders given to train.py")
    parser.add_argument("--always", nargs="+", default=[], help="as given to train.py")
    parser.add_argument("--unseen", type=Path, required=True, help="the folder that training.unseen made")
    parser.add_argument("--judged", type=Path, required=True, help="what judge.py wrote of any member")
    parser.add_argument("--report", type=Path, required=True, help="calibrate.py's: two rows are added")
    arguments = parser.parse_args(command_line)
    report = json.loads(arguments.judged.read_text())
    member = next(kind for kind in report if kind in RECIPES)
    seen = {name: calibrate.read_judged(report, [member], name).seen for name in calibrate.SETS}
    found = ask(read_clips(arguments.clips), arguments.always, arguments.unseen)
    asked = {
        name: np.array([found[name][n] for n in sorted(report[member][name]["logits"])]) for name in SETS
    }
    half = {name: np.full(len(one.labels), 0.5) for name, one in seen.items()}
    recorded = json.loads(arguments.report.read_text()) if arguments.report.exists() else {}
    recorded |= {"constant 0.5": rows_of(half, seen), "metadata": rows_of(asked, seen)}
    arguments.report.write_text(json.dumps(recorded, indent=1) + "\n")
    for name in ("constant 0.5", "metadata"):
        print(f"{name}: mean log loss {recorded[name]['mean_log_loss'][0]:.4f}")


if __name__ == "__main__":
    main()
