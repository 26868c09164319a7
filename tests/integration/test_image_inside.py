"""The real runtime image: what a package finds in it, and that a second call finds it."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from harness.core.errors import ImageError
from harness.image.runtime_image import LABEL, RUNTIME_FOLDER, RuntimeImage, ensure_image
from harness.package.static.removed import REMOVED

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # it imports everything that is promised

ROOT = Path(__file__).parents[2]
PROMISED = (
    "torch torchvision timm cv2 av numpy pandas scipy sklearn skimage PIL tqdm einops safetensors.torch"
    " albumentations facenet_pytorch matplotlib.pyplot transformers kornia onnxruntime insightface.app"
    " efficientnet_pytorch segmentation_models_pytorch open_clip decord numba"
)

PROBE = """
import json, sys
facts = {"torch_at_start": "torch" in sys.modules}
import importlib, os
facts["missing"] = []
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except Exception as error:
        facts["missing"].append(f"{name}: {error!r}")
import av, cv2, numpy, torch, timm
from torchvision import ops
facts["torch"] = torch.__version__

def greedy(boxes, scores, threshold):
    # One box at a time, in Python: slow, and plainly right.
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        def overlap(j):
            a, b = boxes[i], boxes[j]
            w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
            return w * h / (area(a) + area(b) - w * h)
        if all(overlap(j) <= threshold for j in kept):
            kept.append(i)
    return kept

generator = torch.Generator().manual_seed(7)
corners = torch.rand((300, 2), generator=generator) * 100
boxes = torch.cat([corners, corners + 5 + torch.rand((300, 2), generator=generator) * 40], dim=1)
scores = torch.rand(300, generator=generator)
facts["nms_right"] = all(
    ops.nms(boxes, scores, t).tolist() == greedy(boxes.tolist(), scores.tolist(), t) for t in (0.1, 0.5, 0.9)
)
facts["nms_of_nothing"] = ops.nms(torch.zeros((0, 4)), torch.zeros(0), 0.5).tolist()
facts["batched_nms"] = ops.batched_nms(boxes[:1].repeat(2, 1), scores[:2], torch.tensor([0, 1]), 0.5).numel()
facts["logits"] = list(timm.create_model("tf_efficientnet_lite0").eval()(torch.zeros((1, 3, 224, 224))).shape)

with av.open("/video.mp4") as container:
    frame = next(container.decode(video=0)).to_ndarray(format="bgr24")
