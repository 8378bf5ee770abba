"""Four validators and three followers as processes, through every fault of a seeded plan (`python -m tests.faults`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from faults.checks import check_anchored, check_history
from faults.plan import Fault, Step, steps
from faults.world import World
from support.engines import built_engine

pytestmark = pytest.mark.xdist_group("network")
SEED = 2026
STEP_SECONDS = 2.0
COUNCIL, MISSIONS = ("A", "B", "C", "D"), ("E", "F", "G")


def draw(seed: int, count: int) -> list[Step]:
    return list(islice(steps(seed, COUNCIL, MISSIONS, STEP_SECONDS), count))


def test_a_seed_has_one_plan_which_does_everything_in_each_round() -> None:
    plan = draw(SEED, 3 * len(Fault))
    assert plan == draw(SEED, 3 * len(Fault)) != draw(SEED + 1, 3 * len(Fault))
    for at in range(0, len(plan), len(Fault)):
        assert {step.fault for step in plan[at : at + len(Fault)]} == set(Fault)
    assert all(STEP_SECONDS <= step.seconds <= 3 * STEP_SECONDS and step.posts for step in plan)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built_engine()
    made = World(tmp_path_factory.mktemp("faults"), len(COUNCIL + MISSIONS), len(COUNCIL), SEED)
    try:
        made.mend()
        yield made
    finally:
        made.close()


def test_after_each_fault_there_is_one_history_and_nothing_is_lost(world: World) -> None:
    for step in islice(steps(SEED, world.validators, world.followers, STEP_SECONDS), len(Fault)):
        try:
            world.suffer(step)
            check_history(world)
        except Exception as problem:
            problem.add_note(f"after {step}; again: python -m tests.faults --seed {SEED} --seconds {STEP_SECONDS}")
            raise
    assert world.sent
    check_anchored(world)
