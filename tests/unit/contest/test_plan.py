"""What a contest will cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contest.plan import VIDEO_SECONDS, Asked, NodeKind, Pace, PriceTable, load_prices, plan, tasks_of
from harness.core.errors import ConfigError

PACE = Pace(video_seconds=1.0 - VIDEO_SECONDS, startup_seconds=10.0, overhead_seconds=0.0)


def prices(count: int = 2, *, places: int = 1, speed: float = 1.0) -> PriceTable:
    return PriceTable(
        nodes=(NodeKind(name="n", count=count, places=places, speed=speed, price_per_hour=2.0),)
    )


def asked(entries: int, *, unknown: int = 0, videos: int = 350, shard: int | None = None) -> Asked:
    known: dict[str, Pace | None] = {f"e{number}": PACE for number in range(entries)}
    return Asked(
        entries=known | {f"u{number}": None for number in range(unknown)},
        set_videos=[videos, videos],
        shard_videos=shard,
        budget_video_seconds=8.1,
    )


def test_hours_and_money_of_a_contest_that_fits_its_nodes_exactly() -> None:
    found = plan(asked(5), prices(2))
    assert found.place_hours == pytest.approx(1.0)
    assert (found.hours, found.machine_hours, found.money) == pytest.approx((0.5, 1.0, 2.0))
    assert found.idle_share == pytest.approx(0.0)


def test_each_shard_pays_for_a_start_up_of_its_own() -> None:
    assert tasks_of(asked(1, shard=100)) == pytest.approx([97.0, 98.0, 97.0, 98.0] * 2)


def test_nodes_twice_as_fast_take_half_the_time() -> None:
    assert plan(asked(8), prices(speed=2.0)).hours == pytest.approx(plan(asked(8), prices()).hours / 2)


def test_an_unknown_entry_counts_as_the_median_and_without_any_as_the_budget() -> None:
    assert plan(asked(4, unknown=1), prices(1)).place_hours == pytest.approx(1.0)
    alone = plan(asked(0, unknown=1), prices(1))
    assert (alone.unknown, alone.stand_in) == (1, "budget")
    assert alone.place_hours == pytest.approx((2 * 350 * (8.1 + VIDEO_SECONDS) + 2 * 1.0) / 3600)


@given(entries=st.integers(1, 60), nodes=st.integers(1, 30), shard=st.one_of(st.none(), st.integers(1, 400)))
def test_no_layout_is_faster_than_all_places_at_once_or_its_longest_shard(
    entries: int, nodes: int, shard: int | None
) -> None:
    wanted = asked(entries, shard=shard)
    found = plan(wanted, prices(nodes))
    longest = max(tasks_of(wanted)) / 3600
    assert found.hours >= max(found.place_hours / nodes, longest) - 1e-9
    assert found.hours <= found.place_hours / nodes + longest + 1e-9
    assert 0 <= found.idle_share < 1 or found.hours == 0


def test_a_price_table_is_read_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    place = tmp_path / "prices.toml"
    place.write_text(
        'currency = "EUR"\n[[nodes]]\nname = "g5"\ncount = 10\nplaces = 4\nprice_per_hour = 1.2\n'
    )
    assert load_prices(place).nodes[0].places == 4
    place.write_text('[[nodes]]\nname = "g5"\ncount = 0\nplaces = 4\nprice = 1\n')
    with pytest.raises(ConfigError) as wrong:
        load_prices(place)
    assert "nodes.0.count" in str(wrong.value)
    assert "nodes.0.price" in str(wrong.value)
    assert "at least 1 item" not in str(wrong.value)  # there is a node, and what is wrong with it is said
    with pytest.raises(ConfigError, match="cannot be read"):
        load_prices(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("price_per_hour = -3", "nodes.0.price_per_hour"),
        ("price_per_hour = inf", "nodes.0.price_per_hour"),
        ('price_per_hour = "1.20 EUR"', "nodes.0.price_per_hour"),
        ("speed = nan", "nodes.0.speed"),
        ('currency = "USD"', "nodes.0.currency: unknown key"),
    ],
)
def test_a_price_that_cannot_be_meant_is_named_by_its_key(tmp_path: Path, line: str, wrong: str) -> None:
    place = tmp_path / "prices.toml"
    place.write_text(f'[[nodes]]\nname = "g5"\ncount = 1\nplaces = 4\n{line}\n')
    with pytest.raises(ConfigError, match="one currency") as error:
        load_prices(place)
    assert wrong in str(error.value)


def test_more_places_than_shards_cost_no_time_to_lay_out_and_their_idleness_counts() -> None:
    found = plan(asked(5), prices(1_000_000, places=10_000))
    assert found.hours == pytest.approx(0.1)
    assert found.machine_hours == pytest.approx(100_000)
    assert found.idle_share == pytest.approx(1.0, abs=1e-6)
