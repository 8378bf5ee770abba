"""python -m tests.faults --seed N --minutes M: a network of real processes under one fault after another."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.checks import Appetite, check_anchored, check_history
from faults.plan import Fault, steps
from faults.world import World

MEMORY_GROWTH = 1.5
"""No process may end with so much more resident memory than after the first round of all faults."""
DISK_BYTES_PER_CABLE = 400 * 1024
"""What a cable may cost on all disks until it is pruned: 250 KiB at seven posts, mostly item proofs of 15 kB, which
nodes and terminals of both ends keep, and what two posts' ledger, engines and journals hold of it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--posts", type=int, default=7)
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0, help="of the shortest step")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        world = World(Path(folder), asked.posts, asked.validators, asked.seed)
        try:
            soak(world, asked.seed, asked.minutes * 60, asked.seconds)
        finally:
            world.close()


def soak(world: World, seed: int, seconds: float, least: float) -> None:
    """Faults until the time is over, at least each once; then all checks. Prints what it does."""
    began, done = time.monotonic(), 0
    plan = steps(seed, world.validators, world.followers, least)
    first: Appetite | None = None
    while first is None or time.monotonic() - began < seconds:
        for step in islice(plan, len(Fault)):
            _say(began, str(step))
            world.suffer(step)
            done += 1
        check_history(world)
        newest = Appetite.of(world)
        first = first or newest
        print(
            f"{time.monotonic() - began:7.0f} s  whole after {done} faults, {len(world.sent)} cables: {newest}",
            flush=True,
        )
    check_anchored(world)
    _check_bounded(first, newest)
    print(f"one history, nothing lost: {done} faults, {len(world.sent)} cables in {time.monotonic() - began:.0f} s")


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:7.0f} s  {text}", flush=True)


def _check_bounded(first: Appetite, last: Appetite) -> None:
    assert last.node_bytes <= first.node_bytes * MEMORY_GROWTH, (first, last)
    assert last.engine_bytes <= first.engine_bytes * MEMORY_GROWTH, (first, last)
    grown, cables = last.disk_bytes - first.disk_bytes, last.cables - first.cables
    assert grown <= cables * DISK_BYTES_PER_CABLE, (first, last)


if __name__ == "__main__":
    main()
