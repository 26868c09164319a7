"""Files by content, over a folder: put once, checked on every way out, fetched once, evicted by a limit."""

from __future__ import annotations

import hashlib
import pickle
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.core.blobs import Blob, BlobStore, NoRoomError, blob_of, written_here
from harness.core.errors import ConfigError, InfrastructureError
from harness.core.node_cache import NodeCache


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path / "store"))


def made(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_what_is_put_comes_back_and_putting_it_twice_changes_nothing(
    store: BlobStore, tmp_path: Path
) -> None:
    source = made(tmp_path, "one", b"abc" * 700_000)
    blob = store.put(source)
    assert blob == Blob(sha256=hashlib.sha256(source.read_bytes()).hexdigest(), size_bytes=2_100_000)
    assert store.put(source) == blob
    assert store.folder is not None
    assert len([path for path in store.folder.rglob("*") if path.is_file()]) == 1
    store.fetch(blob, tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == source.read_bytes()


def test_a_changed_content_is_never_handed_out(store: BlobStore, tmp_path: Path) -> None:
    blob = store.put(made(tmp_path, "one", b"abc"))
    assert store.folder is not None
    place = store.folder / blob.sha256[:2] / blob.sha256
    place.write_bytes(b"abd")
    with pytest.raises(InfrastructureError, match="does not fit its name"):
        store.fetch(blob, tmp_path / "two")
    assert {path.name for path in tmp_path.iterdir()} == {"one", "store"}


def test_a_torn_content_is_put_again(store: BlobStore, tmp_path: Path) -> None:
    source = made(tmp_path, "one", b"abc")
    blob = store.put(source)
    assert store.folder is not None
    (store.folder / blob.sha256[:2] / blob.sha256).write_bytes(b"a")
    assert not store.has(blob)
    store.put(source)
    store.fetch(blob, tmp_path / "two")


def test_a_missing_content_is_named(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="is not there"):
        store.fetch(blob_of(made(tmp_path, "one", b"abc")), tmp_path / "two")


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_a_hash_is_ever_a_name(store: BlobStore, tmp_path: Path, sha256: str) -> None:
    with pytest.raises(ValueError, match="is not a sha256"):
        NodeCache(store, tmp_path / "node").held(Blob(sha256=sha256, size_bytes=1)).__enter__()


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as refused:
        BlobStore("sftp://me:hunter2@host/folder")
    assert "hunter2" not in str(refused.value)


def test_a_query_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="query") as error:
        BlobStore("https://host/folder?token=hidden")
    assert "hidden" not in str(error.value)


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="extra `cluster`"):
        BlobStore("gopher2://host/folder")


def test_it_travels_to_a_worker(store: BlobStore, tmp_path: Path) -> None:
    blob = store.put(made(tmp_path, "one", b"abc"))
    assert pickle.loads(pickle.dumps(store)).has(blob)


class CountingStore(BlobStore):
    fetches = 0

    def fetch(self, blob: Blob, target: Path) -> None:
        type(self).fetches += 1
        super().fetch(blob, target)


def test_a_node_fetches_a_content_once_however_many_ask_at_a_time(tmp_path: Path) -> None:
    store = CountingStore(str(tmp_path / "store"))
    blob = store.put(made(tmp_path, "one", b"abc" * 1_000_000))
    CountingStore.fetches = 0
    barrier, seen = threading.Barrier(8), list[int]()

    def ask() -> None:
        cache = NodeCache(store, tmp_path / "node")
        barrier.wait()
        with cache.held(blob) as (path,):
            seen.append(path.stat().st_size)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3_000_000] * 8
    assert CountingStore.fetches == 1


def test_over_the_limit_the_longest_unused_goes_and_what_is_held_stays(
    store: BlobStore, tmp_path: Path
) -> None:
    blobs = [store.put(made(tmp_path, f"{number}", bytes([number]) * 1000)) for number in range(4)]
    cache = NodeCache(store, tmp_path / "node", limit_bytes=2000)
    with ExitStack() as stack:
        (first,) = stack.enter_context(cache.held(blobs[0]))
        for blob in blobs[1:]:
            with cache.held(blob) as (path,):
                assert path.read_bytes()[:1] == bytes([blobs.index(blob)])
            assert cache.size_bytes() <= 2000
        assert first.read_bytes() == bytes(1000)
    with cache.held(blobs[3]):
        pass
    assert cache.size_bytes() <= 2000


def test_a_full_disk_is_named_with_its_folder_and_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(NoRoomError, match="No space left") as full,
        written_here(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as sink,
    ):
        sink.write(b"x")
    assert full.value.place == str(tmp_path)
    assert "HARNESS_SCRATCH" in (full.value.remedy or "")


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(InfrastructureError, match="/dev/null"):
        BlobStore("/dev/null/blobs")


class SmallDisk(BlobStore):
    """A store whose node has a disk of 2,500 bytes."""

    def fetch(self, blob: Blob, target: Path) -> None:
        there = sum(path.stat().st_size for path in target.parents[1].glob("??/*"))
        if there + blob.size_bytes > 2500:
            raise NoRoomError("No space left on device", place=target.parent)
        super().fetch(blob, target)


def test_where_the_disk_is_full_before_the_limit_the_unused_makes_room(tmp_path: Path) -> None:
    store = SmallDisk(str(tmp_path / "store"))
    blobs = [store.put(made(tmp_path, f"{number}", bytes([number]) * 1000)) for number in range(4)]
    cache = NodeCache(store, tmp_path / "node")
    with cache.held(blobs[0]) as (first,):
        for blob in blobs[1:3]:
            with cache.held(blob) as (path,):
                assert path.read_bytes()[:1] == bytes([blobs.index(blob)])
        assert first.read_bytes() == bytes(1000)
        with cache.held(blobs[2]), pytest.raises(NoRoomError), cache.held(blobs[3]):
            pass
