"""Python that is written to bring its reader down: the reader goes on, and says what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.types import Limits
from harness.package.check import check_package
from harness.package.static.bombs import NAMES_MAX
from harness.package.static.code import Code, code_findings
from harness.package.static.reach import reached_from
from harness.package.static.scan import Link, Scan, Unreadable, scan

MANIFEST = 'name = "bomb"\nentry = "predictor:Predictor"\n'


def names(count: int, name: str = "a", dot: str = ".") -> str:
    return dot.join([name] * count)


@pytest.mark.parametrize(
    "code",
    [
        f"import {names(20_000)}",  # half a gigabyte, as long as nobody looks before the parser does
        f"import b, {names(20_000)}",
        f"if 1: import {names(20_000)} as b",
        f"from {names(20_000)} import b",
        f"from . .{names(20_000)} import b",
        "import\\\n" + names(20_000, dot=" \\\n.\t"),
        f"import {names(20_000, 'a·é')}",  # a dot of Catalan is a letter
    ],
)
@pytest.mark.parametrize("head", ["", "# coding: latin-1\n", "# coding: cp1252\n", "\ufeff"])
def test_an_import_of_very_many_names_is_refused_before_it_is_parsed(code: str, head: str) -> None:
    encoding = "utf-8" if "coding" not in head else "latin-1"
    found = scan(f"{head}x = 1\n{code}\n".encode(encoding), place="a.py")
    assert isinstance(found, Unreadable)
    assert f"more than {NAMES_MAX} names" in found.message
    assert found.line in {2, 3}


def test_an_import_of_many_names_is_read() -> None:
    found = scan(f"import {names(NAMES_MAX)}\nx = [{'0.5, ' * 5000}]\n".encode(), place="a.py")
    assert isinstance(found, Scan)
    assert [one.module.count(".") for one in found.imports] == [NAMES_MAX - 1]


def test_a_text_that_is_no_import_is_no_reason() -> None:
    code = f"'''{names(5000)}'''\nx = {names(500)}\n"
    assert isinstance(scan(code.encode(), place="a.py"), Scan)


@pytest.mark.parametrize("encoding", ["utf-7", "punycode", "unicode_escape", "idna", "rot13", "nonsense"])
def test_an_encoding_that_could_hide_one_is_refused(encoding: str) -> None:
    hidden = names(20_000, dot="+AC4-")
    found = scan(f"# coding: {encoding}\nimport {hidden}\n".encode(), place="a.py")
    assert isinstance(found, Unreadable)
    assert "encoding" in found.message or "UTF-8" in found.message


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "gbk", "euc-kr", "shift_jis", "koi8-r", "cp1252"])
def test_encodings_that_people_write_in_are_read(encoding: str) -> None:
    assert isinstance(scan(f"# -*- coding: {encoding} -*-\nx = 1\n".encode(), place="a.py"), Scan)


@pytest.mark.parametrize(
    "value",
    [
        f"A_Weights.{names(900)}",  # deeper than Python may call itself
        f"A_Weights.{names(2500)}",
    ],
)
def test_an_argument_of_very_many_parts_is_shown_in_part(value: str) -> None:
    found = scan(f"resnet(weights={value})\n".encode(), place="a.py")
    assert isinstance(found, Scan)
    assert all(len(hint.text) < 100 for hint in found.downloads)


def test_a_number_of_very_many_digits_is_not_written_out() -> None:
    found = scan(f"resnet(pretrained=0x{'f' * 50_000})\n".encode(), place="a.py")
    assert isinstance(found, Scan)
    assert [hint.text for hint in found.downloads] == ["resnet(…, pretrained=…)"]


def test_none_of_it_keeps_a_package_from_being_checked(tmp_path: Path) -> None:
    (tmp_path / "submission.toml").write_text(MANIFEST, encoding="utf-8")
    predictor = "class Predictor:\n    def __init__(self, p): ...\n    def predict(self, v): return 0.5\n"
    (tmp_path / "predictor.py").write_text(predictor, encoding="utf-8")
    (tmp_path / "other.py").write_text(f"import {names(20_000)}\n", encoding="utf-8")
    report = check_package(tmp_path, limits=Limits())
    assert report.ok
    assert [one.place for one in report.findings if one.code == "P301"] == ["other.py:1"]


# What took a day, or more memory than a machine has: without a limit of time these would not end.
@pytest.mark.timeout(120)
def test_files_of_one_name_that_are_imported_again_and_again_are_looked_for_once() -> None:
    again = (Link(level=0, module="a", names=()),) * 20_000
    other = tuple(Link(level=0, module="a", names=(f"b{number}",)) for number in range(20_000))
    one = scan(b"", place="")
    assert isinstance(one, Scan)
    scans = {f"folder{number}/a.py": one for number in range(10_000)}
    scans["folder0/a.py"] = replace(one, links=again + other)
    assert reached_from("folder0/a.py", scans) == frozenset(scans)


@pytest.mark.timeout(120)
def test_what_an_import_may_mean_is_listed_once_for_all_files() -> None:
    empty = scan(b"import nothing", place="")
    deep = "/".join("folder" for _ in range(24))
    scans = {f"{deep}/m{number}.py": empty for number in range(10_000)}
    code = Code(manifest=None, paths=frozenset(scans), scans=scans, image_modules=frozenset())
    assert sum(one.code == "P311" for one in code_findings(code)) == len(scans)
