"""Whole networks from one seed each: HQ and up to 81 missions, losses, partitions and crashes."""

from __future__ import annotations

import os

import pytest

from sim.checks import settle
from sim.plan import Plan
from sim.world import World

SEEDS = int(os.environ.get("DUTABARTA_SIM_SEEDS", "50"))


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_small_network_comes_to_rest_with_nothing_lost(seed: int) -> None:
    _run(seed, 7 + seed % 6)


@pytest.mark.parametrize("seed", [1001, 1002])
def test_the_whole_ministry_comes_to_rest_with_nothing_lost(seed: int) -> None:
    _run(seed, 82)


def _run(seed: int, posts: int) -> None:
    world = World(Plan.of(seed, posts))
    try:
        settle(world)
    except Exception as problem:
        problem.add_note(f"again: {world.plan.again}")
        raise
