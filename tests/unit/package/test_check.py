"""Checking without running: each finding has a package that earns it, and one that nearly does."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.cli.documents.package import CheckDocument
from harness.cli.views.check import render_report
from harness.core.challenge import Contract
from harness.core.errors import InfrastructureError
from harness.core.types import Limits, Mode
from harness.package.check import CheckReport, ContainerProbe, check_package, shipped_modules
from harness.package.findings import RULES, Finding, Severity, found
from harness.package.manifest import LEFT_OUT_BY_DEFAULT
from harness.package.opened import Package
from harness.package.static.scan import Scan, Unreadable, scan
from harness.package.static.weights import is_pickle

STREAM = 'name = "p"\nentry = "predictor:Predictor"\n'
BATCH = 'name = "p"\ncommand = ["python", "main.py", "{videos}", "{output}"]\n'
KAGGLE = 'name = "p"\nlayout = "kaggle"\ncommand = ["python", "main.py"]\n'
DATA = '[[external_data]]\nname = "n"\nlicence = "l"\nconsent = "c"\n'
PREDICTOR = """
class Predictor:
    def __init__(self, package):
        self.package = package
    def predict(self, video):
        return 0.5
"""
LIMITS = Limits(package_bytes=10_000_000, package_files=100)
Files = Mapping[str, bytes | str]


def check(
    root: Path,
    files: Files,
    manifest: str | None = STREAM,
    *,
    contract: Contract | None = None,
    inside: ContainerProbe | None = None,
) -> CheckReport:
    every = dict(files) if manifest is None else {"submission.toml": manifest, **files}
    if manifest is not None and manifest.startswith(STREAM):
        every.setdefault("predictor.py", PREDICTOR)
    for name, content in every.items():
        path = root / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_package(root / "package", limits=LIMITS, contract=contract, inside=inside)


def cases(report: CheckReport, *, but: Iterable[str] = ("P411", "P621")) -> dict[str, list[str]]:
    """Group what was found by code, with its place and message."""
    grouped: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.code not in but:
            grouped.setdefault(finding.code, []).append(f"{finding.place}: {finding.message}")
    return grouped


def test_a_good_package_has_no_finding(tmp_path: Path) -> None:
    report = check(tmp_path, {})
    assert cases(report) == {}
    assert report.ok
    assert len(report.sha256) == 64
    assert (report.name, report.file_count) == ("p", 2)


def test_everything_wrong_is_found_at_once(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "predictor.py": "import nowhere\nclass Other: pass\n",
        "broken.py": "def (",
        "weights.pkl": pickle.dumps([1]),
        ".secret": "x",
        "numpy.py": "",
        "Case.txt": "",
        "case.txt": "",
    }
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "link").symlink_to("/etc")
    report = check(tmp_path, files)
    codes = {"P107", "P109", "P114", "P301", "P303", "P311", "P312", "P401", "P402"}
    assert set(cases(report)) == codes
    assert not report.ok
    assert report.sha256 == ""


def test_a_broken_manifest_does_not_hide_the_rest(tmp_path: Path) -> None:
    report = check(tmp_path, {"a.py": "def (", "w.pt": pickle.dumps({})}, "name = 3\nentri = 'a:B'")
    assert {"P203", "P301", "P402"} <= set(cases(report))
    assert len(cases(report)["P203"]) == 2


def test_the_worst_comes_first(tmp_path: Path) -> None:
    order = list(Severity)
    ranks = [order.index(f.severity) for f in check(tmp_path, {".x": "", "b.py": "def ("}, BATCH).findings]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 3


@pytest.mark.parametrize("source", ["nowhere", "nowhere.zip"])
def test_a_missing_source_is_a_finding(tmp_path: Path, source: str) -> None:
    report = check_package(tmp_path / source, limits=LIMITS)
    assert set(cases(report)) == {"P101"}


def test_a_damaged_zip_is_found_though_its_directory_is_fine(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("submission.toml", STREAM)
        archive.writestr("predictor.py", PREDICTOR)
        archive.writestr("data.txt", "intact content")
    raw = (tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(raw.replace(b"intact content", b"broken content"))
    report = check_package(tmp_path / "p.zip", limits=LIMITS)
    assert "data.txt" in cases(report)["P103"][0]
    assert report.sha256 == ""


class TestEntry:
    def test_a_missing_module(self, tmp_path: Path) -> None:
        assert "no net/main.py" in cases(check(tmp_path, {}, 'name="p"\nentry="net.main:P"'))["P302"][0]

    @pytest.mark.parametrize("path", ["net/main.py", "net/main/__init__.py"])
    def test_a_module_in_a_package(self, tmp_path: Path, path: str) -> None:
        code = PREDICTOR.replace("Predictor", "P")
        assert cases(check(tmp_path, {path: code}, 'name="p"\nentry="net.main:P"')) == {}

    def test_a_missing_class_names_those_there(self, tmp_path: Path) -> None:
        found_cases = cases(check(tmp_path, {"predictor.py": "class Model: pass\nclass Net: pass\n"}))
        assert "Model, Net" in found_cases["P303"][0]

    @pytest.mark.parametrize(
        "code",
        [
            "from net import Predictor",
            "import net as Predictor",
            "from net import Model as Predictor",
            "from net import *",
            "Predictor = make()",
            "if True:\n    class Predictor: pass",
            "try:\n    from a import Predictor\nexcept ImportError:\n    Predictor = None",
        ],
    )
    def test_a_class_bound_in_any_way_counts(self, tmp_path: Path, code: str) -> None:
        assert "P303" not in cases(check(tmp_path, {"predictor.py": code, "net.py": "", "a.py": ""}))

    def test_a_name_within_a_function_does_not(self, tmp_path: Path) -> None:
        code = "def make():\n    class Predictor: pass\n    return Predictor\n"
        assert "P303" in cases(check(tmp_path, {"predictor.py": code}))

    @pytest.mark.parametrize(
        ("init", "predict", "wrong"),
        [
            ("def __init__(self, package): ...", "def predict(self, video): ...", 0),
            ("def __init__(self, package, size=3): ...", "def predict(self, video, *, size=3): ...", 0),
            ("def __init__(self, *args, **kw): ...", "def predict(self, *videos): ...", 0),
            ("def __init__(self, package=None): ...", "@torch.no_grad()\n    def predict(s, a, b): ...", 0),
            ("def __init__(self): ...", "def predict(self, video): ...", 1),
            ("def __init__(self, package, device): ...", "def predict(self): ...", 2),
            ("def __init__(self, package, *, device): ...", "def predict(self, video): ...", 1),
            ("def __init__(self, package): ...", "async def predict(self, video): ...", 1),
            ("def __init__(self, package): ...", "def predict(self, video, label): ...", 1),
            ("def __init__(self, package): ...", "def forward(self, video): ...", 1),
            ("def setup(self): ...", "def predict(self, video): ...", 1),
            ("predict = None", "x = 1", 0),
        ],
    )
    def test_call_shapes(self, tmp_path: Path, init: str, predict: str, wrong: int) -> None:
        code = f"class Predictor:\n    {init}\n    {predict}\n"
        assert len(cases(check(tmp_path, {"predictor.py": code})).get("P304", [])) == wrong

    def test_inherited_methods_are_not_missed(self, tmp_path: Path) -> None:
        code = "from base import Base\nclass Predictor(Base):\n    pass\n"
        assert cases(check(tmp_path, {"predictor.py": code, "base.py": ""})) == {}


class TestCommand:
    def test_a_missing_script(self, tmp_path: Path) -> None:
        assert "main.py" in cases(check(tmp_path, {}, BATCH))["P305"][0]

    def test_a_present_script(self, tmp_path: Path) -> None:
        assert cases(check(tmp_path, {"main.py": ""}, BATCH)) == {}

    def test_a_script_named_by_the_package(self, tmp_path: Path) -> None:
        manifest = BATCH.replace("main.py", "{package}/src/main.py")
        assert cases(check(tmp_path, {"src/main.py": ""}, manifest)) == {}
        assert "P305" in cases(check(tmp_path / "other", {"main.py": ""}, manifest))

    def test_a_file_started_directly(self, tmp_path: Path) -> None:
        manifest = 'name="p"\ncommand=["./run.sh", "{videos}", "{output}"]'
        assert "run.sh" in cases(check(tmp_path, {"run.sh": ""}, manifest))["P314"][0]

    def test_a_mode_that_the_challenge_does_not_allow(self, tmp_path: Path) -> None:
        report = check(tmp_path, {"main.py": ""}, BATCH, contract=Contract(modes=(Mode.STREAM,)))
        assert set(cases(report)) == {"P204"}

    def test_a_data_set_over_the_contest(self, tmp_path: Path) -> None:
        report = check(
            tmp_path, {"main.py": "", "contest/a": ""}, KAGGLE, contract=Contract(kaggle_slug="contest")
        )
        assert "contest's own folder" in cases(report)["P203"][0]


class TestCode:
    def test_a_syntax_error_is_an_error_where_the_package_starts(self, tmp_path: Path) -> None:
        report = check(tmp_path, {"predictor.py": PREDICTOR + "print 'x'", "old/two.py": "print 'x'"})
        by_place = {f.place.partition(":")[0]: f.severity for f in report.findings if f.code == "P301"}
        assert by_place == {"predictor.py": Severity.ERROR, "old/two.py": Severity.WARNING}

    def test_syntax_of_a_later_python_is_found(self, tmp_path: Path) -> None:
        code = PREDICTOR + "type Pair[T] = tuple[T, T]\n"
        assert "predictor.py:7" in cases(check(tmp_path, {"predictor.py": code}))["P301"][0]

    @pytest.mark.parametrize(
        ("code", "missing"),
        [
            ("import tensorflow", ["tensorflow"]),
            ("import tensorflow.keras as k, torch", ["tensorflow"]),
            ("from dlib import x", ["dlib"]),
            ("try:\n    import dlib\nexcept ImportError:\n    dlib = None", ["dlib"]),
            ("def f():\n    import dlib", ["dlib"]),
            ("import torch, cv2, numpy.linalg, PIL.Image, json, distutils", []),
            ("import helper, net.blocks\nfrom blocks import x", []),
            ("from . import x\nfrom .dlib import y", []),
        ],
    )
    def test_imports_that_the_image_lacks(self, tmp_path: Path, code: str, missing: list[str]) -> None:
        files = {"predictor.py": code + PREDICTOR, "helper.py": "", "net/blocks.py": ""}
        messages = cases(check(tmp_path, files)).get("P311", [])
        assert [re.findall("'(.*?)'", message)[0] for message in messages] == missing

    def test_the_images_own_list_is_used_if_there_is_one(self, tmp_path: Path) -> None:
        inside = ContainerProbe(modules=frozenset({"tensorflow"}), smoke=lambda package: [])
        report = check(tmp_path, {"predictor.py": "import tensorflow, torch" + PREDICTOR}, inside=inside)
        assert "torch" in " ".join(cases(report)["P311"])
        assert "tensorflow" not in " ".join(cases(report)["P311"])

    @pytest.mark.parametrize(
        ("path", "hides"),
        [
            ("numpy.py", True),
            ("torch/__init__.py", True),
            ("random.py", True),
            ("sitecustomize.py", True),
            ("net/random.py", False),
            ("torch/weights.py", False),
            ("model.py", False),
        ],
    )
    def test_names_that_hide_a_module(self, tmp_path: Path, path: str, hides: bool) -> None:
        assert ("P312" in cases(check(tmp_path, {path: ""}))) is hides

    def test_beside_a_script_counts_in_batch_mode(self, tmp_path: Path) -> None:
        manifest = BATCH.replace("main.py", "src/main.py")
        report = check(tmp_path, {"src/main.py": "", "src/random.py": "", "random.py": ""}, manifest)
        assert cases(report)["P312"] == ["src/random.py: hides the module 'random'"]

    def test_huge_sources_are_not_parsed(self, tmp_path: Path) -> None:
        assert "data.py" in cases(check(tmp_path, {"data.py": "x = 1\n" * 200_000}))["P313"][0]

    @pytest.mark.parametrize(
        "code",
        [
            "import requests",
            "from urllib.request import urlopen",
            "from urllib import request\nrequest.urlopen('x')",
            "import torch\ntorch.hub.load('a', 'b')",
            "from torch.hub import load_state_dict_from_url\nload_state_dict_from_url('x')",
            "import timm\ntimm.create_model('x', pretrained=True)",
            "from facenet_pytorch import InceptionResnetV1\nInceptionResnetV1(pretrained='vggface2')",
            "model = Auto.from_pretrained('google/vit')",
            "from torchvision.models import resnet18\nresnet18(weights='DEFAULT')",
            "from torchvision import models\nmodels.resnet18(weights=models.ResNet18_Weights.IMAGENET1K_V1)",
            "import segmentation_models_pytorch as smp\nsmp.Unet('resnet34', encoder_weights='imagenet')",
        ],
    )
    def test_reaching_for_the_network(self, tmp_path: Path, code: str) -> None:
        assert "P501" in cases(check(tmp_path, {"predictor.py": code + "\n" + PREDICTOR}))

    @pytest.mark.parametrize(
        "code",
        [
            "import urllib.parse",
            "import timm\ntimm.create_model('x', pretrained=False)",
            "from torchvision.models import resnet18\nresnet18(weights=None)",
            "np.average([1, 2], weights=[1, 3])",
            "load(weights='best.safetensors')",
            "'''see https://example.org'''",
        ],
    )
    def test_what_needs_no_network(self, tmp_path: Path, code: str) -> None:
        assert cases(check(tmp_path, {"predictor.py": code + "\n" + PREDICTOR})) == {}

    @pytest.mark.parametrize(
        ("text", "manifest", "expected"),
        [
            ("/home/ann/w.pt", STREAM, "does not exist"),
            ("C:\\\\models\\\\w.pt", STREAM, "does not exist"),
            ("/kaggle/input/x/w.pt", STREAM, 'layout = "kaggle"'),
            ("/kaggle/input/x/w.pt", KAGGLE, None),
            ("/content/drive/w.pt", KAGGLE, "does not exist"),
            ("/tmp/x", STREAM, None),
            ("http://x/home/", STREAM, None),
            ("weights/home/w.pt", STREAM, None),
        ],
    )
    def test_paths_of_other_machines(
        self, tmp_path: Path, text: str, manifest: str, expected: str | None
    ) -> None:
        name = "predictor.py" if manifest == STREAM else "main.py"
        messages = cases(check(tmp_path, {name: f'P = "{text}"\n{PREDICTOR}'}, manifest)).get("P502", [])
        assert len(messages) == (expected is not None)
        assert all(expected in message for message in messages if expected)

    def test_documentation_may_name_any_path(self, tmp_path: Path) -> None:
        code = '"""\n/home/ann/x"""\ndef f():\n    "/home/ann/x"\n' + PREDICTOR
        assert cases(check(tmp_path, {"predictor.py": code})) == {}


def torch_zip() -> bytes:
    """Write what `torch.save` writes: a stored zip whose first entry is the pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return stream.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


