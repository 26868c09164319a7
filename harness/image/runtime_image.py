"""The runtime image: found by what it is made of, built if it is not there.

Its tag is derived from the base image, the Dockerfile, the pinned requirements, the runner and the variant,
so the same content is found again at once and any change gives another image. It is built in two steps: the
packages image (`packages.sh`), slow and rarely changed, and on top of it the runner (`Dockerfile`), cheap.
Both are built without a network.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import docker
import requests
from docker.errors import DockerException
from docker.types import LogConfig
from docker.types import Mount as DockerMount

from harness.core.errors import ImageError
from harness.core.files import cache_folder
from harness.core.locks import exclusive, machine_folder
from harness.image.base_image import BaseImage, ensure_base, find_base, image_id_of
from harness.image.wheels import REQUIREMENT_FILES, Variant, Wheelhouse, ensure_wheelhouse

LABEL: Final = "blackbox-video-harness.image"
REPOSITORY: Final = "blackbox-video-harness/runtime"
RUNTIME_FOLDER: Final = Path(__file__).parent / "runtime"

_PACKAGES_REPOSITORY: Final = "blackbox-video-harness/packages"
_PACKAGES_SCRIPT: Final = "packages.sh"
_RUNTIME_DOCKERFILE: Final = "Dockerfile"
_RUNTIME_FILES: Final = ("torchvision_operators.py", "torchvision_operators.pth", "runner.py")
_WHEELHOUSE: Final = "/wheelhouse"  # in the container
_BUILD_SECONDS: Final = 3600
_LOG_LINES: Final = 15
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class RuntimeImage:
    """A runtime image in the engine."""

    reference: str  # the image's id, "sha256:...": what containers are started from
    tag: str  # a name for people, derived from the content
    variant: Variant
    base: str  # the base image's name
    torch: str  # torch's release and build, e.g. "2.13.0+cpu"
    built_seconds: float | None = None  # None if it was there already


def ensure_image(
    client: docker.DockerClient,
    *,
    variant: Variant | None = None,
    say: Callable[[str], None],
    runtime: Path = RUNTIME_FOLDER,
) -> RuntimeImage:
    """Return the runtime image, building it if the engine does not have it.

    Several processes may ask at once: one builds, the others wait and find it.

    Args:
        client: An engine that answers.
        variant: "cpu" or "cuda"; if None, chosen by what the host has.
        say: Called with what is going on; finding the image is silent.
        runtime: The folder with the Dockerfile, the requirements and the runner.

    Raises:
        ImageError: it cannot be built: the base, the wheels or the build itself failed.
    """
    try:
        chosen = variant or host_variant(client)
        found = _find(client, chosen, runtime)
        if found is not None:
            return found
        # For the whole machine: users with caches of their own may share one engine.
        with exclusive(machine_folder() / "image", waiting=say, what="the runtime image"):
            found = _find(client, chosen, runtime)  # another process may have built it meanwhile
            return found or _build(client, chosen, runtime, say)
    except (DockerException, requests.RequestException) as error:
        raise ImageError(
            f"the engine failed while the runtime image was looked up or built: {error}",
            remedy="Look at the engine's log (disk full?), then run again.",
        ) from error


def host_variant(client: docker.DockerClient) -> Variant:
    """Choose "cuda" if the host has an NVIDIA GPU that the engine can hand to a container, else "cpu"."""
    if not has_nvidia_gpu():
        return "cpu"
    info = client.info()
    hands_out = "nvidia" in info.get("Runtimes", {}) or any(
        "nvidia.com/gpu" in str(device) for device in info.get("DiscoveredDevices") or ()
    )
    return "cuda" if hands_out or shutil.which("nvidia-container-runtime-hook") else "cpu"


def has_nvidia_gpu() -> bool:
    """Tell whether the NVIDIA driver answers and lists a GPU."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    if library.nvmlInit_v2() != 0:
        return False
    try:
        count = ctypes.c_uint(0)
        return library.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0 and count.value > 0
    finally:
        library.nvmlShutdown()


