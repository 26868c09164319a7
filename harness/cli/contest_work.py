"""`harness contest …`: run every entry that waits, look how far it is, and steer it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import contest_plan
from harness.cli.back_ends import SandboxKind, docker_backend, isolation_of, process_backend
from harness.cli.contest_backends import DockerOnNode, ProcessOnNode
from harness.cli.contest_blobs import opened_blobs
from harness.cli.contest_sources import FROM_STORE, EntriesOption, PackagesOption, boards_kept, source_of
from harness.cli.documents import print_document
from harness.cli.engines import AddressOption, EngineKind, EngineOption, opened_engine, shard_engine
from harness.cli.exit_codes import NOT_WELL, OK
from harness.cli.open_store import open_store, open_store_patiently
from harness.cli.options import (
    DEFAULT_PACKAGES,
    DEFAULT_RUNS,
    DEFAULT_STORE,
    CacheOption,
    ChallengeArgument,
    JsonOption,
    NewRunsOption,
    RuntimeOption,
    StoreOption,
    cache_folder,
)
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.views.contest_work import Lines, so_far, status_lines
from harness.contest.admission import Prepared
from harness.contest.driver import Contest, Driver
from harness.contest.live_counts import LiveCounts
from harness.contest.shard_job import ShardPlaces, forget_old_journals
from harness.contest.shard_ledger import FAULTS_MAX, ShardLedger
from harness.core.challenge import Challenge, load_challenge
from harness.core.engines import Engine
from harness.core.errors import ConfigError
from harness.core.types import ImageFacts
from harness.gateway.staging import reap_stages
from harness.image.container_engine import connect
from harness.results.seal import key_from_environment
from harness.results.store.drivers import Wish
from harness.sandbox.docker.sandbox import reap
from harness.videos.ready_set import ReadySet, ready_set

_err = printer(errors=True)
_out = printer()

PriceOption = Annotated[
    float,
    typer.Option("--price-per-hour", min=0, help="The price of one place for a shard, for the cost so far."),
]
RunIdArgument = Annotated[str, typer.Argument(help="The run of an entry, as `contest status` names it.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands that run a contest's entries."""
    for command in (run, status, pause, resume, drain, contest_plan.plan, contest_plan.node):
        app.command()(command)
    app.command(name="cancel-run")(cancel_run)
    app.command(name="requeue-run")(requeue_run)


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
        ledger = ShardLedger(index, loaded.name, say=_say, faults_max=attempts)
        ledger.refuse_a_second()
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
            with opened_engine(engine, address=address, workers=workers) as preparing:
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
            backend=DockerOnNode(image=image, gpus=loaded.limits.gpus if gpus else 0, runtime=runtime)
            if isolated
            else ProcessOnNode(),
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
        reap(connect())  # what a killed worker of this machine left; elsewhere the next shard clears that
        reap_stages()
    lines.ended(left, unfinished=unfinished, no_entries=source.no_entries)
    raise typer.Exit(OK if done and not left.count("failed") and not unfinished else NOT_WELL)


def status(
    challenge: ChallengeArgument,
    *,
    store: StoreOption = DEFAULT_STORE,
    price_per_hour: PriceOption = 0.0,
    every: Annotated[
        bool, typer.Option("--all", help="List runs that are done, too, in a contest of more than 50.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say how far a contest is: every run, what it cost so far, who drives it."""
    with _opened_ledger(challenge, store) as ledger:
        row = ledger.driver()
        places, unseen = (row.places or 1, row.unseen or 0) if row else (1, 0)
        progress = so_far(ledger, places=places, unseen=unseen)
    if as_json:
        from harness.cli.documents.contest import ContestStatusDocument

        print_document(ContestStatusDocument.of(progress, row, price_per_hour))
    else:
        for part in status_lines(progress, row, price_per_hour, width=_out.width, every=every):
            _out.print(part, highlight=False)
        if not progress.runs and row is None:
            _say(f"nothing of {ledger.challenge} ever ran in {ledger.store.place}: is it the right --store?")


def cancel_run(
    challenge: ChallengeArgument, run_id: RunIdArgument, *, store: StoreOption = DEFAULT_STORE
) -> None:
    """Cancel the rest of a run; running shards stop before their next video."""
    _change(
        challenge, store, run_id, "cancelled", lambda one: one.cancel(run_id, "cancelled by the organiser")
    )


def requeue_run(
    challenge: ChallengeArgument, run_id: RunIdArgument, *, store: StoreOption = DEFAULT_STORE
) -> None:
    """Queue the failed and cancelled shards of a run again; what is done stays done."""
    _change(challenge, store, run_id, "waiting", lambda one: one.requeue(run_id, "requeued by the organiser"))


def pause(challenge: ChallengeArgument, *, store: StoreOption = DEFAULT_STORE) -> None:
    """Begin no further shard; what runs is finished, and the driver waits for `resume`."""
    _wish(challenge, store, Wish.PAUSE)


def resume(challenge: ChallengeArgument, *, store: StoreOption = DEFAULT_STORE) -> None:
    """Go on after a pause, or take back a drain."""
    _wish(challenge, store, Wish.RUN)


def drain(challenge: ChallengeArgument, *, store: StoreOption = DEFAULT_STORE) -> None:
    """Begin no further shard; what runs is finished, and then the driver ends."""
    _wish(challenge, store, Wish.DRAIN)


def _wish(challenge: Path, store: str, what: Wish) -> None:
    with _opened_ledger(challenge, store) as ledger:
        ledger.wish(what)
        row = ledger.driver()
    _say(f"{ledger.challenge}: {what}" + ("" if row and row.driver else "; no driver is at work"))


def _change(
    challenge: Path, store: str, run_id: str, word: str, change: Callable[[ShardLedger], int]
) -> None:
    with _opened_ledger(challenge, store) as ledger:
        known = sorted({job.run_id for job in ledger.listed()})
        if run_id not in known:
            raise ConfigError(
                f"no run is called {run_id}",
                place=ledger.challenge,
                remedy=f"Runs with shards: {', '.join(known) or 'none'}.",
            )
        count = change(ledger)
        found = Counter(job.state.value for job in ledger.of_run(run_id))
    said = f"{count} shards of {run_id} are now {word}" if count else f"nothing of {run_id} has changed"
    _say(f"{said}; of all its shards: {', '.join(f'{many} {state}' for state, many in found.items())}")


@contextmanager
def _opened_ledger(challenge: Path, store: str) -> Iterator[ShardLedger]:
    """Open a contest's ledger for a command, and close its database."""
    database = open_store(store)
    try:
        yield ShardLedger(database, load_challenge(challenge).name, say=_say, patience_seconds=5.0)
    finally:
        database.close()


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