class TestWeights:
    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize("value", [{"a": 1}, [1, 2], (1, "x"), "text", {1, 2}], ids=repr)
    def test_a_pickle_is_known_by_its_content(self, protocol: int, value: object) -> None:
        assert is_pickle("harmless.dat", pickle.dumps(value, protocol=protocol)[:512])

    @pytest.mark.parametrize("name", ["model.pt", "model.dat", "model"])
    def test_a_torch_file_is_known_by_its_content(self, name: str) -> None:
        assert is_pickle(name, torch_zip()[:512])

    def test_an_old_pickle_is_known_by_its_name(self) -> None:
        assert is_pickle("model.pkl", pickle.dumps({"a": 1}, protocol=0))

    def test_an_array_of_objects_is_a_pickle(self) -> None:
        head = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"
        assert is_pickle("x.npy", head)
        assert not is_pickle("x.npy", head.replace(b"|O", b"<f4"))

    @pytest.mark.parametrize(
        ("name", "head"),
        [
            ("w.safetensors", safetensors()),
            ("pictures.zip", b"PK\x03\x04" + bytes(26) + b"cat.png"),
            ("picture.png", b"\x89PNG\r\n\x1a\n"),
            ("video.bin", b"\x00\x00\x00 ftypisom"),
            ("random.dat", b"\x80\x02\x00\x00\x00"),
            ("empty.pt", b""),
        ],
    )
    def test_what_is_not_a_pickle(self, name: str, head: bytes) -> None:
        assert not is_pickle(name, head)

    @pytest.mark.parametrize("name", ["w.safetensors", "w.onnx", "deep/w.pth", "W.PT"])
    def test_weights_need_a_declaration(self, tmp_path: Path, name: str) -> None:
        files = {name: safetensors()}
        assert check(tmp_path / "a", files).count(Severity.ERROR) == 1
        assert "P401" in cases(check(tmp_path / "b", files))
        assert "P401" not in cases(check(tmp_path / "c", files, STREAM + DATA))

    def test_the_challenge_decides_how_bad_that_is(self, tmp_path: Path) -> None:
        report = check(tmp_path, {"w.onnx": b"x"}, contract=Contract(external_data_required=False))
        assert [f.severity for f in report.findings if f.code == "P401"] == [Severity.WARNING]
        assert report.ok

    def test_pickled_weights_are_a_warning(self, tmp_path: Path) -> None:
        report = check(tmp_path, {"w.pt": torch_zip()}, STREAM + DATA)
        assert set(cases(report)) == {"P402"}
        assert report.ok


