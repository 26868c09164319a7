"""Commands to look inside one's own package: its answers, a debugger, a shell. None of them is a sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from harness.cli.back_ends import docker_backend, made_environment
from harness.cli.documents import Document, print_document
from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.options import (
    SAMPLE_CHALLENGE,
    ChallengeOption,
    JsonOption,
    PackageArgument,
    cache_folder,
    find_challenge,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.views.failures import render_failures
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError, PackageError
from harness.core.types import Mode, Outcome, OutcomeKind
from harness.gateway.run_package import run_package
from harness.gateway.set_run import SetRun
from harness.image.environment import ensure_environment
from harness.image.runtime_image import RUNTIME_FOLDER
from harness.image.wheels import ensure_wheelhouse
from harness.package.manifest import MANIFEST_NAME, parse_manifest
from harness.package.opened import open_package, remove_package
from harness.results.failures import exception_of
from harness.run.trial import sample_videos, trial_terms

PREDICT_HERE = RUNTIME_FOLDER / "predict_here.py"
NOT_THE_SANDBOX = "This is not the sandbox: no limits but memory, no network, and nothing counts."
_out = printer()
_err = printer(errors=True)


def predict(
    package: PackageArgument,
    videos: Annotated[list[Path], typer.Argument(help="Videos to ask about.")],
    *,
    debugger: Annotated[
        bool, typer.Option("--pdb", help="Open the debugger where it fails; needs a terminal.")
    ] = False,
    container: Annotated[
        bool, typer.Option("--container", help="In the runtime image, instead of in this machine's Python.")
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(help="The interpreter. Default: that of `harness environment`, or the harness's own."),
    ] = None,
    challenge: ChallengeOption = SAMPLE_CHALLENGE,
    as_json: JsonOption = False,
) -> None:
    """Ask a package about any videos, and show answers, times and all that it prints."""
    for video in videos:
        if not video.is_file():
            wrong = "is not a file" if video.exists() else "does not exist"
            raise ConfigError(wrong, place=video, remedy="Give the paths of videos, not of folders.")
    if debugger:
        _can_debug(package, as_json=as_json)
    loaded = find_challenge(challenge)
    if container and not debugger:
        raise typer.Exit(_in_the_sandbox(package, videos, loaded, as_json=as_json))
    if not package.is_dir():
        raise ConfigError(
            "is not a folder", place=package, remedy="Unpack it: its files are run where they are."
        )
    if container:
        inside = [f"/videos/{number}-{video.name}" for number, video in enumerate(videos)]
        mounts = [f"{video.resolve()}:{name}:ro" for video, name in zip(videos, inside, strict=True)]
        mounts += [f"{RUNTIME_FOLDER / name}:/desk/{name}:ro" for name in ("predict_here.py", "runner.py")]
        command = ["python3", "-sPB", "/desk/predict_here.py", "/package", "1", "-", *inside]
        raise typer.Exit(_run_in_image(package, command, mounts, loaded))
    _err.print(Text("No sandbox: the package runs with your rights and your network.", "yellow"))
    wanted = python or str(made_environment() or sys.executable)
    with tempfile.TemporaryDirectory(prefix="harness-predict-") as folder:
        answers = Path(folder) / "answers.json"
        options = ["1" if debugger else "0", str(answers) if as_json else "-"]
        done = subprocess.run(  # noqa: S603  (to run one's own package is the purpose)
            [wanted, "-sPB", str(PREDICT_HERE), str(package), *options, *map(str, videos)],
            check=False,
            stdout=sys.stderr.fileno() if as_json else None,  # what the package prints is no document
        )
        if as_json:
            print_document(_answers(answers, videos, ok=done.returncode == 0))
    raise typer.Exit(OK if done.returncode == 0 else NOT_WELL)


def shell(package: PackageArgument, *, challenge: ChallengeOption = SAMPLE_CHALLENGE) -> None:
    """Open a shell in the runtime image with the package mounted. It is not the sandbox."""
    if not package.is_dir():
        raise ConfigError("is not a folder", place=package, remedy="Give the package's folder.")
    _err.print(Text(NOT_THE_SANDBOX, "yellow"))
    _err.print("The package is /package, read-only; /tmp can be written; `exit` leaves.")
    raise typer.Exit(_run_in_image(package, ["bash", "--norc"], [], find_challenge(challenge)))


def environment(*, as_json: JsonOption = False) -> None:
    """Make the image's packages a virtual environment, for `predict` and `run --sandbox process`."""
    with ConsoleObserver(_err) as observer:
        observer.step("Environment")
        cache = cache_folder(None)
        wheels = ensure_wheelhouse(RUNTIME_FOLDER, variant="cpu", cache=cache, say=observer.say)
        made = ensure_environment(wheels, cache=cache, runtime=RUNTIME_FOLDER, say=observer.say)
    if as_json:
        from harness.cli.documents.machine import EnvironmentDocument

        print_document(EnvironmentDocument(python=str(made)))
        return
    _out.print(str(made), soft_wrap=True, highlight=False)


