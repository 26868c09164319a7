"""Runs inside the container: loads the package, and answers the gateway's requests.

Standard library only; imports nothing from the harness, which is not there. As soon as the package is
imported this process is the package's: nothing it says is trusted outside. It is written so that an honest
package cannot disturb the conversation by accident: whatever the package prints, reads from standard input,
or leaves behind in threads and children does not touch the pipe.

Frames are a 4-byte big-endian length and JSON; `harness/sandbox/protocol.py` describes the conversation.
What it needs to know comes from the environment, which the harness fixed (`HARNESS_PACKAGE`,
`HARNESS_VIDEOS`, `HARNESS_MODE`), and from the package's own `submission.toml`.
"""

import contextlib
import fcntl
import importlib
import json
import os
import resource
import select
import signal
import stat
import struct
import subprocess
import sys
import threading
import tomllib
import traceback
import zipfile
from pathlib import Path
from typing import Any

REQUEST_BYTES_MAX = 64 * 1024
TABLE_BYTES_MAX = 8 * 1024 * 1024  # as JSON it may double
MESSAGE_CHARACTERS_MAX = 4000
PROTOCOL_DESCRIPTOR = 200  # out of the way of what the package opens
ANSWER_FILE = "submission.csv"


class Pipe:
    """The two ends of the conversation, away from the standard streams."""

    def __init__(self) -> None:
        open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = min(PROTOCOL_DESCRIPTOR, open_files // 2)
        self._requests = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, lowest)
        self._replies = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, lowest)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)  # what the package prints is log

    def fileno(self) -> int:
        """Return the descriptor to wait on for a request."""
        return self._requests

    def receive(self) -> Any:
        """Return the next request, or None when the gateway has gone."""
        header = self._exactly(4)
        if header is None:
            return None
        (length,) = struct.unpack(">I", header)
        payload = self._exactly(length) if length <= REQUEST_BYTES_MAX else None
        return None if payload is None else json.loads(payload)

    def send(self, document: dict[str, Any]) -> None:
        """Write one reply."""
        payload = json.dumps(document, ensure_ascii=False).encode("utf-8", errors="replace")
        rest = memoryview(struct.pack(">I", len(payload)) + payload)
        while rest:
            rest = rest[os.write(self._replies, rest) :]

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            more = os.read(self._requests, count - len(data))
            if not more:
                return None
            data += more
        return data


def main() -> None:
    """Answer requests until the gateway says stop or goes away."""
    pipe = Pipe()
    stand_by(pipe)
    package = Path(os.environ["HARNESS_PACKAGE"])
    videos = Path(os.environ["HARNESS_VIDEOS"])
    if not (package / "submission.toml").is_file():
        message = "there is no submission.toml in the package"
        pipe.send({"type": "failed", "id": None, "message": message, "package_missing": True})
        return
    try:
        unpack_wheels(package)
        manifest = tomllib.loads((package / "submission.toml").read_text(encoding="utf-8-sig"))
        if os.environ["HARNESS_MODE"] == "batch":
            command = prepare_command(manifest, package, videos)
        else:
            predictor = load_predictor(manifest, package)
    except BaseException:  # noqa: BLE001  (the package's own: whatever it raises, SystemExit too, is its failure)
        pipe.send({"type": "failed", "id": None, "message": last_traceback()})
        return
    pipe.send({"type": "ready"})
    if os.environ["HARNESS_MODE"] == "batch":
        answer_batch(pipe, command, package if manifest.get("layout", "plain") == "plain" else Path.cwd())
    else:
        answer_videos(pipe, predictor, videos)


def stand_by(pipe: Pipe) -> None:
    """Import what is named, and wait for the word to load: for a watch on a package of one's own."""
    names = os.environ.get("HARNESS_STANDBY")
    if names is None:
        return
    for name in names.split():
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    pipe.receive()


def unpack_wheels(package: Path) -> None:
    """Unpack the package's own `wheels/` to the temporary disk, and import from there first.

    What is unpacked counts as temporary disk and memory, and its time as start-up.
    """
    wheels = sorted((package / "wheels").glob("*.whl"))
    if not wheels:
        return
    folder = Path.cwd() / ".wheels"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)  # the package's own, in its own container
    # A wheel may keep modules apart: name-1.0.data/purelib and platlib belong where the others are.
    apart = [path for kind in ("purelib", "platlib") for path in sorted(folder.glob(f"*.data/{kind}"))]
    places = [str(path) for path in (folder, *apart)]
    sys.path[0:0] = places
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, before] if before else places)


def load_predictor(manifest: dict[str, Any], package: Path) -> Any:
    """Import the entry, `module:Class`, from the package and make one."""
    module_name, separator, class_name = str(manifest.get("entry", "")).partition(":")
    if not separator:
        raise ValueError('submission.toml needs entry = "module:Class"')
    sys.path.insert(0, str(package))
    module = importlib.import_module(module_name)
    return getattr(module, class_name)(package)