def packages_tag(base_id: str, variant: Variant, runtime: Path) -> str:
    """Name the packages image by its content."""
    files = (_PACKAGES_SCRIPT, *REQUIREMENT_FILES)
    return f"{_PACKAGES_REPOSITORY}:{variant}-{_content_key(runtime, files, base_id, variant)}"


def runtime_tag(base_id: str, variant: Variant, runtime: Path) -> str:
    """Name the runtime image by its content."""
    files = (_RUNTIME_DOCKERFILE, *_RUNTIME_FILES)
    beneath = packages_tag(base_id, variant, runtime)
    return f"{REPOSITORY}:{variant}-{_content_key(runtime, files, beneath, variant)}"


def _content_key(runtime: Path, files: Iterable[str], *more: str) -> str:
    digest = hashlib.sha256("\n".join(more).encode())
    for name in files:
        try:
            digest.update(name.encode() + hashlib.sha256((runtime / name).read_bytes()).digest())
        except OSError as error:
            raise ImageError(
                f"a file of the runtime image cannot be read: {error}",
                place=runtime / name,
                remedy="Restore it, or install the harness again.",
            ) from error
    return digest.hexdigest()[:16]


def _find(client: docker.DockerClient, variant: Variant, runtime: Path) -> RuntimeImage | None:
    base = find_base(client)
    if base is None:
        return None
    tag = runtime_tag(base.image_id, variant, runtime)
    try:
        image = client.images.get(tag)
    except docker.errors.ImageNotFound:
        return None
    return RuntimeImage(
        reference=str(image.id),
        tag=tag,
        variant=variant,
        base=base.name,
        torch=image.labels.get(f"{LABEL}.torch", "unknown"),
    )


def _build(
    client: docker.DockerClient, variant: Variant, runtime: Path, say: Callable[[str], None]
) -> RuntimeImage:
    started = time.monotonic()
    beside = ThreadPoolExecutor(max_workers=1)  # what it still does at the end of the process is waited for
    wheels: Future[Wheelhouse] | None = None
    if find_base(client) is None:  # then no packages image stands on it: wheels are fetched meanwhile
        wheels = beside.submit(_wheels, runtime, variant, say)
    base = ensure_base(client, say=say)
    packages = packages_tag(base.image_id, variant, runtime)
    tag = runtime_tag(base.image_id, variant, runtime)  # now: its files may be edited while it is built
    if image_id_of(client, packages) is None:
        fetched = _wheels(runtime, variant, say) if wheels is None else wheels.result()
        _build_packages(
            client, packages, base=base, variant=variant, runtime=runtime, wheels=fetched, say=say
        )
        beside.submit(_remove_build, client, _build_name(packages))  # gigabytes: it takes seconds
    say("Adding the runner to the runtime image.")
    _build_runtime(client, tag, packages, runtime)
    found = _find(client, variant, runtime)
    if found is None:
        raise ImageError("the runtime image was built, but is gone", remedy="Run the command once more.")
    seconds = time.monotonic() - started
    say(f"The runtime image {found.tag} is ready ({seconds:.0f} s).")
    return replace(found, built_seconds=seconds)


def _wheels(runtime: Path, variant: Variant, say: Callable[[str], None]) -> Wheelhouse:
    return ensure_wheelhouse(runtime, variant=variant, cache=cache_folder(), say=say)


