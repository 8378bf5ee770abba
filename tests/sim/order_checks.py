"""What must hold of the ledger's order in the end, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ledger.block import ACCEPTED, decode_record, is_record
from node.engine import address_of, engine_keys
from sim.order import IdealOrder
from sim.world import World

OFFENCES = {1: "duplicate-vote", 2: "light-client-attack"}


def engine_problems(world: World) -> Iterator[str]:
    """The roots have done their work, and every engine that is needed has all blocks."""
    if not world.roots.is_done:
        yield "a governance entry waits"
    order = world.order
    if order is None:
        return
    engines = order.engines()
    for code in sorted(world.owner_of[key] for key in order.keys):
        if code not in engines:
            yield f"{code} is a validator without an engine"
        elif engines[code].height != order.height or engines[code].mempool:
            yield f"{code} is at height {engines[code].height} of {order.height}, {len(engines[code].mempool)} wait"


def log_problems(world: World) -> Iterator[str]:
    """The log is what was ordered, and what anybody was told about it is true."""
    for code in sorted(set(world.posts()) - world.dead):
        disk = world.disks[code]
        lost = [one.hex()[:8] for one in world.acknowledged if disk.index_of(one) is None]
        if lost:
            yield f"acknowledged entries are not at {code}: {lost}"
    yield from _skipped(world)
    if world.order is not None:
        yield from _engine(world, world.order)


def _skipped(world: World) -> Iterator[str]:
    """Those that were validators all the time have signed every block end, in rising order."""
    for code in sorted(world.steady):
        sizes = [size for size, _ in world.signed[code]]
        missing = {block.size for block in world.disks[code].blocks} - set(sizes)
        if missing or any(one > other for one, other in pairwise(sizes)):
            yield f"{code} has not signed {sorted(missing)}"


def _engine(world: World, order: IdealOrder) -> Iterator[str]:
    node = world.newest()
    if node is None:
        return
    keys = engine_keys(node.chain.machine.state)
    if set(keys) != order.keys or any(world.owner_of[key] != code for key, code in keys.items()):
        yield f"the engine's validators are {sorted(map(bytes.hex, order.keys))}, the ledger's {keys.values()}"
    if world.order and order.results and order.results[-1].app_hash != node.chain.machine.root:
        yield "the engine's app hash is not the root of the log"
    stored = list(node.disk.leaves(order.start.size, node.disk.size))
    decided = [
        tx
        for block, result in zip(order.blocks, order.results, strict=True)
        for tx, one in zip(block.txs, result.results, strict=True)
        if one.code == ACCEPTED
    ]
    if [leaf for leaf in stored if not is_record(leaf)] != decided:
        yield "the log does not hold the decided entries in their order"
    if sum(len(block.txs) for block in order.blocks) != len(decided):
        yield "a refused entry was decided"
    owners = {address_of(key): code for key, code in world.owner_of.items()}
    offences = [
        (owners[one.address], OFFENCES[one.kind])
        for block in order.blocks
        for one in block.offences
        if one.address in owners and one.kind in OFFENCES
    ]
    named = [
        (one.validator, one.offence) for leaf in stored if is_record(leaf) for one in decode_record(leaf).misbehaviour
    ]
    if named != offences:
        yield f"misbehaviour on the log: {named}, in blocks: {offences}"
