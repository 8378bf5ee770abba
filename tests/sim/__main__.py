"""python -m tests.sim --seed N --posts M: one simulated network, and what became of it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sim.checks import settle
from sim.plan import Mode, Plan
from sim.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--posts", type=int, default=9)
    parser.add_argument("--mode", type=Mode, choices=list(Mode), help="who orders; by default as the seed has it")
    parser.add_argument("--days", type=int, default=0, help="days of outages instead of minutes of chaos")
    asked = parser.parse_args()
    by_days = asked.days and Plan.of_days(asked.seed, asked.posts, asked.days)
    world = World(by_days or Plan.of(asked.seed, asked.posts, asked.mode))
    print(world.plan)
    started = time.monotonic()
    try:
        settle(world)
    finally:
        print(
            f"{time.monotonic() - started:.1f} s, {world.time.now:.0f} simulated; {world.crashes} crashes, "
            f"{len(world.officers.cables())} cables, {world.network.sent} messages, {world.network.lost} lost, "
            f"a log of {world.disks[world.headquarters].size} leaves"
        )
    print("settled: equal roots, every cable at every addressee, every proof verifies")


if __name__ == "__main__":
    main()
