"""The runner as the container starts it: a plain process with pipes, and nothing of the harness beside it."""

from __future__ import annotations

import ast
import errno
import importlib.util
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.sandbox import protocol

pytestmark = pytest.mark.slow  # starts processes

RUNNER = Path(protocol.__file__).parents[1] / "image" / "runtime" / "runner.py"
MakePackage = Callable[..., Path]
PATIENCE_SECONDS = 120.0


class Talk:
    """The gateway's side of the pipe."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def send(self, **document: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(protocol.frame(json.dumps(document).encode()))
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        header = self.process.stdout.read(4)
        if len(header) < 4:
            return None
        return json.loads(self.process.stdout.read(struct.unpack(">I", header)[0]))

    def ask(self, request_id: str = "1") -> Any:
        self.send(type="predict", id=request_id, video="v.mp4")
        return self.receive()


@contextmanager
def started(package: Path, *, mode: str = "stream", folder: Path | None = None) -> Iterator[Talk]:
    environment = {
        "PATH": os.environ["PATH"],
        "HARNESS_PACKAGE": str(package),
        "HARNESS_VIDEOS": "/videos",
        "HARNESS_MODE": mode,
    }
    with subprocess.Popen(
        [sys.executable, "-sPB", str(RUNNER)],
        env=environment,
        cwd=folder or package,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield Talk(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runner_under_test", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_imports_nothing_but_the_standard_library() -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(RUNNER.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    assert names <= sys.stdlib_module_names


def test_its_caps_are_not_above_the_gateway_s(runner: ModuleType) -> None:
    assert runner.REQUEST_BYTES_MAX == protocol.REQUEST_BYTES_MAX
    assert 2 * runner.TABLE_BYTES_MAX <= protocol.TABLE_BYTES_MAX
    assert runner.MESSAGE_CHARACTERS_MAX == protocol.MESSAGE_CHARACTERS_MAX


def test_every_reply_it_sends_is_one_that_the_gateway_reads(make_package: MakePackage) -> None:
    with started(make_package("if self.count == 2: raise ValueError('é\\ud800')\nreturn 0.5")) as talk:
        replies = [talk.receive(), talk.ask("a"), talk.ask("b")]
    decoded = [protocol.decode_reply(json.dumps(reply).encode()) for reply in replies]
    assert decoded[:2] == [protocol.Ready(), protocol.Answer(request_id="a", probability=0.5)]
    assert isinstance(decoded[2], protocol.Failed)
    assert decoded[2].request_id == "b"


@pytest.mark.parametrize("end", ["stop", "closed pipe", "nonsense"])
def test_it_ends_when_the_gateway_does(make_package: MakePackage, end: str) -> None:
    with started(make_package()) as talk:
        talk.receive()
        assert talk.process.stdin is not None
        if end == "stop":
            talk.send(type="stop")
        elif end == "closed pipe":
            talk.process.stdin.close()
        else:
            talk.send(type="batch", id="1")
        assert talk.process.wait(timeout=120) == 0


def test_the_video_is_a_path_in_the_folder_of_videos(make_package: MakePackage) -> None:
    with started(make_package("return str(video)")) as talk:
        talk.receive()
        assert talk.ask()["probability"] == "/videos/v.mp4"


@pytest.mark.parametrize(
    "statement",
    [
        "raise SystemExit(0)",
        "raise KeyboardInterrupt",
        "raise BaseException('x')",
        "def f(): f()\nf()",
        "1 / 0",
    ],
)
def test_whatever_is_raised_fails_one_video(make_package: MakePackage, statement: str) -> None:
    with started(
        make_package(f"if self.count == 1:\n    {statement.replace(chr(10), chr(10) + '    ')}\nreturn 1")
    ) as talk:
        talk.receive()
        assert talk.ask()["type"] == "failed"
        assert talk.ask()["probability"] == 1


def test_a_forked_child_that_comes_back_does_not_answer(make_package: MakePackage) -> None:
    with started(make_package("os.fork()\nreturn 0.5")) as talk:
        talk.receive()
        replies = [talk.ask("a"), talk.ask("b"), talk.ask("c")]
        assert [reply["id"] for reply in replies] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["json", "struct", "os", "pathlib", "tomllib", "traceback", "encodings"])
def test_a_package_cannot_shadow_what_the_runner_stands_on(make_package: MakePackage, name: str) -> None:
    files = {f"{name}.py": "raise RuntimeError('shadowed')", "sitecustomize.py": "raise RuntimeError('site')"}
    with started(make_package("import json, struct, os\nreturn 0.5", files=files)) as talk:
        assert talk.receive() == {"type": "ready"}
        assert talk.ask()["probability"] == 0.5


def test_a_package_of_several_modules_in_folders_is_imported(make_package: MakePackage) -> None:
    files = {
        "src/model/__init__.py": "from src.helper import VALUE\nclass P:\n"
        "    def __init__(self, package): pass\n    def predict(self, video): return VALUE",
        "src/helper.py": "VALUE = 0.75",
    }
    package = make_package(files=files, manifest='\ufeffname = "x"\nentry = "src.model:P"\n')
    with started(package) as talk:
        assert talk.receive() == {"type": "ready"}
        assert talk.ask()["probability"] == 0.75


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("entry = 7", "entry"),
        ('entry = "predictor"', "entry"),
        ('entry = "predictor:Nobody"', "Nobody"),
        ('entry = "nowhere:Predictor"', "nowhere"),
        ("not toml", "TOML"),
    ],
)
def test_a_bad_manifest_is_told(make_package: MakePackage, manifest: str, message: str) -> None:
    with started(make_package(manifest=manifest)) as talk:
        reply = talk.receive()
    assert (reply["type"], reply["id"]) == ("failed", None)
    assert message in reply["message"]


@pytest.mark.parametrize(
    "value",
    [
        np.float32(0.5),
        np.float64(0.5),
        np.array(0.5),
        np.float16(0.5),
        0.5,
        np.int64(1),
        np.array(0, dtype=np.uint8),
    ],
)
def test_numbers_of_every_kind_are_numbers(runner: ModuleType, value: object) -> None:
    assert protocol.probability_of(runner.plain_number(value)) == float(value)  # type: ignore[arg-type]  # each has one


@pytest.mark.parametrize(
    "value",
    [
        True,
        np.bool_(True),
        np.array(True),
        np.array([0.5]),
        np.zeros((1, 1)),
        None,
        "0.5",
        [0.5],
        {"p": 1},
        object(),
    ],
)
def test_nothing_else_becomes_a_number(runner: ModuleType, value: object) -> None:
    plain = runner.plain_number(value)
    json.dumps(plain)
    assert protocol.probability_of(plain) is None


def test_what_cannot_be_written_is_an_answer_that_is_not_a_number(make_package: MakePackage) -> None:
    with started(make_package("return 10 ** 10_000")) as talk:
        talk.receive()
        assert protocol.probability_of(talk.ask()["probability"]) is None


@pytest.mark.parametrize(
    ("layout", "command", "filled"),
    [
        ("plain", ["python", "main.py", "{videos}"], [sys.executable, "main.py", "/videos"]),
        ("plain", ["./run", "--out={output}"], ["./run", "--out=CWD/submission.csv"]),
        ("plain", ["python3", "{package}/main.py"], [sys.executable, "PACKAGE/main.py"]),
        ("kaggle", ["python", "main.py", "--x"], [sys.executable, "PACKAGE/main.py", "--x"]),
        ("kaggle", ["python", "/main.py"], [sys.executable, "/main.py"]),
        ("kaggle", ["bash", "other.sh"], ["bash", "other.sh"]),
    ],
)
def test_a_command_is_filled_in(
    runner: ModuleType, tmp_path: Path, layout: str, command: list[str], filled: list[str]
) -> None:
    (tmp_path / "main.py").touch()
    found = runner.prepare_command({"command": command, "layout": layout}, tmp_path, Path("/videos"))
    places = {"CWD": str(Path.cwd()), "PACKAGE": str(tmp_path)}
    expected = [part.replace("CWD", places["CWD"]).replace("PACKAGE", places["PACKAGE"]) for part in filled]
    assert found == expected


@pytest.mark.parametrize("command", [None, [], "python main.py", ["python", 7]])
def test_a_command_that_is_none_is_refused(runner: ModuleType, tmp_path: Path, command: object) -> None:
    with pytest.raises(ValueError, match="needs command"):
        runner.prepare_command({"command": command}, tmp_path, Path("/videos"))


def test_a_batch_command_is_stopped_on_request_with_what_it_started(
    make_package: MakePackage, tmp_path: Path
) -> None:
    script = (
        "import sys, time\nopen(sys.argv[1], 'w').write('filename,label\\na,0.5\\n')\n"
        "print('noise')\ntime.sleep(600)"
    )
    manifest = 'name = "b"\ncommand = ["python", "main.py", "{output}"]\n'
    package = make_package(manifest=manifest, files={"main.py": script})
    folder = tmp_path / "work"
    folder.mkdir()
    with started(package, mode="batch", folder=folder) as talk:
        assert talk.receive() == {"type": "ready"}
        talk.send(type="batch", id="1")
        while not (folder / "submission.csv").exists() or not (folder / "submission.csv").read_text():
            assert talk.process.poll() is None
            time.sleep(0.01)
        talk.send(type="collect", id="2")
        reply = talk.receive()
    assert reply == {
        "type": "table",
        "id": "2",
        "csv": "filename,label\na,0.5\n",
        "message": "stopped on request",
    }


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_end_of_a_process_is_heard_with_and_without_descriptors_of_processes(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, pidfd: bool
) -> None:
    def not_implemented(process_id: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if not pidfd:  # as on gVisor of 2022
        monkeypatch.setattr(os, "pidfd_open", not_implemented)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        ended = runner.end_of(process.pid)
        assert select.select([ended], [], [], 0.2)[0] == []
        assert process.stdin is not None
        process.stdin.close()
        assert select.select([ended], [], [], PATIENCE_SECONDS)[0] == [ended]
        assert process.wait() == 0  # how it ended is still there to be asked for
    os.close(ended)