facts["video_by_opencv"] = cv2.VideoCapture("/video.mp4").read()[0]
height, width = frame.shape[:2]
detector = cv2.FaceDetectorYN.create(os.environ["YUNET_MODEL"], "", (width, height))
found = detector.detect(frame)[1]
facts["yunet_faces"] = 0 if found is None else len(found)
from PIL import Image
from facenet_pytorch import MTCNN
boxes, chances = MTCNN(keep_all=True).detect(Image.fromarray(numpy.ascontiguousarray(frame[:, :, ::-1])))
facts["mtcnn_faces"] = 0 if boxes is None else len(boxes)
print(json.dumps(facts))
"""


def silent(_: str) -> None:
    """Take progress."""


@pytest.fixture(scope="module")
def image(docker_client: docker.DockerClient, runtime_image: str) -> RuntimeImage:
    return ensure_image(docker_client, say=silent)


def run(client: docker.DockerClient, image: RuntimeImage, *command: str, **options: Any) -> str:
    """Run a command as packages are run: no network, nothing writable but /tmp, no rights."""
    container = client.containers.create(
        image.reference, entrypoint=[command[0]], command=list(command[1:]),
        network_mode="none", read_only=True, cap_drop=["ALL"],
        **{"user": "12345:12345", "tmpfs": {"/tmp": ""}, **options},
    )  # fmt: skip
    try:
        container.start()
        status = container.wait(timeout=1500)["StatusCode"]
        output = container.logs(stdout=True, stderr=False).decode()
        assert status == 0, container.logs().decode()[-3000:]
        return output
    finally:
        container.remove(force=True)


@pytest.fixture(scope="module")
def facts(docker_client: docker.DockerClient, image: RuntimeImage) -> dict[str, Any]:
    video = min((ROOT / "sample_videos" / "public").glob("*.mp4"))
    volumes = {str(video): {"bind": "/video.mp4", "mode": "ro"}}
    output = run(docker_client, image, "python", "-c", PROBE, PROMISED, volumes=volumes)
    return dict(json.loads(output.splitlines()[-1]))


def test_everything_promised_can_be_imported(facts: dict[str, Any]) -> None:
    assert facts["missing"] == []


def test_starting_python_does_not_import_torch(facts: dict[str, Any]) -> None:
    assert facts["torch_at_start"] is False


def test_the_label_says_which_torch_it_is(
    docker_client: docker.DockerClient, image: RuntimeImage, facts: dict[str, Any]
) -> None:
    assert image.torch.split(" ")[0] == facts["torch"].removesuffix("+cu130")
    assert docker_client.images.get(image.reference).labels[f"{LABEL}.variant"] == image.variant


def test_non_maximum_suppression_keeps_what_a_plain_loop_keeps(facts: dict[str, Any]) -> None:
    assert facts["nms_right"] is True
    assert facts["nms_of_nothing"] == []
    assert facts["batched_nms"] == 2


def test_models_and_both_face_detectors_work_on_a_real_video(facts: dict[str, Any]) -> None:
    assert facts["logits"] == [1, 1000]
    assert facts["video_by_opencv"] is True
    assert facts["yunet_faces"] >= 1
    assert facts["mtcnn_faces"] >= 1


def test_nothing_of_the_build_is_left_in_it(docker_client: docker.DockerClient, image: RuntimeImage) -> None:
    names = ("*.whl", "pip.conf", "sources.list", "pip-*", "packages.sh")
    by_name = " -o ".join(f"-name '{name}'" for name in names)
    search = f"find / -xdev \\( {by_name} -o -path '/etc/apt/*mmdebstrap' -o -path '/wheelhouse/*' \\) -print"
    search += "; find /opt/venv -path '*/site-packages/pip' -o -path '*/site-packages/torch/test'"
    left = run(docker_client, image, "sh", "-c", f"({search}) 2>/dev/null || true", user="0:0").split()
    assert [path for path in left if not path.startswith("/usr/")] == []  # a base image may have its own pip
    config = docker_client.images.get(image.reference).attrs["Config"]
    variables = {entry.split("=")[0] for entry in config["Env"]}
    assert not [name for name in variables if name.startswith("PIP_") or name.lower().endswith("proxy")]
    assert not config.get("Volumes")


def test_everything_in_it_is_readable_for_any_user(
    docker_client: docker.DockerClient, image: RuntimeImage
) -> None:
    hidden = run(
        docker_client,
        image,
        "find",
        "/opt",
        "(",
        "-not",
        "-readable",
        "-o",
        "-writable",
        ")",
        "-not",
        "-type",
        "l",
    )
    assert hidden.split() == []


def test_what_packages_import_is_compiled_ahead(
    docker_client: docker.DockerClient, image: RuntimeImage
) -> None:
    program = """if True:
        import importlib.util, os, sys
        import torch, timm, cv2, pandas
        files = [str(getattr(module, "__file__", "")) for module in sys.modules.values()]
        files = [path for path in files if path.startswith("/") and path.endswith(".py")]
        files.append("/opt/harness/runner.py")
        print(len(files), *(p for p in files if not os.path.exists(importlib.util.cache_from_source(p))))
    """
    count, *bare = run(docker_client, image, "python", "-c", program).split()
    assert int(count) > 1000
    assert bare == []


def test_finding_it_again_says_nothing_and_builds_nothing(
    docker_client: docker.DockerClient, image: RuntimeImage
) -> None:
    said: list[str] = []
    again = ensure_image(docker_client, say=said.append)
    assert again == image
    assert again.built_seconds is None
    assert again.reference.startswith("sha256:")
    assert said == []


def test_a_changed_runner_is_another_image_on_the_same_packages(
    docker_client: docker.DockerClient, image: RuntimeImage, tmp_path: Path
) -> None:
    runtime = Path(shutil.copytree(RUNTIME_FOLDER, tmp_path / "runtime"))
    (runtime / "runner.py").write_text('print("another runner")\n')
    said: list[str] = []
    other = ensure_image(docker_client, say=said.append, runtime=runtime)
    try:
        assert other.reference != image.reference
        assert other.built_seconds is not None
        assert not [line for line in said if "wheels" in line or "Installing" in line]
        layers = [docker_client.images.get(i.reference).attrs["RootFS"]["Layers"] for i in (image, other)]
        assert layers[0][:2] == layers[1][:2]  # the base and the packages
        assert run(docker_client, other, "python", "/opt/harness/runner.py") == "another runner\n"
    finally:
        docker_client.images.remove(other.tag, force=True)


@pytest.fixture
def empty_base(docker_client: docker.DockerClient) -> Iterator[str]:
    """An image with one file and no Python."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    repository, name = "blackbox-video-harness/test", f"no-python-{os.getpid()}"
    docker_client.api.import_image_from_data(content.getvalue(), repository=repository, tag=name)
    yield f"{repository}:{name}"
    docker_client.images.remove(f"{repository}:{name}", force=True)


