"""A node's chain in memory, for tests of the state machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.machine import Machine
from ledger.merkle import leaf_hash
from node.actions import Append
from node.chain import Chain
from node.modules import MODULES
from support.network import TestNetwork


@dataclass
class MemoryLog:
    """A stored log."""

    stored: list[bytes] = field(default_factory=list)

    def leaves(self, start: int, end: int) -> Iterable[bytes]:
        return self.stored[start:end]

    def index_of(self, entry_hash: bytes) -> int | None:
        return next((at for at, leaf in enumerate(self.stored) if leaf_hash(leaf) == entry_hash), None)


def chain_of(network: TestNetwork) -> Chain:
    """A chain that has just been founded."""
    machine = network.machine(MODULES)
    return Chain(machine, MemoryLog(list(network.leaves)))


def log_of(chain: Chain) -> MemoryLog:
    """Its store."""
    if not isinstance(chain.log, MemoryLog):
        raise TypeError("the chain is not in memory")
    return chain.log


def grow(network: TestNetwork, chain: Chain, time: int = 0, code: str = "") -> Append:
    """Append a block with one batch to the chain, as if it had been stored; `time` in seconds after founding."""
    return append(network, chain, network.batch(chain.machine, code or network.headquarters.code), time)


def append(network: TestNetwork, chain: Chain, leaf: bytes, time: int = 0) -> Append:
    """The same with any entry."""
    machine: Machine = chain.machine.fork()
    start, founded = machine.size, machine.genesis.founded_at
    result = network.run(machine, leaf, time=founded + time if time else None)
    log_of(chain).stored.extend(result.leaves)
    chain.machine = machine
    return Append(start, result.leaves, result.size, result.root, machine.time)