def _build_packages(
    client: docker.DockerClient,
    tag: str,
    *,
    base: BaseImage,
    variant: Variant,
    runtime: Path,
    wheels: Wheelhouse,
    say: Callable[[str], None],
) -> None:
    """Install the packages in a container on the base image, and keep its file system as one layer.

    The caller removes the container and its volume, of the name `_build_name`.

    The wheels come in a volume, which also works if the engine is on another machine; in a Dockerfile they
    would have to be copied into a layer and out of it again, half a gigabyte and more each time.
    """
    say(f"Building {tag} on {base.name} with torch {wheels.torch} (a minute or two).")
    name = _build_name(tag)
    _remove_build(client, name)  # left by a build that was killed; nobody else builds now
    container = client.containers.create(
        base.image_id, name=name, entrypoint=["/bin/sh", f"{_WHEELHOUSE}/{_PACKAGES_SCRIPT}"], command=[],
        user="0:0", working_dir="/", network_mode="none",
        # As a mount of this container alone: a volume of its configuration would end up in the image's.
        mounts=[DockerMount(target=_WHEELHOUSE, source=client.volumes.create(name).name, type="volume")],
        log_config=LogConfig(type=LogConfig.types.JSON),
    )  # fmt: skip
    try:
        files = {_PACKAGES_SCRIPT: runtime / _PACKAGES_SCRIPT}
        files |= {p.relative_to(wheels.folder).as_posix(): p for p in wheels.folder.glob("*/*")}
        container.put_archive(_WHEELHOUSE, _archived(files))
        container.start()
        lines: list[str] = []
        for line in container.logs(stream=True, follow=True):
            lines.append(line.decode("utf-8", errors="replace").rstrip())
            say("  " + lines[-1][:200])
        exit_code = container.wait(timeout=_BUILD_SECONDS)["StatusCode"]
        if exit_code != 0:
            tail = "\n    ".join(lines[-_LOG_LINES:])
            raise ImageError(
                f"the packages could not be installed on {base.name} (exit code {exit_code}):\n    {tail}",
                remedy="Correct what the last lines say (disk full? wrong BASE_IMAGE?), then run again.",
            )
        labels = {
            f"{LABEL}.base": base.name,
            f"{LABEL}.base-id": base.image_id,
            f"{LABEL}.torch": wheels.torch,
            f"{LABEL}.variant": variant,
            f"{LABEL}.wheels": wheels.digest,
        }
        repository, _, version = tag.partition(":")
        changes = [f"LABEL {key}={json.dumps(value)}" for key, value in labels.items()]
        client.api.commit(name, repository=repository, tag=version, changes=changes)
    except BaseException:
        _remove_build(client, name)
        raise


def _build_name(tag: str) -> str:
    return tag.replace("/", "-").replace(":", "-")


def _remove_build(client: docker.DockerClient, name: str) -> None:
    with suppress(docker.errors.NotFound):
        client.containers.get(name).remove(force=True)
    with suppress(docker.errors.NotFound):
        client.volumes.get(name).remove()


def _build_runtime(client: docker.DockerClient, tag: str, packages: str, runtime: Path) -> None:
    lines: list[str] = []
    files = {name: runtime / name for name in (_RUNTIME_DOCKERFILE, *_RUNTIME_FILES)}
    with tempfile.TemporaryFile() as context:
        context.writelines(_archived(files))
        context.seek(0, io.SEEK_SET)
        events = client.api.build(
            fileobj=context, custom_context=True, dockerfile=_RUNTIME_DOCKERFILE, tag=tag,
            buildargs={"PACKAGES_IMAGE": packages},
            network_mode="none", pull=False, rm=True, forcerm=True, decode=True, timeout=_BUILD_SECONDS,
        )  # fmt: skip
        for event in events:
            lines += [line for line in str(event.get("stream", "")).splitlines() if line.strip()]
            if "error" in event:
                tail = "\n    ".join(lines[-_LOG_LINES:])
                raise ImageError(
                    f"the build of {tag} failed: {event['error']}\n    {tail}",
                    place=runtime / _RUNTIME_DOCKERFILE,
                    remedy="Correct what the last lines say (disk full?), then run again.",
                )


def _archived(files: Mapping[str, Path]) -> Iterator[bytes]:
    """Pack files for the engine: names and contents only; its layer cache then sees no owner and no time.

    Piece by piece as they are read, so that gigabytes need no place of their own.
    """
    for name, path in sorted(files.items()):
        entry = tarfile.TarInfo(name)
        entry.size = path.stat().st_size
        entry.mode = 0o644
        yield entry.tobuf(tarfile.PAX_FORMAT)
        with path.open("rb") as content:
            while piece := content.read(_PIECE_BYTES):
                yield piece
        if entry.size % tarfile.BLOCKSIZE:
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
