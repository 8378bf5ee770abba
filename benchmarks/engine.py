"""Entries under the consensus engine against CometBFT's own kvstore: four validators each, all on this machine.

Both networks run all the time, and the load goes to them by turns: the same engine, configuration, length of a
transaction, number of lanes. Ours goes through a node's door (gRPC over TLS) until the node answers that the entry is
accepted; the kvstore's through the engine's door until the application has committed its block.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.council import VALIDATORS, Council
from benchmarks.harness import Row
from benchmarks.load import Commits, EngineLane, LedgerDoors, Load, at_once, at_rate, next_batch, pair
from node.comet.rpc import EngineRpc

FOLLOWER = "PAR"
SIGNERS = 200
RATE = 100.0
ROUNDS = 3
RATE_SECONDS = 8.0
FULL_SECONDS = 10.0
AIM = 1.25

Pair = tuple[Load, Load]
"""Ours, and the kvstore's beside it."""


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, Council(Path(folder), (FOLLOWER,), SIGNERS) as council:
        council.start(*VALIDATORS)
        council.settle()
        kvstore = council.start_kvstore()
        steady, full = asyncio.run(_measure(council, kvstore))
        yield from _latency_rows(steady)
        yield from _saturation_rows(full, council)


async def _measure(council: Council, kvstore: dict[str, EngineRpc]) -> tuple[list[Pair], list[Pair]]:
    async with LedgerDoors(council, FOLLOWER) as ours, Commits(kvstore[VALIDATORS[0]]) as commits:
        network_id = council.status(VALIDATORS[0]).network_id
        length = len(next_batch(council.signers[0], network_id))
        council.signers[0].sequence -= 1
        engines = list(kvstore.values())
        theirs = [EngineLane(lambda: pair(length), engines[n % len(engines)], commits) for n in range(SIGNERS)]
        await at_rate(ours, RATE, 2.0), await at_rate(theirs, RATE, 2.0)
        steady = [
            (await at_rate(ours, RATE, RATE_SECONDS), await at_rate(theirs, RATE, RATE_SECONDS)) for _ in range(ROUNDS)
        ]
        full = [(await at_once(ours, FULL_SECONDS), await at_once(theirs, FULL_SECONDS)) for _ in range(2)]
    return steady, full


def _latency_rows(steady: Sequence[Pair]) -> Iterator[Row]:
    name = f"commit latency, {RATE:.0f} entries/s from {SIGNERS} signers"
    for what, read in (("median", lambda load: load.median), ("95 %", lambda load: load.most)):
        one = sorted(((read(ours) / read(theirs), read(ours), read(theirs)) for ours, theirs in steady))[ROUNDS // 2]
        yield Row(f"{name}: {what}", one[1] * 1000, one[2] * 1000, "ms", "CometBFT's kvstore", one[0], AIM)


def _saturation_rows(full: Sequence[Pair], council: Council) -> Iterator[Row]:
    ours, theirs = max(one.rate for one, _ in full), max(one.rate for _, one in full)
    name = f"saturation, {len(VALIDATORS)} validators"
    yield Row(name, ours, theirs, "entries/s", "CometBFT's kvstore", ours / theirs)


if __name__ == "__main__":
    for row in rows():
        print(row)
