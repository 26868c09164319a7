"""Which tests begin first: the long modules, dealt out to the processes, and the short ones behind them.

With `--dist worksteal` each process gets as many tests as the others, one after another as they were
collected, and one that has nothing left takes from the end of another's. So a module stays in one process,
with what its tests share, no long one is left for the end, and what is taken is short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")

# Seconds in CI, in round numbers, of modules that take 15 or more: see `--durations`. One that is missing is
# taken for a short one; nothing but the order depends on this.
LONG_MODULES = {
    "integration/test_hostile.py": 700,
    "integration/test_faults.py": 330,
    "integration/test_contest_kills.py": 190,
    "e2e/test_report_browser.py": 170,
    "unit/diagnose/test_audit.py": 150,
    "e2e/test_portal_browser.py": 130,
    "integration/test_contest_driver.py": 120,
    "integration/test_evaluate.py": 120,
    "integration/test_ray_engine.py": 110,
    "integration/test_tutorial.py": 100,
    "integration/test_hostile_teeth.py": 90,
    "unit/videos/perturb/test_perturb_kinds.py": 90,
    "contract/test_sandbox.py": 90,
    "unit/gateway/test_feed.py": 80,
    "integration/test_image_inside.py": 80,
    "unit/diagnose/test_audit_stats.py": 80,
    "integration/test_docker_sandbox.py": 70,
    "integration/test_check_inside.py": 70,
    "integration/test_contestants_loop.py": 70,
    "integration/test_hostile_cheats.py": 60,
    "unit/portal/test_handing_in.py": 60,
    "integration/test_wheels_pip.py": 50,
    "unit/contest/test_ledger_kills.py": 50,
    "unit/videos/test_prepare.py": 50,
    "unit/cli/test_start_commands.py": 50,
    "integration/test_gateway_docker.py": 45,
    "e2e/test_cli.py": 45,
    "integration/test_batch_contract.py": 40,
    "integration/test_docker_hardening.py": 40,
    "integration/test_contest_store.py": 30,
    "unit/cli/test_terminal.py": 30,
    "unit/gateway/test_batch.py": 30,
    "unit/submission/test_entry_training.py": 30,
    "torture/test_torture.py": 30,
    "integration/test_calibrate_docker.py": 30,
    "unit/submission/test_entry_predictor.py": 30,
    "integration/test_gpu_docker.py": 25,
    "integration/test_perturb_interruption.py": 25,
    "fuzz/test_fuzz.py": 20,
    "unit/sample_videos/test_sample_videos.py": 20,
    "integration/test_environment.py": 15,
    "integration/test_fair_clocks.py": 15,
    "integration/test_portal_client.py": 15,
    "unit/contest/test_regrade.py": 15,
}


def spread(
    items: Mapping[str, Sequence[Item]], *, seconds: Mapping[str, float], processes: int
) -> list[Item]:
    """Return all tests in the order in which to hand them out: a block of one length for each process.

    Args:
        items: The tests of each module, by its name.
        seconds: How long a long module takes. The longest goes first, to the process with the least so far.
        processes: How many take a block each.
    """
    total = sum(map(len, items.values()))
    blocks: list[list[Item]] = [[] for _ in range(processes)]
    given: dict[int, float] = defaultdict(float)
    for module in sorted(items.keys() & seconds.keys(), key=lambda name: (-seconds[name], name)):
        least = min(range(processes), key=lambda number: given[number])
        blocks[least] += items[module]
        given[least] += seconds[module]
    short = [item for module, found in items.items() if module not in seconds for item in found]
    for block in blocks:
        room = len(short) if block is blocks[-1] else max(0, total // processes - len(block))
        block.extend(short[:room])
        del short[:room]
    return [item for block in blocks for item in block]
