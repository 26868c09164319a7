"""What scores nothing or fails late, found in the text: gone names, absent GPUs, guesses, stray files."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.views.check import render_report
from harness.core.types import Limits
from harness.package.check import CheckReport, check_package

STREAM = 'name = "p"\nentry = "predictor:Predictor"\n'
PREDICTOR = """
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        return 0.5
"""
LIMITS = Limits(package_bytes=10_000_000, gpus=0)


def check(root: Path, files: dict[str, str], *, limits: Limits = LIMITS) -> CheckReport:
    for name, text in {"submission.toml": STREAM, "predictor.py": PREDICTOR, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return check_package(root, limits=limits)


def places(report: CheckReport, code: str) -> list[str]:
    return [finding.place for finding in report.findings if finding.code == code]


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\nx = np.int(3)",
        "import numpy\nx = numpy.float",
        "from numpy import float_",
        "from albumentations.augmentations.functional import image_compression",
        "import albumentations.augmentations.functional as F",
        "from PIL import Image\nx = Image.ANTIALIAS",
        "from collections import Mapping",
        "import collections\nx = collections.Iterable",
        "import sklearn.externals.joblib",
    ],
)
def test_a_name_that_is_gone_is_found_with_its_line(tmp_path: Path, code: str) -> None:
    report = check(tmp_path, {"predictor.py": code + PREDICTOR})
    assert places(report, "P315") == [f"predictor.py:{len(code.splitlines())}"]


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\nx = np.int64(3)",
        "import numpy as np\nx = np.float32",
        "class np: int = 3\nx = np.int",
        "from albumentations.augmentations.blur import functional",
        "from collections.abc import Mapping",
        "int(3)",
    ],
)
def test_a_name_that_is_there_is_not(tmp_path: Path, code: str) -> None:
    assert places(check(tmp_path, {"predictor.py": code + PREDICTOR}), "P315") == []


@pytest.mark.parametrize(
    "line",
    ["model.cuda()", 'model.to("cuda")', 'torch.device("cuda:0")', 'torch.load(p, map_location="cuda")'],
)
def test_a_gpu_is_missed_only_if_the_challenge_gives_none(tmp_path: Path, line: str) -> None:
    code = {"predictor.py": f"import torch\ndef f(model, p):\n    {line}\n{PREDICTOR}"}
    assert places(check(tmp_path, code), "P317") == ["predictor.py:3"]
    assert places(check(tmp_path, code, limits=replace(LIMITS, gpus=1)), "P317") == []


@pytest.mark.parametrize(
    "line",
    [
        'x = model.to("cuda" if torch.cuda.is_available() else "cpu")',
        "if torch.cuda.is_available():\n        model.cuda()",
        "torch.cuda.empty_cache()",
        'model.to("cpu")',
    ],
)
def test_whoever_asks_first_is_not_warned(tmp_path: Path, line: str) -> None:
    code = f"import torch\ndef f(model):\n    {line}\n{PREDICTOR}"
    assert places(check(tmp_path, {"predictor.py": code}), "P317") == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("breakpoint()", True),
        ("answer = float(input('p? '))", True),
        ("import pdb; pdb.set_trace()", True),
        ("x = self.input(3)", False),
        ("x = model.input", False),
    ],
)
def test_what_asks_a_person_is_found(tmp_path: Path, line: str, found: bool) -> None:
    report = check(tmp_path, {"predictor.py": f"{line}\n{PREDICTOR}"})
    assert places(report, "P318") == ["predictor.py:1"] * found


def guarded(body: str) -> str:
    return PREDICTOR.replace(
        "        return 0.5",
        f"        try:\n            return judge(video)\n        except Exception:\n            {body}",
    )


@pytest.mark.parametrize("body", ["return 0.5", "p = 0.5", "return 0"])
def test_an_error_answered_with_a_constant_is_found(tmp_path: Path, body: str) -> None:
    assert places(check(tmp_path, {"predictor.py": guarded(body)}), "P316") == ["predictor.py:9"]


@pytest.mark.parametrize("body", ["raise", "count = 0", "return None", "return other(video)", "return True"])
def test_an_error_handled_otherwise_is_not(tmp_path: Path, body: str) -> None:
    assert places(check(tmp_path, {"predictor.py": guarded(body)}), "P316") == []


GONE = "import numpy as np\nx = np.int\n"


@pytest.mark.parametrize(
    ("first", "file"),
    [
        ("import model", "model.py"),
        ("from model import net", "model/net.py"),
        ("from model.net import f", "model/__init__.py"),
        ("import sys\nsys.path.append('src')\nimport deep", "src/deep.py"),
        ("import importlib\nimportlib.import_module(name)", "any/where.py"),
        ("import subprocess\nsubprocess.run(['python', x])", "any/where.py"),
    ],
)
def test_a_file_that_the_entry_reaches_or_may_reach_is_not_put_aside(
    tmp_path: Path, first: str, file: str
) -> None:
    report = check(tmp_path, {"predictor.py": f"{first}\n{PREDICTOR}", file: GONE})
    assert [finding.reached for finding in report.findings if finding.code == "P315"] == [True]


def test_relative_imports_are_followed(tmp_path: Path) -> None:
    files = {
        "predictor.py": f"from parts.a import x\n{PREDICTOR}",
        "parts/__init__.py": "",
        "parts/a.py": "from . import b\n",
        "parts/b.py": GONE,
    }
    assert [one.reached for one in check(tmp_path, files).findings if one.code == "P315"] == [True]


def test_findings_that_nothing_imports_come_last_and_are_counted_not_shown(tmp_path: Path) -> None:
    files = {"predictor.py": f"import used\n{PREDICTOR}", "used.py": GONE}
    files |= {f"old/n{number}.py": GONE for number in range(5)}
    report = check(tmp_path, files)
    found = [one for one in report.findings if one.code == "P315"]
    assert [one.reached for one in found] == [True, *[False] * 5]
    console = Console(width=100, record=True)
    console.print(render_report(report))
    text = console.export_text(clear=False)
    assert "used.py:2" in text
    assert "5 more in files that the entry's imports do not reach" in text
    assert "old/n4.py:2" not in text
    console = Console(width=100, record=True)
    console.print(render_report(report, everything=True))
    assert "old/n4.py:2" in console.export_text()


def wheel(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a-1.0-py3-none-any.whl", True),
        ("a-1.0-py2.py3-none-any.whl", True),
        ("a-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", True),
        ("a-1.0-cp39-abi3-manylinux2014_x86_64.whl", True),
        ("a-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", False),
        ("a-1.0-cp310-cp310-manylinux_2_28_x86_64.whl", False),
        ("a-1.0-cp311-cp311-win_amd64.whl", False),
        ("a-1.0-cp311-cp311-manylinux_2_39_x86_64.whl", False),
        ("a.whl", False),
    ],
)
def test_a_wheel_that_the_image_cannot_use_is_named(tmp_path: Path, name: str, fits: bool) -> None:
    wheel(tmp_path / "wheels" / name, {"a/__init__.py": b"", "a-1.0.dist-info/METADATA": b""})
    report = check(tmp_path, {"predictor.py": f"import a\n{PREDICTOR}"})
    assert places(report, "P131") == ([] if fits else [f"wheels/{name}"])
    assert bool(places(report, "P311")) is not fits  # what it brings can be imported


def test_wheels_that_do_not_fit_the_temporary_disk_are_an_error(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels" / "a-1.0-py3-none-any.whl", {"a.py": b"#" * 100_000})
    assert places(check(tmp_path, {}), "P132") == []
    assert places(check(tmp_path, {}, limits=replace(LIMITS, tmp_bytes=50_000)), "P132") == ["wheels"]


def test_a_wheel_that_is_not_a_zip_is_named_and_does_not_bring_the_check_down(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a-1.0-py3-none-any.whl").write_bytes(b"nothing")
    assert places(check(tmp_path, {}), "P131") == ["wheels/a-1.0-py3-none-any.whl"]


def zipped(path: Path, names: dict[str, str]) -> CheckReport:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in names.items():
            archive.writestr(name, text)
    return check_package(path, limits=LIMITS)


def test_a_zip_with_one_folder_is_that_folder_and_said_so(tmp_path: Path) -> None:
    files = {"mine-main/submission.toml": STREAM, "mine-main/predictor.py": PREDICTOR}
    flat = zipped(tmp_path / "flat.zip", {name.partition("/")[2]: text for name, text in files.items()})
    report = zipped(tmp_path / "a.zip", {"mine-main/": "", **files, "__MACOSX/mine-main/._x": ""})
    assert report.ok
    assert report.sha256 == flat.sha256
    assert "mine-main" in next(one.message for one in report.findings if one.code == "P122")


@pytest.mark.parametrize("other", ["stray.txt", "two/x.py", "mine/../../x.py", "mine//x.py", "/abs.py"])
def test_a_zip_with_anything_beside_it_or_out_of_it_is_refused(tmp_path: Path, other: str) -> None:
    files = {"mine/submission.toml": STREAM, "mine/predictor.py": PREDICTOR, other: ""}
    assert not zipped(tmp_path / "a.zip", files).ok