class TestInside:
    def test_a_clean_package_is_opened_and_run(self, tmp_path: Path) -> None:
        seen: list[Package] = []

        def smoke(package: Package) -> list[Finding]:
            assert (package.root / "predictor.py").read_text() == PREDICTOR
            seen.append(package)
            return [found("P602", "Traceback\n  boom")]

        inside = ContainerProbe(modules=shipped_modules(), smoke=smoke)
        report = check(tmp_path, {}, inside=inside)
        assert "P602" in cases(report)
        assert "P621" not in {finding.code for finding in report.findings}
        assert not report.ok
        assert seen[0].sha256 == report.sha256
        assert not seen[0].root.exists()

    def test_an_error_in_the_code_does_not_hide_what_the_run_shows(self, tmp_path: Path) -> None:
        inside = ContainerProbe(modules=shipped_modules(), smoke=lambda _: [found("P602", "what it showed")])
        report = check(tmp_path, {"predictor.py": "def ("}, inside=inside)
        assert cases(report)["P602"] == [": what it showed"]
        assert "P301" in cases(report)

    def test_a_package_that_cannot_be_opened_is_not_run(self, tmp_path: Path) -> None:
        def smoke(package: Package) -> list[Finding]:
            raise AssertionError(f"{package} was run")

        inside = ContainerProbe(modules=shipped_modules(), smoke=smoke)
        report = check(tmp_path, {}, manifest="name = 3\n", inside=inside)
        assert not report.ok
        assert not report.opens

    def test_our_own_fault_is_not_a_finding(self, tmp_path: Path) -> None:
        def smoke(package: Package) -> list[Finding]:
            raise InfrastructureError("the engine has gone")

        inside = ContainerProbe(modules=shipped_modules(), smoke=smoke)
        with pytest.raises(InfrastructureError):
            check(tmp_path, {}, inside=inside)