def test_a_base_without_python_is_an_error_and_leaves_nothing(
    docker_client: docker.DockerClient, image: RuntimeImage, empty_base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = docker_client.api  # what other workers make and remove meanwhile is none of this test's
    base, before = docker_client.images.get(empty_base).id, volumes_of_builds(api)
    monkeypatch.setenv("BASE_IMAGE", empty_base)
    with pytest.raises(ImageError):
        ensure_image(docker_client, say=silent)
    assert api.containers(all=True, filters={"ancestor": base}) == []
    assert volumes_of_builds(api) <= before
    layer = first_layer(docker_client, str(base))
    assert [one for one in api.images(quiet=True) if first_layer(docker_client, one) == layer] == [base]


def volumes_of_builds(api: docker.APIClient) -> set[str]:
    return {one["Name"] for one in api.volumes()["Volumes"] or () if "packages" in one["Name"]}


def first_layer(client: docker.DockerClient, image: str) -> str | None:
    """Return an image's lowest layer; None where it is no longer there."""
    try:
        layers = client.images.get(image).attrs["RootFS"].get("Layers") or [None]
    except docker.errors.ImageNotFound:
        return None
    return str(layers[0])


def test_a_named_base_that_cannot_be_had_is_never_replaced(
    docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_IMAGE", "127.0.0.1:1/nobody/nothing:1")
    with pytest.raises(ImageError, match=r"127\.0\.0\.1:1/nobody/nothing:1") as caught:
        ensure_image(docker_client, say=silent)
    assert "BASE_IMAGE" in (caught.value.remedy or "")


COMPILED = """
import json, os, time
import numba, numpy, torch

class Net(torch.nn.Module):
    def forward(self, x):
        return torch.sigmoid(x * 3 + 1).sum()

@numba.njit
def total(x):
    found = 0.0
    for value in x:
        found += value
    return found

net, x = Net(), torch.linspace(-1, 1, 1000)
compiled = torch.compile(net)
same = bool(torch.allclose(compiled(x), net(x)))
caches = sorted(os.listdir("/tmp/.cache"))
print(json.dumps({"same": same, "numba": total(numpy.arange(10.0)), "caches": caches}))
"""


def test_torch_compile_and_numba_work_in_the_sandboxs_own_options(
    docker_client: docker.DockerClient, image: RuntimeImage
) -> None:
    output = run(
        docker_client, image, "python", "-c", COMPILED,
        tmpfs={"/tmp": "exec,size=1g"},
        environment={"NUMBA_CACHE_DIR": "/tmp/.cache/numba", "HOME": "/tmp"},
    )  # fmt: skip
    facts = json.loads(output.splitlines()[-1])
    assert facts["same"] is True
    assert facts["numba"] == 45.0
    assert "inductor" in facts["caches"]


GONE = """
import importlib, json, sys
there = []
for name in sys.argv[1].split():
    parts = name.split(".")
    found = None
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except Exception:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None) if found is not None else None
        break
    if found is not None:
        there.append(name)
print(json.dumps(there))
"""


def test_every_name_that_check_calls_gone_is_gone_from_the_image(
    docker_client: docker.DockerClient, image: RuntimeImage
) -> None:
    output = run(docker_client, image, "python", "-W", "ignore", "-c", GONE, " ".join(REMOVED))
    assert json.loads(output.splitlines()[-1]) == []
