"""Hostile zips, written byte by byte: each is refused with its finding, and nothing is left behind."""

from __future__ import annotations

import stat
import struct
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.core.errors import PackageError
from harness.core.types import Limits
from harness.package.opened import open_package, remove_package
from harness.package.source import survey

MANIFEST = b'name = "zip"\nentry = "predictor:Predictor"\n'
LIMITS = Limits(package_bytes=1_000_000, package_files=50)


@dataclass
class Item:
    """One file of a raw zip; what is None is derived honestly."""

    name: bytes
    content: bytes = b""
    deflate: bool = False
    flags: int = 0
    method: int | None = None
    mode: int = stat.S_IFREG | 0o644
    system: int = 3
    extra: bytes = b""
    size: int | None = None
    packed: bytes | None = None
    crc: int | None = None
    local_name: bytes | None = None
    local_flags: int | None = None
    local_size: int | None = None
    offset: int | None = None
    packed_size: int | None = None


@dataclass
class Raw:
    """A raw zip and the lies in its end record."""

    items: list[Item] = field(default_factory=list)
    front: bytes = b""
    behind: bytes = b""
    comment: bytes = b""
    count: int | None = None
    disk: int = 0
    directory_junk: bytes = b""
    offset_shift: int = 0

    def build(self) -> bytes:
        body, directory = bytearray(self.front), bytearray()
        for item in self.items:
            packed = item.packed
            if packed is None:
                packed = deflated(item.content) if item.deflate else item.content
            method = item.method if item.method is not None else (8 if item.deflate else 0)
            size = len(item.content) if item.size is None else item.size
            crc = zlib.crc32(item.content) if item.crc is None else item.crc
            offset = len(body) if item.offset is None else item.offset
            local_name = item.name if item.local_name is None else item.local_name
            local_flags = item.flags if item.local_flags is None else item.local_flags
            packed_size = len(packed) if item.packed_size is None else item.packed_size
            local_size = size if item.local_size is None else item.local_size
            body += struct.pack(
                "<4s5H3L2H",
                *(b"PK\x03\x04", 20, local_flags, method, 0, 33, crc, packed_size, local_size),
                *(len(local_name), 0),
            )
            body += local_name + packed
            directory += struct.pack(
                "<4s6H3L5H2L",
                *(
                    b"PK\x01\x02",
                    item.system << 8 | 20,
                    20,
                    item.flags,
                    method,
                    0,
                    33,
                    crc,
                    packed_size,
                    size,
                ),
                *(len(item.name), len(item.extra), 0, 0, 0, item.mode << 16, offset),
            )
            directory += item.name + item.extra
        directory += self.directory_junk
        count = len(self.items) if self.count is None else self.count
        end = struct.pack(
            "<4s4H2LH",
            *(b"PK\x05\x06", self.disk, self.disk, count, count, len(directory)),
            *(len(body) + self.offset_shift, len(self.comment)),
        )
        return bytes(body + directory + end + self.comment + self.behind)


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def zip_with(*items: Item, **tricks: object) -> bytes:
    manifest = Item(b"submission.toml", MANIFEST)
    return Raw(items=[manifest, *items], **tricks).build()  # type: ignore[arg-type]  # tricks are Raw's fields


def refusal(folder: Path, content: bytes, limits: Limits = LIMITS) -> str:
    """Open a zip that must be refused, and see that nothing but the zip is left."""
    source = folder / "entry.zip"
    source.write_bytes(content)
    with pytest.raises(PackageError) as caught:
        open_package(source, folder / "opened", limits=limits)
    assert sorted(path.name for path in folder.iterdir()) == ["entry.zip"]
    assert caught.value.remedy
    return str(caught.value)


def codes(folder: Path, content: bytes, limits: Limits = LIMITS) -> set[str]:
    source = folder / "entry.zip"
    source.write_bytes(content)
    with survey(source, limits=limits) as looked:
        return {finding.code for finding in looked.errors}


def test_the_builder_makes_zips_that_open(tmp_path: Path) -> None:
    # Otherwise every refusal below could be for the wrong reason.
    source = tmp_path / "entry.zip"
    source.write_bytes(
        zip_with(Item(b"a/b.txt", b"hello" * 99, deflate=True), Item(b"folder/", mode=0o40755))
    )
    package = open_package(source, tmp_path / "opened", limits=LIMITS)
    assert (package.root / "a/b.txt").read_bytes() == b"hello" * 99
    assert package.file_count == 2