def answer_videos(pipe: Pipe, predictor: Any, videos: Path) -> None:
    """Answer one video after the other. A package that raises has failed this video and goes on."""
    own_process = os.getpid()
    while (request := pipe.receive()) is not None and request["type"] == "predict":
        try:
            value = predictor.predict(videos / request["video"])
            reply = {"type": "answer", "id": request["id"], "probability": plain_number(value)}
        except BaseException:  # noqa: BLE001  (see main)
            reply = {"type": "failed", "id": request["id"], "message": last_traceback()}
        if os.getpid() != own_process:
            os._exit(1)  # a child that the package forked and forgot must not answer a second time
        try:
            pipe.send(reply)
        except (TypeError, ValueError):  # such as an integer with too many digits to write
            pipe.send({"type": "answer", "id": request["id"], "probability": "a value that is not a number"})


def plain_number(value: Any) -> Any:
    """Return what was answered as JSON can say it; the gateway judges it, and takes numbers only.

    A NumPy scalar, a 0-d array and a 0-d tensor are numbers. A boolean of any kind, a longer array and
    everything else is described instead.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value[:200] if isinstance(value, str) else value
    shape = tuple(getattr(value, "shape", ()))
    kind = type(value).__name__
    dtype = str(getattr(value, "dtype", ""))
    if shape or "bool" in dtype or not hasattr(value, "__float__"):
        return f"{kind} of shape {shape} {dtype}"[:200] if shape else f"{kind} {dtype}".strip()[:200]
    return float(value)


def prepare_command(manifest: dict[str, Any], package: Path, videos: Path) -> list[str]:
    """Fill in a batch entry's command.

    `{videos}`, `{output}` and `{package}` are replaced wherever they stand. `python` means this interpreter.
    In the kaggle layout, where the working directory is not the package, a relative argument that names a
    file of the package means that file.
    """
    command = manifest.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise ValueError('submission.toml needs command = ["python", "main.py", …]')
    places = {"{videos}": str(videos), "{output}": str(Path.cwd() / ANSWER_FILE), "{package}": str(package)}
    kaggle = manifest.get("layout", "plain") == "kaggle"
    filled = []
    for number, argument in enumerate(command):
        part = argument
        for placeholder, path in places.items():
            part = part.replace(placeholder, path)
        if number == 0 and part in ("python", "python3"):
            filled.append(sys.executable)
        elif kaggle and not Path(part).is_absolute() and (package / part).is_file():
            filled.append(str(package / part))
        else:
            filled.append(part)
    return filled


def answer_batch(pipe: Pipe, command: list[str], folder: Path) -> None:
    """Run the command once, and send its table when it ends or when the gateway asks for what there is."""
    output = Path.cwd() / ANSWER_FILE
    request = pipe.receive()
    if request is None or request["type"] != "batch":
        return
    try:
        process = subprocess.Popen(  # noqa: S603  (the package's own command, in its own container)
            command, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        message = f"cannot start {command[0]}: {error.strerror}"
        pipe.send({"type": "failed", "id": request["id"], "message": message})
        return
    ended = end_of(process.pid)
    readable, _, _ = select.select([pipe.fileno(), ended], [], [])
    stopped = ended not in readable
    if stopped:
        request = pipe.receive() or request
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # and what it left running
    process.wait()
    how = "stopped on request" if stopped else f"exit code {process.returncode}"
    try:
        table = read_table(output)
    except (OSError, ValueError) as error:
        message = f"no table in {output} ({how}): {error}"
        pipe.send({"type": "failed", "id": request["id"], "message": message})
        return
    message = "" if how == "exit code 0" else how
    pipe.send({"type": "table", "id": request["id"], "csv": table, "message": message})
    pipe.receive()  # stop


def end_of(process_id: int) -> int:
    """Return something that becomes readable when the process has ended.

    Where the kernel has no descriptors of processes, as gVisor of 2022, a thread waits, and closes a pipe.
    """
    with contextlib.suppress(OSError):
        return os.pidfd_open(process_id)
    readable, writable = os.pipe()

    def wait() -> None:
        os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)  # its end is still there to be asked for
        os.close(writable)

    threading.Thread(target=wait, daemon=True).start()
    return readable


def read_table(path: Path) -> str:
    """Read the answer file: a plain file, not a link, a pipe or a device, and not too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a plain file")
        data = stream.read(TABLE_BYTES_MAX + 1)
    if len(data) > TABLE_BYTES_MAX:
        raise ValueError(f"it has more than {TABLE_BYTES_MAX} bytes")
    return data.decode("utf-8", errors="replace")


def last_traceback() -> str:
    """Return the end of the current exception's traceback."""
    return traceback.format_exc()[-MESSAGE_CHARACTERS_MAX:]


if __name__ == "__main__":
    main()
