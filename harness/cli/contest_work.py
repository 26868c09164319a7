"""`harness contest run`: take every entry that waits to its result."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import contest_plan, contest_steering
from harness.cli.back_ends import SandboxKind, docker_backend, isolation_of, process_backend
from harness.cli.contest_backends import DockerOnNode, ProcessOnNode
from harness.cli.contest_blobs import opened_blobs
from harness.cli.contest_sources import FROM_STORE, EntriesOption, PackagesOption, boards_kept, source_of
from harness.cli.contest_steering import PriceOption
from harness.cli.engines import AddressOption, EngineKind, EngineOption, opened_engine, shard_engine
from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.open_store import open_store_patiently
from harness.cli.options import (
    DEFAULT_PACKAGES,
    DEFAULT_RUNS,
    DEFAULT_STORE,
    CacheOption,
    ChallengeArgument,
    NewRunsOption,
    RuntimeOption,
    StoreOption,
    cache_folder,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.told_to_end import clears_up_when_told_to_end
from harness.cli.views.contest_work import Lines, so_far
from harness.contest.admission import Prepared
from harness.contest.driver import Contest, Driver
from harness.contest.live_counts import LiveCounts
from harness.contest.shard_job import BackendMaker, ShardPlaces, forget_old_journals
from harness.contest.shard_ledger import FAULTS_MAX, ShardLedger
from harness.core.challenge import Challenge, load_challenge
from harness.core.engines import Engine
from harness.core.types import ImageFacts
from harness.gateway.staging import reap_stages
from harness.image.container_engine import connect
from harness.results.seal import key_from_environment
from harness.results.store.drivers import Wish
from harness.sandbox.docker.sandbox import reap
from harness.videos.ready_set import ReadySet, ready_set

_err = printer(errors=True)
_out = printer()


def add_to(app: typer.Typer) -> None:
    """Add the commands that run a contest's entries."""
    app.command()(run)
    contest_steering.add_to(app)
    for command in (contest_plan.plan, contest_plan.node):
        app.command()(command)


def run(
    challenge: ChallengeArgument,
    entries: EntriesOption,
    *,
    packages: PackagesOption = DEFAULT_PACKAGES,
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait for new entries when all is done, until `contest drain`.")
    ] = False,
    runs: NewRunsOption = DEFAULT_RUNS,
    cache: CacheOption = None,
    store: StoreOption = DEFAULT_STORE,
    engine: EngineOption = EngineKind.LOCAL,
    address: AddressOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Shards at a time on this machine. Default: all it has room for."),
    ] = None,
    blobs: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_BLOBS",
            help="Where nodes fetch packages and videos: a folder, sftp://…, s3://…. Default: from this "
            "machine's own paths, which then every node must have.",
        ),
    ] = None,
    shard_videos: Annotated[
        int | None, typer.Option(min=1, help="Videos in a shard at most. Default: sets are not cut.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, max=2, help="The least speed of a node; 1 is the reference machine.")
    ] = 0.0,
    attempts: Annotated[
        int, typer.Option(min=1, help="How often a shard may fail by our own fault before it is given up.")
    ] = FAULTS_MAX,
    price_per_hour: PriceOption = 0.0,
    repeat: Annotated[
        bool,
        typer.Option("--repeat", help="Run every set that is cut once more whole, and compare the answers."),
    ] = False,
    reports: Annotated[bool, typer.Option(help="Write both reports of every run.")] = True,
    sandbox: Annotated[
        SandboxKind, typer.Option("--sandbox", help="docker, or process: no isolation, to try the machinery.")
    ] = SandboxKind.DOCKER,
    image: Annotated[
        str, typer.Option(help="Run in this image, by digest, instead of the harness's own.", hidden=True)
    ] = "",
    runtime: RuntimeOption = None,
) -> None:
    """Take every waiting entry to its result, unattended. After a kill, the same command goes on.

    With --entries store it runs what teams handed in and records every result in the contest; with --watch
    it is the worker that does so for as long as the contest lasts.
    """
    loaded, folders = load_challenge(challenge), cache_folder(cache)
    with closing(open_store_patiently(store, say=_say)) as index, ExitStack() as held:
        held.enter_context(clears_up_when_told_to_end())
        ledger = ShardLedger(index, loaded.name, say=_say, faults_max=attempts)
        ledger.refuse_a_second()
        _refuse_if_drained(ledger)
        isolated = sandbox is not SandboxKind.PROCESS
        source = source_of(  # what is wrong with the entries is said before any long work
            entries, ledger, challenge=loaded, packages=packages, isolated=isolated, say=_say
        )
        blob_store = None if blobs is None else opened_blobs(blobs)
        with ConsoleObserver(_err) as observer:
            found, engine_name, gpus = _image(sandbox, image, runtime, observer.say)
            shards, places = held.enter_context(  # first: its workers start while sets are prepared
                shard_engine(
                    engine, loaded.limits, address=address, workers=workers, gpus=len(gpus), speed=speed
                )
            )
            with _preparing_engine(engine, blobs, address=address, workers=workers) as preparing:
                sets = _prepared(loaded, folders, preparing, observer)
        common = Prepared(
            challenge=loaded,
            sets=sets,
            image=found,
            engine=engine_name,
            isolation=isolation_of(sandbox),
            runs=runs.resolve(),
            scratch=folders / "contest",
            store=blob_store,
            shard_videos=shard_videos,
            gpus=gpus,
            reports=reports,
            repeat=repeat,
        )
        contest = Contest(
            common=common,
            source=source,
            backend=_backend_on_nodes(
                sandbox, image, gpus=loaded.limits.gpus if gpus else 0, runtime=runtime
            ),
            places=_places(common),
            signing_key=key_from_environment(os.environ),
            watch=watch,
            look=LiveCounts(ledger=ledger, runs=common.runs).look,
        )
        with boards_kept(contest, index, toml=challenge.resolve(), say=_say):
            ledger.places = places
            lines = Lines(_err, ledger, places=places, price_per_hour=price_per_hour)
            done = Driver(contest, ledger, shards, lines).run()
        left = so_far(ledger, places=places)
        unfinished = len(source.waiting()) if entries == FROM_STORE else 0
    if isolated:
        _clear_up()
    lines.ended(left, unfinished=unfinished, no_entries=source.no_entries)
    raise typer.Exit(OK if done and not left.count("failed") and not unfinished else NOT_WELL)