def _can_debug(package: Path, *, as_json: bool) -> None:
    """Refuse what no debugger can be opened in.

    Raises:
        ConfigError: the answers are to be JSON, or the package is a batch command.
    """
    if as_json:
        raise ConfigError("--pdb and --json cannot be combined", remedy="Leave one out.")
    manifest = package / MANIFEST_NAME
    parsed, _ = parse_manifest(manifest.read_bytes()) if manifest.is_file() else (None, ())
    if parsed is not None and parsed.mode is Mode.BATCH:
        raise ConfigError(
            "--pdb cannot step into a batch command, which is a program of its own",
            place=manifest,
            remedy="Put `breakpoint()` where it should stop, and leave --pdb out.",
        )


def _answers(path: Path, videos: list[Path], *, ok: bool) -> Document:
    from harness.cli.documents.package import PredictDocument  # types take time to load

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the package ended the interpreter
        rows = [{"video": one.name, "probability": None, "failure": "no answer: Python ended",
                 "wall_seconds": None} for one in videos]  # fmt: skip
        found = {"startup_seconds": None, "answers": rows}
    return PredictDocument.model_validate({**found, "ok": ok})


def _in_the_sandbox(package: Path, videos: list[Path], challenge: Challenge, *, as_json: bool) -> int:
    """Run the package on these videos as a real run would, and show everything."""
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        backend = docker_backend(observer.say, gpus=challenge.limits.gpus, held=held, wait=True)
        parent = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="harness-predict-")))
        parent.chmod(0o755)  # the container's user is another one
        opened = open_package(package, parent / "package", limits=challenge.limits)
        held.callback(remove_package, opened.root)
        terms = trial_terms(challenge.terms)
        run = run_package(
            opened,
            sample_videos(videos, ask_again=False),
            backend=backend,
            terms=terms,
            run_id=f"predict-{opened.sha256[:12]}",
            order_seed=0,
            journal=parent / "outcomes.jsonl",
            keep_messages=True,
        )
    if as_json:
        print_document(_run_answers(run))
        return OK if all(one.kind is OutcomeKind.PREDICTED for one in run.outcomes) else NOT_WELL
    if run.startup_seconds is not None:
        _out.print(f"ready after {run.startup_seconds:.2f} s")
    for one in run.outcomes:
        said = f"{one.probability}" if one.kind is OutcomeKind.PREDICTED else f"{one.kind}"
        _out.print(Text(f"{one.video_id}: {said}  ({one.wall_seconds:.2f} s)"))
    failed = list(render_failures(run, terms.limits))
    for line in failed or ([Text(run.log_tail.rstrip())] if run.log_tail.strip() else []):
        _err.print(line)
    return NOT_WELL if failed else OK


def _run_answers(run: SetRun) -> Document:
    from harness.cli.documents.package import AnswerRow, PredictDocument

    rows = [
        AnswerRow(
            video=one.video_id,
            probability=one.probability,
            failure=_failure(one),
            wall_seconds=one.wall_seconds,
        )
        for one in run.outcomes
    ]
    ok = all(row.probability is not None for row in rows)
    return PredictDocument(ok=ok, startup_seconds=run.startup_seconds, answers=tuple(rows))


def _failure(one: Outcome) -> str:
    return "" if one.kind is OutcomeKind.PREDICTED else f"{one.kind} {exception_of(one.message)}".strip()


def _run_in_image(package: Path, command: list[str], mounts: list[str], challenge: Challenge) -> int:
    """Run a command in the image on this terminal, through the engine's own command line."""
    client = shutil.which("docker") or shutil.which("podman")
    if client is None:
        raise ConfigError(
            "neither `docker` nor `podman` is installed, which give a container a terminal",
            remedy="Install one, or use `harness predict` without --container.",
        )
    if not (package / "submission.toml").is_file():
        raise PackageError(
            "no submission.toml at the root", place=package, remedy="Give the package's folder."
        )
    with ConsoleObserver(_err) as observer:
        backend = docker_backend(observer.say)
    limits = challenge.limits
    terminal = ["--tty"] if sys.stdin.isatty() else []
    options = [
        client, "run", "--rm", "--interactive", *terminal, "--network=none", "--read-only",
        f"--memory={limits.memory_bytes}", "--security-opt=no-new-privileges", "--cap-drop=ALL", "--init",
        "--user=10001:10001",
        f"--tmpfs=/tmp:rw,exec,nosuid,nodev,size={limits.tmp_bytes},mode=1777", "--workdir=/package",
        "--hostname=not-the-sandbox", "--env=PS1=(not the sandbox) \\w\\$ ",
        f"--volume={package.resolve()}:/package:ro", *(f"--volume={mount}" for mount in mounts),
        f"--entrypoint={command[0]}", backend.image.digest, *command[1:],
    ]  # fmt: skip
    return subprocess.run(options, check=False, env=os.environ).returncode  # noqa: S603  (our own arguments)
