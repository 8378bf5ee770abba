"""Whole networks from one seed each: HQ and up to 81 missions, losses, partitions and crashes."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from sim.checks import settle
from sim.plan import Plan
from sim.world import World

SEEDS = int(os.environ.get("DUTABARTA_SIM_SEEDS", "50"))
DAYS = int(os.environ.get("DUTABARTA_SIM_DAYS", "1"))


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_small_network_comes_to_rest_with_nothing_lost(seed: int) -> None:
    _run(Plan.of(seed, 7 + seed % 6))


@pytest.mark.parametrize("seed", [1001, 1002])
def test_the_whole_ministry_comes_to_rest_with_nothing_lost(seed: int) -> None:
    _run(Plan.of(seed, 82))


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.6])
def test_links_that_lose_most_of_what_is_sent_lose_no_cable(loss: float) -> None:
    plan = Plan.of(7, 8)
    _run(replace(plan, weather=replace(plan.weather, loss=loss)))


def test_days_of_the_whole_ministry_lose_nothing() -> None:
    """Posts are away for hours and days, two are lost for ever: what was for them stands on the exception list."""
    _run(Plan.of_days(30, 82, DAYS))


def _run(plan: Plan) -> None:
    world = World(plan)
    try:
        settle(world)
    except Exception as problem:
        problem.add_note(f"again: {world.plan.again}")
        raise
