"""Opening, naming and packing folders; the manifest; what is left out."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import ConfigError, InfrastructureError, PackageError
from harness.core.types import Limits, Mode
from harness.package.findings import found
from harness.package.manifest import Layout, Manifest, left_out_by, matches, parse_manifest
from harness.package.opened import Package, open_package, remove_package
from harness.package.pack import pack
from harness.package.source import survey

MANIFEST = 'name = "plain"\nentry = "predictor:Predictor"\n'
LIMITS = Limits(package_bytes=1_000_000, package_files=50)


def read_back(raw: bytes) -> Manifest:
    manifest, findings = parse_manifest(raw)
    assert manifest is not None, findings
    return manifest


def folder_of(root: Path, files: Mapping[str, bytes | str], manifest: str = MANIFEST) -> Path:
    for name, content in {"submission.toml": manifest, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def opened(source: Path, destination: Path, limits: Limits = LIMITS) -> Package:
    return open_package(source, destination, limits=limits)


def refused(source: Path, tmp_path: Path, limits: Limits = LIMITS) -> str:
    """Open what must be refused, and see that nothing is left."""
    target = tmp_path / "target"
    target.mkdir(exist_ok=True)
    with pytest.raises(PackageError) as caught:
        opened(source, target / "opened", limits)
    assert not list(target.iterdir())
    return str(caught.value)


class TestOpening:
    def test_the_copy_is_read_only_readable_by_all_and_dated_alike(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a/b/c.txt": "x", "run.sh": "echo"})
        (source / "run.sh").chmod(0o6755)
        (source / "a").chmod(0o700)
        root = opened(source, tmp_path / "opened").root
        for path in (root, *root.rglob("*")):
            status = path.stat()
            assert stat.S_IMODE(status.st_mode) == (0o555 if path.is_dir() else 0o444), path
            assert status.st_mtime == 315_532_800, path

    def test_the_source_is_copied_not_linked(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a.txt": "before"})
        root = opened(source, tmp_path / "opened").root
        (source / "a.txt").write_text("after")
        assert (root / "a.txt").read_text() == "before"

    def test_facts_are_those_of_what_was_copied(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a/b/c.txt": "123", "__pycache__/x.pyc": "1" * 999})
        package = opened(source, tmp_path / "opened")
        assert (package.name, package.file_count) == ("plain", 2)
        assert package.size_bytes == len(MANIFEST) + 3
        assert package.folders == ("a", "a/b")

    def test_an_existing_destination_is_never_touched(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {})
        (tmp_path / "opened").mkdir()
        with pytest.raises(InfrastructureError, match="already exists"):
            opened(source, tmp_path / "opened")
        assert not list((tmp_path / "opened").iterdir())

    def test_what_was_opened_can_be_removed(self, tmp_path: Path) -> None:
        package = opened(folder_of(tmp_path / "source", {"a/b/c": "x"}), tmp_path / "opened")
        remove_package(package.root)
        remove_package(package.root)
        assert not package.root.exists()

    def test_removing_a_package_never_follows_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir(mode=0o755)
        (tmp_path / "mine" / "kept").write_text("x")
        (tmp_path / "opened").mkdir()
        (tmp_path / "opened" / "link").symlink_to(tmp_path / "mine")
        remove_package(tmp_path / "opened")
        assert (tmp_path / "mine" / "kept").exists()
        assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o755

    @pytest.mark.parametrize("missing", ["nowhere", "nowhere.zip"])
    def test_a_missing_source_is_named(self, tmp_path: Path, missing: str) -> None:
        assert missing in refused(tmp_path / missing, tmp_path)

    def test_a_device_is_not_a_source(self, tmp_path: Path) -> None:
        assert "neither a folder nor a zip" in refused(Path("/dev/zero"), tmp_path)


class TestHostileFolders:
    def test_links_are_refused_wherever_they_point(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a.txt": "x"})
        for name, target in (("out", "/etc"), ("in", "a.txt"), ("broken", "nowhere"), ("loop", "loop")):
            (source / name).symlink_to(target)
        assert refused(source, tmp_path).count("P107") == 4

    def test_a_linked_manifest_is_not_read(self, tmp_path: Path) -> None:
        folder_of(tmp_path / "other", {})
        source = tmp_path / "source"
        source.mkdir()
        (source / "submission.toml").symlink_to(tmp_path / "other" / "submission.toml")
        text = refused(source, tmp_path)
        assert "P107" in text
        assert "P201" in text

    def test_pipes_and_sockets_are_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {})
        os.mkfifo(source / "pipe")
        before = Path.cwd()
        os.chdir(source)  # a socket's path may be 108 bytes at most
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind("socket")
        finally:
            os.chdir(before)
        assert refused(source, tmp_path).count("P108") == 2

    def test_a_sparse_file_counts_with_its_full_size(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {})
        with (source / "sparse").open("wb") as stream:
            stream.truncate(5 * 10**12)
        assert "P112" in refused(source, tmp_path)

    def test_the_size_limit_is_exact(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a": b"x" * 100})
        size = 100 + len(MANIFEST)
        assert opened(source, tmp_path / "opened", Limits(package_bytes=size)).size_bytes == size
        assert "P112" in refused(source, tmp_path, Limits(package_bytes=size - 1))

    def test_the_count_limit_is_exact_and_counts_folders(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a/b": "x", "a/c": "x"})
        assert opened(source, tmp_path / "opened", Limits(package_files=4)).file_count == 3
        assert "P111" in refused(source, tmp_path, Limits(package_files=3))

    def test_a_folder_of_very_many_files_is_not_walked_to_the_end(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {f"{n}/{m}/f": "" for n in range(20) for m in range(20)})
        with survey(source, limits=Limits(package_files=10)) as looked:
            assert {finding.code for finding in looked.errors} == {"P111"}
            assert len(looked.contents.members) < 50

    def test_a_deep_tree_is_refused(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"/".join("d" * 60): "x"})
        assert "P110" in refused(source, tmp_path)

    @pytest.mark.parametrize("name", [b"caf\xe9.txt", b"a\nb", b"a\\b", b"C:x", "x\u202ey".encode()])
    def test_unsafe_names_are_refused(self, tmp_path: Path, name: bytes) -> None:
        source = folder_of(tmp_path / "source", {})
        Path(os.fsdecode(os.path.join(os.fsencode(source), name))).write_text("x")  # noqa: PTH118  (bytes)
        assert "P106" in refused(source, tmp_path)

    def test_names_that_differ_in_case_only_are_refused(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"Net.py": "x", "net.py": "y"})
        assert "P109" in refused(source, tmp_path)

    def test_all_reasons_are_given_at_once(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a": "x" * 2000, "A": "x" * 2000}, manifest="name = 3")
        (source / "link").symlink_to("a")
        text = refused(source, tmp_path, Limits(package_bytes=1000))
        assert all(code in text for code in ("P107", "P109", "P112", "P203"))

    def test_many_cases_of_one_kind_are_summed_up(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {})
        for number in range(45):
            (source / f"l{number}").symlink_to("x")
        assert "and 25 more" in refused(source, tmp_path)

    def test_a_file_that_grows_while_it_is_read_is_refused(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a": b"x" * 10})
        with survey(source, limits=LIMITS) as looked:
            (source / "a").write_bytes(b"x" * 11)
            entry = next(entry for entry in looked.contents.members if entry.path == "a")
            with pytest.raises(PackageError, match="changed while it was read"):
                list(looked.read(entry))

    def test_a_file_that_becomes_a_link_is_not_followed(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a": b"x" * 10})
        with survey(source, limits=LIMITS) as looked:
            (tmp_path / "other").write_bytes(b"y" * 10)
            (source / "a").unlink()
            (source / "a").symlink_to(tmp_path / "other")
            entry = next(entry for entry in looked.contents.members if entry.path == "a")
            with pytest.raises(PackageError):
                list(looked.read(entry))


class TestName:
    def test_folder_and_zip_are_the_same_package(self, tmp_path: Path) -> None:
        files: dict[str, bytes | str] = {
            "a/b.txt": "x",
            "ü.txt": "y",
            "c.bin": b"\0" * 5000,
            "training/big.txt": "z",
            "n.pyc": "z",
        }
        source = folder_of(tmp_path / "source", files, MANIFEST + 'exclude = ["training/**"]\n')
        (source / "empty").mkdir()
        report = pack(source, tmp_path / "packed.zip")
        by_hand = tmp_path / "by_hand.zip"
        with zipfile.ZipFile(by_hand, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(source.rglob("*"), reverse=True):
                archive.write(path, path.relative_to(source))
        names = {
            opened(place, tmp_path / f"opened_{number}").sha256
            for number, place in enumerate((source, report.output, by_hand))
        }
        assert names == {report.package_sha256}

    def test_the_name_is_the_documented_hash(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {"a/b": "1", "a-c": "22", "é": ""})
        listing = "package 1\n"
        for path, content in (("a-c", "22"), ("a/b", "1"), ("submission.toml", MANIFEST), ("é", "")):
            data = content.encode()
            listing += f"{hashlib.sha256(data).hexdigest()} {len(data)} {path}\n"
        expected = hashlib.sha256(listing.encode()).hexdigest()
        assert opened(source, tmp_path / "opened").sha256 == expected

    @pytest.mark.parametrize("change", ["content", "path", "more", "less"])
    def test_any_change_changes_the_name(self, tmp_path: Path, change: str) -> None:
        files = {"a": "1", "b": "2"}
        before = opened(folder_of(tmp_path / "one", files), tmp_path / "opened_one").sha256
        changed = {
            "content": {"a": "1", "b": "3"},
            "path": {"a": "1", "c": "2"},
            "more": {**files, "c": ""},
            "less": {"a": "1"},
        }[change]
        after = opened(folder_of(tmp_path / "two", changed), tmp_path / "opened_two").sha256
        assert before != after

    def test_times_modes_and_places_do_not_change_the_name(self, tmp_path: Path) -> None:
        one = folder_of(tmp_path / "one", {"a": "1"})
        two = folder_of(tmp_path / "deeper" / "two", {"a": "1"})
        (two / "a").chmod(0o700)
        os.utime(two / "a", (0, 0))
        assert opened(one, tmp_path / "o1").sha256 == opened(two, tmp_path / "o2").sha256


class TestPacking:
    FILES = {"b/x.txt": "x" * 100, "a.txt": "hello", "é/ü.txt": "u"}  # noqa: RUF012  (never changed)

    def test_the_bytes_are_pinned(self, tmp_path: Path) -> None:
        # A golden value: the same files give this zip on every machine and with every release.
        report = pack(folder_of(tmp_path / "source", self.FILES), tmp_path / "out.zip")
        assert report.zip_sha256 == hashlib.sha256((tmp_path / "out.zip").read_bytes()).hexdigest()
        assert report.zip_sha256 == "d5bd30d3781262ee60246ad886451d2fccbc6b401b2f97f3b9aab8baef620e61"

    def test_neither_umask_nor_times_nor_modes_nor_order_change_a_byte(self, tmp_path: Path) -> None:
        first = pack(folder_of(tmp_path / "one", self.FILES), tmp_path / "one.zip")
        other = folder_of(tmp_path / "two", dict(reversed(self.FILES.items())))
        for path in other.rglob("*.txt"):
            path.chmod(0o700)
            os.utime(path, (time.time() + 99999, 12345))
        before = os.umask(0o077)
        try:
            second = pack(other, tmp_path / "two.zip")
        finally:
            os.umask(before)
        assert first.zip_sha256 == second.zip_sha256
        assert stat.S_IMODE((tmp_path / "two.zip").stat().st_mode) == 0o644

    def test_packing_a_zip_again_changes_nothing(self, tmp_path: Path) -> None:
        first = pack(folder_of(tmp_path / "source", self.FILES), tmp_path / "one.zip")
        assert pack(tmp_path / "one.zip", tmp_path / "two.zip").zip_sha256 == first.zip_sha256

    def test_other_tools_read_it(self, tmp_path: Path) -> None:
        pack(folder_of(tmp_path / "source", self.FILES), tmp_path / "out.zip")
        with zipfile.ZipFile(tmp_path / "out.zip") as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["a.txt", "b/x.txt", "submission.toml", "é/ü.txt"]

    def test_what_opens_packs_and_opens_again(self, tmp_path: Path) -> None:
        # Zeros compress without bound: were they compressed, the zip would look like a bomb.
        source = folder_of(tmp_path / "source", {"zeros": bytes(60_000_000)})
        report = pack(source, tmp_path / "out.zip")
        package = opened(tmp_path / "out.zip", tmp_path / "opened", Limits())
        assert package.sha256 == report.package_sha256

    def test_a_bad_package_leaves_no_zip(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {})
        (source / "link").symlink_to("x")
        (tmp_path / "out").mkdir()
        with pytest.raises(PackageError, match="P107"):
            pack(source, tmp_path / "out" / "out.zip")
        assert not list((tmp_path / "out").iterdir())

    def test_damage_found_half_way_leaves_no_zip(self, tmp_path: Path) -> None:
        pack(folder_of(tmp_path / "source", {"z.txt": "intact content"}), tmp_path / "good.zip")
        raw = (tmp_path / "good.zip").read_bytes()
        (tmp_path / "bad.zip").write_bytes(raw.replace(b"intact content", b"broken content"))
        (tmp_path / "out").mkdir()
        with pytest.raises(PackageError, match="checksum"):
            pack(tmp_path / "bad.zip", tmp_path / "out" / "out.zip")
        assert not list((tmp_path / "out").iterdir())

    def test_a_zip_inside_its_own_package_is_refused(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {})
        with pytest.raises(ConfigError, match="inside the package"):
            pack(source, source / "out.zip")

    def test_a_place_that_cannot_be_written_is_our_error(self, tmp_path: Path) -> None:
        with pytest.raises(InfrastructureError, match="cannot be written"):
            pack(folder_of(tmp_path / "source", {}), tmp_path / "nowhere" / "out.zip")

    def test_the_report_says_what_was_left_out(self, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "source", {".git/HEAD": "x", "a/__pycache__/b.pyc": "x", "a/b": "x"})
        assert pack(source, tmp_path / "out.zip").left_out == (".git", "a/__pycache__")


class TestLeftOut:
    @pytest.mark.parametrize(
        ("pattern", "path", "expected"),
        [
            ("training/**", "training/a/b.py", True),
            ("training/**", "training", True),
            ("training/**", "a/training/b.py", False),
            ("training", "a/training", True),
            ("training/", "training", True),
            ("*.ipynb", "a/b/c.ipynb", True),
            ("*.ipynb", "a.ipynb/x", False),
            ("a/*.py", "a/b.py", True),
            ("a/*.py", "a/b/c.py", False),
            ("a/**/c.py", "a/c.py", True),
            ("a/**/c.py", "a/b/b/c.py", True),
            ("**/c.py", "c.py", True),
            ("a/?.py", "a/b.py", True),
            ("a/?.py", "a/bb.py", False),
            ("w/[ab].pt", "w/a.pt", True),
            ("w/[ab].pt", "w/c.pt", False),
            ("a.py", "axpy", False),
        ],
    )
    def test_globs(self, pattern: str, path: str, expected: bool) -> None:
        assert matches(pattern, path) is expected

    @pytest.mark.timeout(120)  # by trying every way it would take longer than there is
    def test_a_pattern_cannot_stop_the_clock(self) -> None:
        assert not matches("*a" * 120 + "b", "a" * 200)
        assert not matches("/".join(["**", "a*"] * 60) + "/b", "/".join(["a"] * 30))

    @given(
        st.text(alphabet="a*?[]!-/.", min_size=1, max_size=20),
        st.text(alphabet="ab/.", min_size=1, max_size=20),
    )
    @settings(max_examples=150, deadline=None)
    def test_no_pattern_makes_it_crash(self, pattern: str, path: str) -> None:
        assert matches(pattern, path) in (True, False)

    def test_an_excluded_folder_is_not_looked_into(self, tmp_path: Path) -> None:
        files = {f"data/{n}": "x" for n in range(100)}
        source = folder_of(tmp_path / "source", files, MANIFEST + 'exclude = ["data"]\n')
        (source / "data" / "link").symlink_to("/")
        assert opened(source, tmp_path / "opened", Limits(package_files=10)).file_count == 1

    @pytest.mark.parametrize("path", [".git", "a/.venv", "b.pyc", "a/__pycache__", ".DS_Store", "__MACOSX"])
    def test_defaults(self, path: str) -> None:
        assert left_out_by(())(path)
        assert not left_out_by(())("a/predictor.py")


WRONG_MANIFESTS = {
    "no_toml": ("name = ", "P202"),
    "not_utf8": (b'name = "\xff"', "P202"),
    "byte_order_mark": ("\ufeff" + MANIFEST, "P202"),
    "deep": ("a = " + "[" * 5000, "P202"),
    "empty": ("", "P203"),
    "no_name": ('entry = "a:B"', "P203"),
    "empty_name": ('name = ""\nentry = "a:B"', "P203"),
    "name_with_markup": ('name = "<b>"\nentry = "a:B"', "P203"),
    "name_is_a_number": ('name = 3\nentry = "a:B"', "P203"),
    "unknown_key": (MANIFEST + "gpu = true", "P203"),
    "neither": ('name = "a"', "P203"),
    "both": (MANIFEST + 'command = ["python", "a.py", "{videos}", "{output}"]', "P203"),
    "entry_without_class": ('name = "a"\nentry = "predictor"', "P203"),
    "entry_is_a_path": ('name = "a"\nentry = "../x:Y"', "P203"),
    "entry_is_code": ('name = "a"\nentry = "os:system(1)"', "P203"),
    "command_is_a_string": ('name = "a"\ncommand = "python a.py {videos} {output}"', "P203"),
    "command_is_empty": ('name = "a"\ncommand = []', "P203"),
    "command_without_output": ('name = "a"\ncommand = ["python", "a.py", "{videos}"]', "P203"),
    "command_with_nul": ('name = "a"\ncommand = ["a\\u0000", "{videos}", "{output}"]', "P203"),
    "unknown_layout": (MANIFEST + 'layout = "colab"', "P203"),
    "kaggle_stream": (MANIFEST + 'layout = "kaggle"', "P203"),
    "kaggle_options_in_plain": (MANIFEST + '[kaggle]\nslug = "x"', "P203"),
    "kaggle_escape": ('name="a"\ncommand=["a"]\nlayout="kaggle"\n[kaggle.datasets]\nx = "../y"', "P203"),
    "kaggle_bad_slug": ('name="a"\ncommand=["a"]\nlayout="kaggle"\n[kaggle]\nslug = "../y"', "P203"),
    "exclude_all": (MANIFEST + 'exclude = ["**"]', "P203"),
    "exclude_the_manifest": (MANIFEST + 'exclude = ["*.toml"]', "P203"),
    "exclude_outside": (MANIFEST + 'exclude = ["../*"]', "P203"),
    "exclude_absolute": (MANIFEST + 'exclude = ["/etc"]', "P203"),
    "external_data_without_consent": (MANIFEST + '[[external_data]]\nname="a"\nlicence="b"', "P203"),
}


class TestManifest:
    @pytest.mark.parametrize(("text", "code"), WRONG_MANIFESTS.values(), ids=WRONG_MANIFESTS)
    def test_wrong_manifests_are_findings(self, text: str | bytes, code: str) -> None:
        manifest, findings = parse_manifest(text if isinstance(text, bytes) else text.encode())
        assert manifest is None
        assert {finding.code for finding in findings} == {code}
        assert all(finding.message.isprintable() and finding.remedy for finding in findings)

    def test_every_wrong_key_is_named(self) -> None:
        _, findings = parse_manifest(b'name = 3\nentry = "x"\nlayuot = "plain"\nexclude = "a"')
        text = " ".join(finding.message for finding in findings)
        assert all(key in text for key in ("name:", "entry:", "layuot:", "exclude:"))

    def test_a_stream_manifest(self) -> None:
        manifest = read_back(MANIFEST.encode())
        assert (manifest.mode, manifest.layout) == (Mode.STREAM, Layout.PLAIN)

    def test_a_batch_manifest(self) -> None:
        manifest = read_back(b'name="a"\ncommand=["python","m.py","--in={videos}","{output}"]')
        assert manifest.mode is Mode.BATCH

    def test_the_kaggle_layout_needs_no_placeholders(self) -> None:
        assert read_back(b'name="a"\ncommand=["python","m.py"]\nlayout="kaggle"').layout is Layout.KAGGLE


def test_a_finding_of_the_package_as_a_whole_has_no_empty_place() -> None:
    whole, part = found("P102", "is not a zip"), found("P102", "is not a zip", place="a.zip")
    assert (whole.in_a_line, part.in_a_line) == ("P102 is not a zip", "P102 a.zip: is not a zip")
