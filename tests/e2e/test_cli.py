"""The command line as a person uses it: what is printed, what is left behind, and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_challenge import FEW_SAMPLES, write_challenge

Eventually = Callable[[Callable[[], object]], bool]
MakePackage = Callable[..., Path]
HARNESS = Path(sys.executable).with_name("harness")


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    return write_challenge(tmp_path / "challenge", rules=FEW_SAMPLES, one_folder=True)


def harness(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HARNESS), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"HARNESS_CACHE": str(cwd / "cache")} | environment,
    )


def test_a_run_without_isolation_says_so_and_never_enters_a_leaderboard(
    make_package: MakePackage, challenge: Path, tmp_path: Path
) -> None:
    done = harness("run", make_package("return 0.5"), "-c", challenge, "--sandbox", "process", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "isolates nothing" in done.stderr
    assert "0.6931" in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert result["isolation"] == "none"
    assert result["leaderboard"]["eligible"] is False
    assert str(folder / "report.html") in done.stdout


def test_a_bad_zip_gets_a_verdict_and_exit_code_1(challenge: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escape.txt", "out")
    done = harness("run", path, "-c", challenge, cwd=tmp_path)
    assert done.returncode == 1
    assert "INVALID_PACKAGE" in done.stdout
    assert not (tmp_path / "escape.txt").exists()
    assert not (tmp_path.parent / "escape.txt").exists()


def test_a_wrong_challenge_is_exit_code_2_with_its_remedy(
    make_package: MakePackage, challenge: Path, tmp_path: Path
) -> None:
    challenge.write_text(challenge.read_text() + "[limits]\nvideo_second = 1\n")
    done = harness("run", make_package(), "-c", challenge, cwd=tmp_path)
    assert done.returncode == 2
    assert "video_second" in done.stderr
    assert "Remedy" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["fly"], ["run"], ["run", "x", "--fast"], ["run", "x", "--seed", "a"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_engine_is_our_fault_and_exit_code_3(
    make_package: MakePackage, challenge: Path, tmp_path: Path
) -> None:
    done = harness(
        *("run", make_package(), "-c", challenge),
        cwd=tmp_path,
        DOCKER_HOST=f"unix://{tmp_path}/nobody.sock",
        HARNESS_INSTALL_DOCKER="0",
    )
    assert done.returncode == 3
    assert "HARNESS_ERROR" in done.stderr
    assert "Remedy" in done.stderr
    assert "not a verdict on the package" in done.stderr


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    make_package: MakePackage, challenge: Path, tmp_path: Path, eventually: Eventually
) -> None:
    waits = tmp_path / "waits"  # once: a run that is resumed goes on
    package = make_package(
        f"waits = pathlib.Path({str(waits)!r})\n"
        "if self.count == 2 and not waits.exists():\n    waits.touch(); time.sleep(3600)\nreturn 0.5"
    )
    command = [str(HARNESS), "run", str(package), "-c", str(challenge), "--sandbox", "process"]
    environment = os.environ | {"HARNESS_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    assert eventually(lambda: waits.exists() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    done = harness(*command[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_check_lists_everything_at_once_and_starts_nothing_for_a_broken_package(
    make_package: MakePackage, challenge: Path, tmp_path: Path
) -> None:
    package = make_package(module="import nowhere_to_be_found\ndef broken(:\n", files={"w.pkl": "x"})
    done = harness("check", package, "-c", challenge, "--json", cwd=tmp_path)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert "P301" in {finding["code"] for finding in report["findings"]}


def test_pack_gives_the_same_bytes_twice_and_the_zip_passes_the_check(
    make_package: MakePackage, challenge: Path, tmp_path: Path
) -> None:
    package = make_package()
    for name in ("a.zip", "b.zip"):
        assert harness("pack", package, "-o", tmp_path / name, cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert harness("check", tmp_path / "a.zip", "-c", challenge, "--static", cwd=tmp_path).returncode == 0
