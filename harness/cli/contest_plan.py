"""`harness contest plan` and `… node`: what a contest costs, and how a node joins."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.contest_sources import EntriesOption, PackagesOption, waiting_in
from harness.cli.documents import print_document
from harness.cli.open_store import open_store
from harness.cli.options import (
    DEFAULT_PACKAGES,
    DEFAULT_STORE,
    ChallengeArgument,
    JsonOption,
    StoreOption,
    cache_folder,
)
from harness.cli.terminal import printer
from harness.contest.paces import known_paces, paces_of
from harness.contest.plan import Asked, CostPlan, NodeKind, PriceTable, StandIn, load_prices
from harness.contest.plan import plan as plan_of
from harness.core.challenge import load_challenge
from harness.core.errors import ConfigError
from harness.core.limits import seconds_in_words
from harness.core.types import Limits
from harness.diagnose.calibrate.project import ratios
from harness.diagnose.calibrate.speeds import Calibration, kept, kept_reference
from harness.results.store import jobs
from harness.videos.labels import read_video_set

_out = printer()
STAND_IN = {
    StandIn.MEDIAN: "the others' median stands for each",
    StandIn.EARLIER: "the median of earlier entries stands for each",
    StandIn.BUDGET: "the whole budget stands for each, so it is the most that this can take",
}


def plan(
    challenge: ChallengeArgument,
    entries: EntriesOption,
    *,
    packages: PackagesOption = DEFAULT_PACKAGES,
    prices: Annotated[
        Path | None,
        typer.Option(help="A TOML table of nodes and prices. Default: this machine, free of charge."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    shard_videos: Annotated[int | None, typer.Option(min=1, help="Videos in a shard at most.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a contest will cost: machine-hours, days and money, by what is known of its entries."""
    loaded = load_challenge(challenge)
    table = load_prices(prices) if prices else PriceTable(nodes=(_this_machine(loaded.limits),))
    index = open_store(store)
    try:
        waiting = waiting_in(entries, index, challenge=loaded, packages=packages)
        with index.read() as connection:
            listed = jobs.listed(connection)
    finally:
        index.close()
    asked = Asked(
        entries=paces_of(waiting, listed),
        set_videos=[len(read_video_set(spec.videos, spec.labels).videos) for spec in loaded.sets.values()],
        shard_videos=shard_videos,
        budget_video_seconds=loaded.limits.mean_video_seconds,
        others=known_paces(listed),
    )
    found = plan_of(asked, table)
    if as_json:
        from harness.cli.documents.contest import ContestPlanDocument

        print_document(ContestPlanDocument(plan=found))
    else:
        _out.print(in_words(found), highlight=False)


def node(
    address: Annotated[
        str | None, typer.Argument(help="HOST:PORT of the cluster's head. Default: this node is the head.")
    ] = None,
    *,
    spare_cores: Annotated[
        int, typer.Option(min=0, help="Cores that are kept for the harness and the system.")
    ] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that packages may use.")] = 0,
    port: Annotated[int, typer.Option(help="The port of the head.")] = 6379,
    interface: Annotated[
        str, typer.Option(help="The address that the cluster's other nodes reach this one by.")
    ] = "127.0.0.1",
) -> None:
    """Make this machine a node of a Ray cluster, with the cores, memory and measured speed that it has."""
    from harness.core.engines.ray import speed_resources  # an extra

    cores = max(1, len(os.sched_getaffinity(0)) - spare_cores)
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    speed = measured_speed()
    command = [
        *("ray", "start", "--disable-usage-stats", "--node-ip-address", interface),
        *(("--address", address) if address else ("--head", "--port", str(port))),
        *(() if address else ("--include-dashboard", "false")),
        *("--num-cpus", str(cores), "--num-gpus", str(gpus), "--memory", str(int(memory_bytes * 0.9))),
        *("--resources", json.dumps(speed_resources(speed) if speed else {})),
    ]
    words = f"speed {speed:.2f}" if speed else "speed unknown: `harness calibrate` measures it"
    _out.print(f"{cores} cores, {gpus} GPUs, {words}", highlight=False)
    program = Path(sys.executable).with_name("ray")
    if not program.exists():
        raise ConfigError(
            "Ray is not installed", remedy="Install the extra: pip install 'blackbox-video-harness[cluster]'."
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.execv(str(program), command)  # noqa: S606  (it becomes Ray's own command, with arguments of ours)


def measured_speed() -> float:
    """Return this machine's speed against the reference, as `harness calibrate` measured it; 0: unknown."""
    own = kept(cache_folder(None))
    return _speed(own) if own is not None else 0.0


def in_words(found: CostPlan) -> str:
    """Say a plan in a few lines."""
    unknown = f" ({found.unknown} never ran: {STAND_IN[found.stand_in]})" if found.unknown else ""
    days = f" ({found.hours / 24:.3g} days)" if found.hours >= 24 else ""
    return (
        f"{found.entries} entries{unknown}, {found.shards} shards\n"
        f"{_hours(found.place_hours)} of a place; {_hours(found.machine_hours)} of machines,"
        f" {found.idle_share:.0%} of them idle at the end\n"
        f"done in {seconds_in_words(found.hours * 3600)}{days},"
        f" for {found.money:,.2f} {found.currency}"
    )


def _hours(hours: float) -> str:
    if hours < 1:
        return seconds_in_words(hours * 3600)
    return f"{hours:.4g} hours" if hours < 10_000 else f"{hours:,.0f} hours"


def _speed(own: Calibration) -> float:
    parts = ratios(own, kept_reference(cache_folder(None)))
    return sum(parts.values()) / len(parts)


def _this_machine(limits: Limits) -> NodeKind:
    from harness.cli.engines import room_for

    return NodeKind(name="this machine", count=1, places=room_for(limits, gpus=0))