class TestHostileSources:
    HARD = {  # noqa: RUF012  (never changed)
        "brackets": b"(" * 100_000,
        "minus": b"-" * 500_000 + b"1",
        "attributes": b"a" + b".a" * 200_000,
        "sum": b"1" + b"+1" * 200_000,
        "lambdas": b"lambda:" * 50_000 + b"1",
        "conditions": b"1 if 1 else " * 50_000 + b"1",
        "elif": b"if 1:\n pass\n" + b"elif 1:\n pass\n" * 30_000,
        "digits": b"1" * 500_000,
        "nul": b"a\0b",
        "unknown_encoding": b"# coding: nowhere\n",
        "binary_encoding": b"# coding: hex\n41",
        "not_utf8": b"x = '\xff'",
        "open_string": b"'''" + b"x" * 500_000,
        "bad_escape": b"x = '\\d'",
    }

    @pytest.mark.parametrize("source", HARD.values(), ids=HARD)
    def test_nothing_brings_the_reader_down(self, source: bytes) -> None:
        assert isinstance(scan(source, place="x.py"), Scan | Unreadable)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200))
    def test_no_bytes_make_it_crash(self, source: bytes) -> None:
        assert isinstance(scan(source, place="x.py"), Scan | Unreadable)

    def test_nothing_is_run(self, tmp_path: Path) -> None:
        bait = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        before = set(sys.modules)
        check(tmp_path, {"predictor.py": bait + PREDICTOR, "conftest.py": bait, "sitecustomize.py": bait})
        assert not (tmp_path / "ran").exists()
        assert "predictor" not in set(sys.modules) - before

    def test_pickles_are_not_opened(self, tmp_path: Path) -> None:
        class Bait:
            def __reduce__(self) -> tuple[object, ...]:
                return (Path.touch, (tmp_path / "ran",))

        report = check(tmp_path, {"w.pkl": pickle.dumps(Bait())}, STREAM + DATA)
        assert "P402" in cases(report)
        assert not (tmp_path / "ran").exists()


