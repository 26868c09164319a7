"""A base gets a compiler if it has none; if none can be added, it stays as it is, and that is remembered."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import suppress

import docker
import pytest
from docker.errors import ImageNotFound

from harness.image.base_image import ensure_base, find_base
from harness.image.compiler import add_compiler, compiler_tag

pytestmark = pytest.mark.docker

Build = Callable[..., str]
APT = """#!/bin/sh
echo "$@" >> /asked
case " $* " in *" install "*) printf '#!/bin/sh\necho made\n' > /usr/bin/g++; chmod +x /usr/bin/g++;; esac
"""


@pytest.fixture
def build(docker_client: docker.DockerClient) -> Iterator[Build]:
    """Make a base from the harness's own; it goes with the test, and so does what was made of it."""
    made: list[str] = []

    def from_lines(*lines: str) -> str:
        base = ensure_base(docker_client, say=print)
        dockerfile = "\n".join([f"FROM {base.image_id}", "USER root", *lines]) + "\n"
        image, _ = docker_client.images.build(
            fileobj=io.BytesIO(dockerfile.encode()), rm=True, forcerm=True, network_mode="none"
        )
        made.append(str(image.id))
        return made[-1]

    yield from_lines
    for image_id in made:
        # A build that failed has left the layers before its failure, which nothing names.
        left = [one["Id"] for one in docker_client.api.images(all=True) if one["ParentId"] == image_id]
        for name in (compiler_tag(image_id), *left, image_id):
            with suppress(ImageNotFound):
                docker_client.images.remove(name, force=True)


def run(client: docker.DockerClient, image_id: str, command: str) -> str:
    output: bytes = client.containers.run(image_id, ["sh", "-c", command], remove=True, network_disabled=True)
    return output.decode().strip()


def test_a_base_with_a_compiler_keeps_its_own(docker_client: docker.DockerClient, build: Build) -> None:
    base_id = build("RUN touch /a-base-of-ones-own")
    said: list[str] = []
    found = add_compiler(docker_client, base_id, say=said.append)
    assert run(docker_client, found, "command -v g++ && ls /a-base-of-ones-own").startswith("/usr/bin/g++")
    assert "could be added" not in " ".join(said)


def test_a_base_without_one_gets_it_by_its_own_package_manager(
    docker_client: docker.DockerClient, build: Build
) -> None:
    """The package manager here is a stand-in, which needs no network: what it is asked for is what counts."""
    written = base64.b64encode(APT.encode()).decode()
    place = "/usr/bin/apt-get"
    base_id = build(f"RUN rm /usr/bin/g++; echo {written} | base64 -d > {place}; chmod +x {place}")
    found = add_compiler(docker_client, base_id, say=lambda _: None)
    assert run(docker_client, found, "g++") == "made"
    asked = run(docker_client, found, "cat /asked")
    assert "update" in asked
    assert "--no-install-recommends g++" in asked


def test_where_none_can_be_added_it_is_said_once_and_the_base_is_used(
    docker_client: docker.DockerClient, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_id = build("RUN rm -f /usr/bin/g++ /usr/bin/apt-get")
    said: list[str] = []
    assert add_compiler(docker_client, base_id, say=said.append) == base_id
    assert "torch.compile will not work" in said[-1]
    assert f"docker rmi {compiler_tag(base_id)}" in said[-1]
    monkeypatch.setenv("BASE_IMAGE", base_id)
    remembered = find_base(docker_client)
    assert remembered is not None
    assert remembered.image_id == base_id  # nobody tries again at the next start


def test_another_recipe_or_base_is_another_image() -> None:
    assert compiler_tag("sha256:a") != compiler_tag("sha256:b")
    assert compiler_tag("sha256:a") == compiler_tag("sha256:a")