def _refuse_if_drained(ledger: ShardLedger) -> None:
    """End before any long work if nothing may begin: a service manager starts again what was drained."""
    row = ledger.driver()
    if row is not None and row.wish is Wish.DRAIN:
        _say(f"{ledger.challenge} is drained: nothing begins until `harness contest resume`")
        raise typer.Exit(NOT_WELL)


def _preparing_engine(
    engine: EngineKind, blobs: str | None, *, address: str | None, workers: int | None
) -> AbstractContextManager[Engine]:
    """Return where sets are rendered: with a store, here, for nodes need not have this machine's folders."""
    shared = engine if blobs is None else EngineKind.LOCAL
    return opened_engine(shared, address=address if shared is EngineKind.RAY else None, workers=workers)


def _prepared(
    challenge: Challenge, cache: Path, engine: Engine, observer: ConsoleObserver
) -> tuple[ReadySet, ...]:
    found = []
    for name in challenge.sets:
        observer.step(f"Preparing the {name} set")
        ready = ready_set(
            name,
            challenge,
            cache=cache,
            engine=engine,
            progress=partial(observer.preparing, name),
            waiting=observer.say,
        )
        for source_id, reason in ready.left_out:
            observer.warn(f"{source_id} is left out of the {name} set: {reason}")
        found.append(ready)
    return tuple(found)


def _places(common: Prepared) -> ShardPlaces:
    """Put every video where nodes fetch it, if that is a store, and clear the scratch folder."""
    if common.store is not None:
        for ready in common.sets:
            for video in ready.videos:
                common.store.put(video.path)
    forget_old_journals(common.scratch)
    return ShardPlaces(scratch=common.scratch, store=common.store)


def _backend_on_nodes(sandbox: SandboxKind, image: str, *, gpus: int, runtime: str | None) -> BackendMaker:
    """Return what makes the sandbox of each shard, on the node that it runs on."""
    if sandbox is SandboxKind.PROCESS:
        return ProcessOnNode()
    return DockerOnNode(image=image, gpus=gpus, runtime=runtime)


def _clear_up() -> None:
    """Remove what a killed worker of this machine left; on another machine, the next shard does."""
    reap(connect())
    reap_stages()


def _image(
    sandbox: SandboxKind, image: str, runtime: str | None, say: Callable[[str], None]
) -> tuple[ImageFacts, str, tuple[str, ...]]:
    if sandbox is SandboxKind.PROCESS:
        backend = process_backend()
        return backend.image, backend.engine, ()
    if image:
        return ImageFacts(label=image, digest=image, variant="cpu"), "Docker", ()
    backend = docker_backend(say, runtime=runtime)
    return backend.image, backend.engine, backend.gpu_names


def _say(text: str) -> None:
    _err.print(text, highlight=False)
