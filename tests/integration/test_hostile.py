"""The hostile suite: every behaviour, as an entry would be run, on a real engine; and what holds the suite.

A behaviour is a folder of `tests/packages` or, if it also ships with the harness, of
`harness/diagnose/selfcheck/packages`: a package and `expect.toml`. Single behaviours are not described here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from harness.diagnose.selfcheck.attack import Target, attack
from harness.diagnose.selfcheck.behaviour import Behaviour, core_behaviours, load_behaviours
from harness.diagnose.selfcheck.judge import judge
from harness.diagnose.selfcheck.suite import table_markdown
from harness.sandbox import Backend

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tests" / "packages"
DOCUMENT = ROOT / "docs" / "hostile-suite.md"
CORE = core_behaviours()
BEHAVIOURS = (*CORE, *load_behaviours(PACKAGES))
# What every release must survive, whatever else changes.
REQUIRED = """
sleep_at_import sleep_at_predict busy_threads fork_bomb setsid_daemon suspend_parent ignore_sigterm
close_pipes kill_runner ram_hog ram_hog_child shm_hog tmpfs_bytes tmpfs_inodes stdout_flood
stderr_flood long_line null_bytes binary_stdout exit_zero_early exit_early_after_half raise_at_n
answer_twice answer_ahead answer_wrong_id answer_nan answer_inf answer_bool answer_string
answer_huge_frame answer_none network_tcp network_dns network_vsock io_uring ptrace mount userns
read_labels read_other_videos read_mountinfo read_proc_environ write_package write_root write_video
persist_between_sets shadow_numpy sitecustomize cheat_by_order cheat_by_name cheat_by_size
cheat_by_mtime cheat_by_metadata gpu_hog zip_slip zip_symlink zip_bomb zip_deep zip_many_files
zip_duplicate_names zip_encrypted no_entry syntax_error missing_import wrong_signature
returns_nothing segfault stack_overflow
"""


@pytest.fixture(scope="module")
def target(docker_client: docker.DockerClient, light_backend: Backend) -> Target:
    return Target(backend=light_backend, client=docker_client)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_it_comes_to_what_is_expected_and_leaves_nothing(
    behaviour: Behaviour, target: Target, record_property: Callable[[str, object], None]
) -> None:
    observed = attack(behaviour, target)
    failed = [check for check in judge(behaviour, observed) if not check.held]
    record_property("broken", ", ".join(sorted({check.name for check in failed})))  # `make test-engines` asks
    broken = [f"{check.name}: {check.evidence}" for check in failed]
    words = [outcome.message for run in observed.runs for outcome in run.outcomes if outcome.message]
    assert not broken, "\n".join([*broken, *words, *(run.log_tail[-2000:] for run in observed.runs)])


def test_every_behaviour_that_a_release_must_survive_is_there() -> None:
    names = [behaviour.name for behaviour in BEHAVIOURS]
    assert len(set(names)) == len(names)
    assert set(names) >= set(REQUIRED.split())
    assert len(names) >= 80


def test_every_folder_is_part_of_the_suite_or_a_valid_entry() -> None:
    folders = {path.name for path in PACKAGES.iterdir() if path.is_dir()}
    known = {behaviour.name for behaviour in BEHAVIOURS}
    assert {name for name in folders - known if not name.startswith("valid_")} == set()


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_a_folder_says_what_it_is(behaviour: Behaviour) -> None:
    manifest = behaviour.folder / "submission.toml"
    if manifest.is_file() and "P2" not in "".join(behaviour.expect.findings):
        assert tomllib.loads(manifest.read_text(encoding="utf-8"))["name"] == behaviour.name
    python = [path.name for path in behaviour.folder.rglob("*") if ".py" in path.name]
    if behaviour in CORE:  # what is installed with the harness must not be compiled or imported by accident
        assert all(name.endswith(".py.txt") for name in python)


def test_the_document_is_generated_from_the_suite() -> None:
    block = re.search(r"<!-- suite -->\n(.*?)\n?<!-- /suite -->", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert block is not None
    table = table_markdown(BEHAVIOURS)
    assert block[1] == table, f"put this between the marks of {DOCUMENT.name}:\n{table}"