ZERO_MEGABYTES = deflated(bytes(60_000_000))
NAMES = {
    "parent": b"../evil.txt",
    "parent_inside": b"a/../../evil.txt",
    "absolute": b"/etc/cron.d/evil",
    "drive": b"C:/evil.txt",
    "backslash": b"a\\..\\..\\evil.txt",
    "nul": b"evil.txt\0.png",
    "newline": b"a\nb.txt",
    "escape": b"\x1b[2Jevil.txt",
    "right_to_left": "a\u202etxt.py".encode(),
    "not_utf8": b"caf\xe9.txt",
    "empty_part": b"a//b.txt",
    "dot_part": b"a/./b.txt",
    "long_name": b"a" * 300,
    "long_path": b"/".join([b"a" * 100] * 12),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_unsafe_names_are_refused(tmp_path: Path, name: bytes) -> None:
    content = zip_with(Item(name, b"x"))
    assert codes(tmp_path, content) == {"P106"}
    refusal(tmp_path, content)
    assert not (tmp_path.parent / "evil.txt").exists()


STRUCTURES = {
    "empty_file": (b"", "P102"),
    "no_zip": (b"#!/bin/sh\nrm -rf /\n" * 100, "P102"),
    "only_an_end": (b"PK\x05\x06" + bytes(18), "P201"),
    "cut_off": (zip_with(Item(b"a", b"x" * 999))[:-30], "P102"),
    "data_in_front": (zip_with(Item(b"a"), front=b"MZ executable"), "P103"),
    "data_behind": (zip_with(Item(b"a"), behind=b"junk"), "P103"),
    "second_end_in_the_comment": (zip_with(Item(b"a"), comment=b"PK\x05\x06" + bytes(18)), "P103"),
    "count_too_small": (zip_with(Item(b"a"), count=1), "P103"),
    "count_too_large": (zip_with(Item(b"a"), count=3), "P103"),
    "junk_in_directory": (zip_with(Item(b"a"), directory_junk=b"hidden"), "P103"),
    "directory_elsewhere": (zip_with(Item(b"a"), offset_shift=-4), "P103"),
    "several_disks": (zip_with(Item(b"a"), disk=1), "P103"),
    "zip64_count": (zip_with(Item(b"a"), count=0xFFFF), "P103"),
    "zip64_size": (zip_with(Item(b"a", b"x", size=0xFFFFFFFF, deflate=True)), "P103"),
    "zip64_extra": (zip_with(Item(b"a", b"x", extra=struct.pack("<HHQ", 1, 8, 1))), "P103"),
    "damaged_extra": (zip_with(Item(b"a", b"x", extra=b"\x01\x02\xff\xff")), "P103"),
    "second_name": (zip_with(Item(b"a", b"x", extra=struct.pack("<HHBL", 0x7075, 8, 1, 0) + b"b/c")), "P103"),
    "encrypted": (zip_with(Item(b"a", b"x", flags=1)), "P104"),
    "strongly_encrypted": (zip_with(Item(b"a", b"x", flags=1 | 1 << 6)), "P104"),
    "masked_directory": (zip_with(Item(b"a", b"x", flags=1 << 13)), "P104"),
    "aes": (zip_with(Item(b"a", b"x", method=99)), "P104"),
    "bzip2": (zip_with(Item(b"a", b"x", method=12)), "P103"),
    "stored_of_two_sizes": (zip_with(Item(b"a", b"x", size=2)), "P103"),
    "folder_with_content": (zip_with(Item(b"a/", b"x", mode=0o40755)), "P103"),
    "other_name_in_header": (zip_with(Item(b"a", b"x", local_name=b"../a")), "P103"),
    "other_flags_in_header": (zip_with(Item(b"a", b"x", local_flags=8)), "P103"),
    "other_size_in_header": (zip_with(Item(b"a", b"x", local_size=7)), "P103"),
    "header_elsewhere": (zip_with(Item(b"a", b"x", offset=3)), "P103"),
    "header_in_directory": (zip_with(Item(b"a", b"x", offset=10**9)), "P103"),
    "data_in_directory": (zip_with(Item(b"a", b"x", size=60, packed_size=60)), "P103"),
    "shared_bytes": (zip_with(Item(b"a", b"x"), Item(b"a", b"x", offset=46 + len(MANIFEST) - 1)), "P103"),
    "link": (zip_with(Item(b"a", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)), "P107"),
    "device": (zip_with(Item(b"a", mode=stat.S_IFBLK | 0o600)), "P108"),
    "pipe": (zip_with(Item(b"a", mode=stat.S_IFIFO | 0o600)), "P108"),
    "file_called_folder": (zip_with(Item(b"a", mode=stat.S_IFDIR | 0o755)), "P108"),
    "twice": (zip_with(Item(b"a", b"x"), Item(b"a", b"y")), "P109"),
    "manifest_twice": (zip_with(Item(b"submission.toml", MANIFEST)), "P109"),
    "case": (zip_with(Item(b"Model.py", b"x"), Item(b"model.py", b"y")), "P109"),
    "case_of_folder": (zip_with(Item(b"Net/a.py", b"x"), Item(b"net/b.py", b"y")), "P109"),
    "accents": (zip_with(Item("é.py".encode()), Item("e\u0301.py".encode())), "P109"),
    "ligature": (zip_with(Item("ﬁ.py".encode()), Item(b"fi.py")), "P109"),
    "file_and_folder": (zip_with(Item(b"a", b"x"), Item(b"a/b", b"y")), "P109"),
    "folder_and_file": (zip_with(Item(b"a/b", b"x"), Item(b"a", b"y")), "P109"),
    "deep": (zip_with(Item(b"/".join([b"d"] * 3000), b"x")), "P106"),
    "quite_deep": (zip_with(Item(b"/".join([b"d"] * 40), b"x")), "P110"),
    "many_files": (zip_with(*(Item(b"f%d" % n) for n in range(60))), "P111"),
    "very_many_files": (zip_with(*(Item(b"f%d" % n) for n in range(400))), "P111"),
    "many_folders": (zip_with(*(Item(b"%d/f" % n) for n in range(30))), "P111"),
    "too_large": (zip_with(Item(b"a", bytes(1_000_001))), "P112"),
    "too_large_in_sum": (zip_with(Item(b"a", bytes(600_000)), Item(b"b", bytes(600_000))), "P112"),
    "no_manifest": (Raw(items=[Item(b"predictor.py", b"x")]).build(), "P201"),
    "manifest_is_a_link": (Raw(items=[Item(b"submission.toml", b"x", mode=0o120777)]).build(), "P107"),
    "manifest_is_huge": (Raw(items=[Item(b"submission.toml", b"#" * 70_000)]).build(), "P202"),
}


@pytest.mark.parametrize(("content", "code"), STRUCTURES.values(), ids=STRUCTURES)
def test_structures_that_no_honest_zip_has_are_refused(tmp_path: Path, content: bytes, code: str) -> None:
    assert code in codes(tmp_path, content)
    assert code in refusal(tmp_path, content)


LIES = {
    "longer_than_declared": Item(b"a", b"x" * 10, packed=deflated(b"x" * 500_000), size=10, method=8),
    "shorter_than_declared": Item(b"a", b"x", packed=deflated(b"x" * 5), size=10, method=8),
    "wrong_checksum": Item(b"a", b"x" * 10, crc=1),
    "broken_data": Item(b"a", b"x" * 10, packed=b"\xff" * 10, method=8),
    "data_stops_short": Item(b"a", b"x" * 999, packed=deflated(b"x" * 999)[:-3], method=8),
    "data_goes_on": Item(b"a", b"x" * 9, packed=deflated(b"x" * 9) + b"more", method=8),
    "nothing": Item(b"a", b"x" * 9, packed=b"", method=8),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_content_other_than_declared_is_refused_while_reading(tmp_path: Path, lie: Item) -> None:
    text = refusal(tmp_path, zip_with(Item(b"first", b"already written"), lie))
    assert "damaged" in text
    assert "a:" in text


def test_no_more_is_unpacked_than_was_declared(tmp_path: Path) -> None:
    # Two megabytes more would be read before the sum is found wrong, if only the sum were looked at.
    lie = Item(b"a", b"x" * 10, packed=deflated(bytes(3_000_000)), size=10, method=8)
    source = tmp_path / "entry.zip"
    source.write_bytes(zip_with(lie))
    with survey(source, limits=LIMITS) as looked:
        entry = next(entry for entry in looked.contents.members if entry.path == "a")
        received: list[bytes] = []
        with pytest.raises(PackageError, match="more than the 10 bytes"):
            received.extend(looked.read(entry))
        assert sum(map(len, received)) <= 10


def test_a_bomb_within_the_size_limit_is_refused_before_unpacking(tmp_path: Path) -> None:
    bomb = zip_with(Item(b"zeros", packed=ZERO_MEGABYTES, size=60_000_000, method=8, crc=0))
    assert "P105" in refusal(tmp_path, bomb, Limits())


def test_one_stream_cannot_be_unpacked_many_times(tmp_path: Path) -> None:
    # The overlap bomb: every name of the directory points at the same file's data.
    names = [Item(b"zeros", packed=ZERO_MEGABYTES, size=60_000_000, method=8, crc=0)]
    start = 30 + len(b"submission.toml") + len(MANIFEST)
    names += [Item(b"zeros", packed=b"", size=0, offset=start) for _ in range(3)]
    assert "P103" in refusal(tmp_path, zip_with(*names), Limits())


def test_what_is_left_out_is_never_read(tmp_path: Path) -> None:
    source = tmp_path / "entry.zip"
    link = Item(b".venv/bin/python", b"/usr/bin/python3", mode=stat.S_IFLNK | 0o777)
    large = Item(b"__pycache__/x.pyc", packed=ZERO_MEGABYTES, size=60_000_000, method=8, crc=0)
    source.write_bytes(zip_with(link, large))
    package = open_package(source, tmp_path / "opened", limits=LIMITS)
    assert [path.name for path in package.root.iterdir()] == ["submission.toml"]


def test_streamed_zips_of_honest_tools_open(tmp_path: Path) -> None:
    # Sizes in a descriptor behind the data, as `zip -` and macOS write them.
    content = b"print('hello')\n" * 20
    packed = deflated(content)
    item = Item(b"a.py", content, deflate=True, flags=8, local_size=0)
    item.packed = packed + struct.pack("<4s3L", b"PK\x07\x08", zlib.crc32(content), len(packed), len(content))
    raw = bytearray(zip_with(item))
    at = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)
    local = raw.index(b"PK\x03\x04", 4)
    raw[at + 20 : at + 24] = struct.pack("<L", len(packed))
    raw[local + 14 : local + 26] = bytes(12)
    source = tmp_path / "entry.zip"
    source.write_bytes(raw)
    package = open_package(source, tmp_path / "opened", limits=LIMITS)
    assert (package.root / "a.py").read_bytes() == content


GOOD = zip_with(Item(b"a/b.py", b"x" * 300, deflate=True), Item(b"c", b"y" * 40), comment=b"made by hand")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    keep=st.integers(0, len(GOOD)),
    cut=st.booleans(),
)
def test_no_damage_makes_it_crash_or_leave_anything(
    changes: list[tuple[int, int]], keep: int, cut: bool
) -> None:
    content = bytearray(GOOD)
    for at, value in changes:
        content[at] = value
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "entry.zip").write_bytes(content[:keep] if cut else content)
        try:
            package = open_package(folder / "entry.zip", folder / "opened", limits=LIMITS)
        except PackageError:
            assert [path.name for path in folder.iterdir()] == ["entry.zip"]
        else:
            inside = [path for path in package.root.rglob("*") if path.is_file()]
            assert all(not path.is_symlink() for path in inside)
            assert sum(path.stat().st_size for path in inside) == package.size_bytes <= LIMITS.package_bytes
            remove_package(package.root)
            assert [path.name for path in folder.iterdir()] == ["entry.zip"]


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.text(alphabet="aA./\\é\u0301\0:\u202e ~", max_size=12).map(str.encode),
        ),
        max_size=6,
    ),
    mode=st.sampled_from([0o100644, 0o120777, 0o040755, 0o020600, 0]),
)
def test_no_names_escape_the_folder(names: list[bytes], mode: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "entry.zip").write_bytes(zip_with(*(Item(n, b"x", mode=mode) for n in names)))
        try:
            package = open_package(folder / "entry.zip", folder / "opened", limits=LIMITS)
        except PackageError:
            assert [path.name for path in folder.iterdir()] == ["entry.zip"]
        else:
            assert sorted(path.name for path in folder.iterdir()) == ["entry.zip", "opened"]
            assert package.file_count == sum(path.is_file() for path in package.root.rglob("*"))
            remove_package(package.root)
