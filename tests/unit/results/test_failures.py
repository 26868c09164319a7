"""Failures in few words: each remedy has the words that real packages end with."""

from __future__ import annotations

import pytest

from harness.core.types import Limits, Outcome, OutcomeKind
from harness.core.usage import Usage
from harness.results.failures import exception_of, folded, grouped, in_words, own_line, tail
from harness.results.remedies import BY_KIND, BY_WORDS, remedy_of

TRACEBACK = """Traceback (most recent call last):
  File "/opt/harness/runner.py", line 140, in answer_videos
    value = predictor.predict(videos / request["video"])
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/package/predictor.py", line 12, in predict
    return self.model(frames)
           ^^^^^^^^^^^^^^^^^^
  File "/opt/venv/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1, in _call_impl
    return forward_call(*args, **kwargs)
  File "/opt/venv/lib/python3.11/site-packages/torch/nn/functional.py", line 2, in linear
    return torch._C._nn.linear(input, weight, bias)
RuntimeError: no video at /videos/0a1b2c.mp4
"""


def failed(message: str, *, video: str = "v1", kind: OutcomeKind = OutcomeKind.RUNTIME_ERROR) -> Outcome:
    return Outcome(video_id=video, kind=kind, message=message)


def test_the_same_error_for_every_video_is_shown_once_with_its_count() -> None:
    outcomes = [failed(TRACEBACK.replace("0a1b2c", f"{n:06x}"), video=f"v{n}") for n in range(16)]
    (group,) = grouped([*outcomes, Outcome(video_id="w", kind=OutcomeKind.PREDICTED, probability=0.5)])
    assert group.count == 16
    assert group.video_ids == tuple(f"v{n}" for n in range(16))
    assert group.place == "predictor.py:12"
    said = in_words(group, total=17)
    assert said.startswith("16 of 17 videos: RUNTIME_ERROR: RuntimeError: no video at")
    assert said.endswith("at predictor.py:12")


def test_errors_of_another_kind_place_or_text_are_other_groups_the_most_frequent_first() -> None:
    elsewhere = TRACEBACK.replace("line 12", "line 40")
    other = TRACEBACK.replace("RuntimeError: no video", "ValueError: no face")
    groups = grouped([failed(TRACEBACK), failed(elsewhere), failed(other), failed(elsewhere)])
    assert [group.count for group in groups] == [2, 1, 1]
    assert groups[0].place == "predictor.py:40"


def test_frames_of_the_runner_and_of_libraries_are_folded_and_the_packages_own_stay() -> None:
    lines = folded(TRACEBACK).splitlines()
    assert lines == [
        "Traceback (most recent call last):",
        "  … 1 frame of the runner",
        '  File "predictor.py", line 12, in predict',
        "    return self.model(frames)",
        "           ^^^^^^^^^^^^^^^^^^",
        "  … 2 frames of torch",
        "RuntimeError: no video at /videos/0a1b2c.mp4",
    ]


def test_frames_of_importlib_are_folded() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module\n'
        "    return _bootstrap._gcd_import(name[level:], package, level)\n"
        '  File "<frozen importlib._bootstrap>", line 1206, in _gcd_import\n'
        '  File "/tmp/harness-stage-1/package/predictor.py", line 3, in <module>\n'
        "    import nowhere\n"
        "ModuleNotFoundError: No module named 'nowhere'\n"
    )
    assert own_line(text) == "predictor.py:3"
    assert "  … 2 frames of importlib" in folded(text).splitlines()
    assert exception_of(text) == "ModuleNotFoundError: No module named 'nowhere'"


def test_words_of_a_package_can_do_nothing_to_a_terminal() -> None:
    hostile = (
        'Traceback (most recent call last):\n  File "/package/\x1b[2Ja.py", line 1, in \x07\nE: \x1b[31m'
    )
    (group,) = grouped([failed(hostile)])
    for text in (group.exception, group.place, *group.message.splitlines(), *tail("\x1b[2J\nok", lines=5)):
        assert text.isprintable()


def test_what_was_not_reached_has_the_words_of_the_start() -> None:
    reached = [Outcome(video_id=f"v{n}", kind=OutcomeKind.NOT_REACHED) for n in range(3)]
    (group,) = grouped(reached, message=TRACEBACK)
    assert (group.count, group.place) == (3, "predictor.py:12")
    assert "frames of torch" in group.message