class TestViews:
    def test_json_holds_everything(self, tmp_path: Path) -> None:
        report = check(tmp_path, {"predictor.py": "def ("})
        document = json.loads(CheckDocument.of(report, []).model_dump_json())
        assert (document["schema_version"], document["ok"], document["name"]) == (1, False, "p")
        assert document["findings"][0] == {
            "code": "P301",
            "severity": "error",
            "message": "is not valid Python 3.11: invalid syntax",
            "place": "predictor.py:1",
            "remedy": RULES["P301"].remedy,
            "reached": True,
        }

    def test_the_terminal_shows_every_finding_and_its_remedy(self, tmp_path: Path) -> None:
        report = check(tmp_path, {"predictor.py": "import nowhere\n", "w.pt": torch_zip()})
        console = Console(width=500, file=io.StringIO(), color_system=None)
        console.print(render_report(report))
        text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO given above
        assert all(f.code in text and f.message in text and f.remedy in text for f in report.findings)
        assert "will not be run" in text

    def test_markup_and_escapes_of_a_contestant_have_no_effect(self, tmp_path: Path) -> None:
        (tmp_path / "package").mkdir()
        (tmp_path / "package" / "\x1b]0;owned\x07").write_text("")
        report = check(tmp_path, {"[bold red]x.py": "def ("})
        console = Console(width=500, file=io.StringIO(), color_system="truecolor", force_terminal=True)
        console.print(render_report(report))
        text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO given above
        assert "[bold red]x.py" in text
        assert "\x1b]0" not in text


def test_every_code_has_a_remedy_and_a_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "contestants.md").read_text(encoding="utf-8")
    for code, rule in RULES.items():
        assert rule.remedy or code == "P620"
        assert f"| {code} | {rule.severity} | {rule.title} |" in page
    assert set(re.findall(r"\| (P\d{3}) \|", page)) == set(RULES)


def test_the_page_lists_what_is_left_out() -> None:
    page = (Path(__file__).parents[3] / "docs" / "contestants.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in LEFT_OUT_BY_DEFAULT)