WORDS = [
    ("no probability: 'Tensor of shape (1,) torch.float32'", ".item()"),
    ("no probability: 'ndarray of shape (1, 1) float32'", ".item()"),
    ("no probability: 'Tensor of shape (8,) torch.float32'", "mean"),
    ("no probability: NaN", "division by zero"),
    ("no probability: -Infinity", "before the logarithm"),
    ("no probability: inf", "Infinite"),
    ("no probability: 3.2", "sigmoid"),
    ("no probability: -1.75", "sigmoid"),
    ("no probability: None", "return"),
    ("no probability: True", "float(p)"),
    ("no probability: '0.5'", "not text"),
    ("AssertionError: Torch not compiled with CUDA enabled", "is_available"),
    ("RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda", "map_location"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried", "batches"),
    (
        "huggingface_hub.errors.LocalEntryNotFoundError: outgoing traffic has been disabled",
        "local_files_only",
    ),
    ("timm.create_model('x', pretrained=True)\n…LocalEntryNotFoundError: the Hub", "weights=None"),
    ('File "torch/hub.py", in load_state_dict_from_url\nurllib.error.URLError', "weights=None"),
    ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "no network"),
    ("OSError: [Errno 30] Read-only file system: 'cache.npy'", "tempfile"),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'weights.pt'", "relative"),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/home/me/w.pt'", "package"),
    ("ModuleNotFoundError: No module named 'nowhere'", "wheels/"),
    ("ModuleNotFoundError: No module named 'albumentations.augmentations.functional'", "no such part"),
    ("no row", "every video"),
    ("EOFError: EOF when reading a line", "--pdb"),
    ("bdb.BdbQuit", "--pdb"),
    ("no table in /tmp/submission.csv (exit code 0): [Errno 2] No such file", "{output}"),
    ("SystemExit: 0", "exit()"),
    ("AttributeError: module 'numpy' has no attribute 'int'", "plain Python type"),
    ("_pickle.UnpicklingError: Weights only load failed. weights_only", "state_dict"),
    ("torch._inductor.exc.InvalidCxxCompiler: No working C++ compiler", "torch.compile"),
]


@pytest.mark.parametrize(("words", "remedy"), WORDS)
def test_each_error_has_the_remedy_that_fits(words: str, remedy: str) -> None:
    assert remedy in remedy_of(OutcomeKind.RUNTIME_ERROR, words)


def test_no_row_of_the_table_is_without_a_test() -> None:
    used = {remedy_of(OutcomeKind.RUNTIME_ERROR, words) for words, _ in WORDS}
    assert {remedy for _, remedy in BY_WORDS} == used


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (OutcomeKind.MEMORY_LIMIT, "3 GB"),
        (OutcomeKind.GPU_MEMORY_LIMIT, "5 GB"),
        (OutcomeKind.OUTPUT_LIMIT, "7 MB"),
        (OutcomeKind.VIDEO_TIMEOUT, "9 s"),
    ],
)
def test_a_limit_is_named_with_its_value(kind: OutcomeKind, named: str) -> None:
    limits = Limits(memory_bytes=3 * 10**9, gpu_memory_bytes=5 * 10**9, log_bytes=7 * 10**6, video_seconds=9)
    assert named in remedy_of(kind, "", limits=limits)
    assert kind in BY_KIND


def test_what_was_used_stands_beside_the_limit() -> None:
    usage = Usage(peak_memory_bytes=2_960_000_000, peak_gpu_memory_bytes=4_100_000_000)
    limits = Limits(memory_bytes=3 * 10**9, gpu_memory_bytes=5 * 10**9)
    for kind, peak in ((OutcomeKind.MEMORY_LIMIT, "2.96 GB"), (OutcomeKind.GPU_MEMORY_LIMIT, "4.1 GB")):
        assert peak in remedy_of(kind, "", limits=limits, usage=usage)
        assert "in use" not in remedy_of(kind, "", limits=limits)  # where nobody could measure it


def test_a_process_that_ended_by_itself_is_told_what_does_that() -> None:
    assert "os._exit" in remedy_of(OutcomeKind.RUNTIME_ERROR, "ended with exit code 0")


def test_an_error_that_says_what_it_is_gets_no_remedy_from_an_older_line_of_the_log() -> None:
    log = "OSError: [Errno 30] Read-only file system"
    assert remedy_of(OutcomeKind.RUNTIME_ERROR, TRACEBACK, log_tail=log) == ""
    assert "tempfile" in remedy_of(OutcomeKind.RUNTIME_ERROR, "", log_tail=log)
