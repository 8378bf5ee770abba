"""Earlier states of the own ledger: those that the machine keeps, and older ones by re-executing the stored log."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from keys.signing import VerifiedBefore
from ledger.block import is_record
from ledger.machine import Machine, Settled
from node.chain import Chain
from node.modules import MODULES
from protos.errors import Refused, Unavailable

PATIENCE_SECONDS = 20.0
"""How long one question waits: shorter than a client does, so that it gets a named answer. The work goes on."""
KEPT_STATES = 8
IDLE_SECONDS = 600.0
"""When the machine that was re-executed is given up: it takes as much memory as the node's own."""
_PIECE = 1024


class PastStates:
    """Answers one re-execution at a time, in a thread; who asks for what is under way waits for it.

    Whoever asks for rising sizes, as a terminal does that reads its cables in order, has the log re-executed once.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._machine: Machine | None = None
        self._kept: OrderedDict[tuple[int, bytes], Settled] = OrderedDict()
        self._work: asyncio.Task[None] | None = None
        self._end: asyncio.TimerHandle | None = None

    async def at(self, size: int) -> Settled:
        """What the block that ends at `size` settled.

        Raises `Refused("no-such-size")` if none does, `Unavailable("state-under-way")` if it takes long.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (found := self._find(size)) is None:
                    if self._work is None or self._work.done():
                        self._work = asyncio.create_task(self._make(size))
                    await asyncio.shield(self._work)
        except TimeoutError as problem:
            text = f"the state after {size} leaves is being made again from the log"
            raise Unavailable("state-under-way", text, hint="try again in a minute", size=size) from problem
        return found

    def check(self, size: int) -> None:
        """Raise `Refused("no-such-size")` unless a block of the own log ends at `size`."""
        if not self._chain.is_block_end(size):
            raise Refused(
                "no-such-size", f"no block of the ledger ends at {size}", hint="ask for the end of a block", size=size
            )

    def _find(self, size: int) -> Settled | None:
        self.check(size)
        try:
            return self._chain.machine.settled_at(size)
        except Unavailable:
            return self._kept.get((size, self._chain.machine.tree.root(size)))

    async def _make(self, size: int) -> None:
        """Re-execute the log up to `size`. Its root stays with the result: a log that was truncated has another."""
        machine = self._machine_for(size)
        at, rest = machine.size, list[bytes]()
        while at < size:
            end = min(size, at + _PIECE)
            rest += self._chain.log.leaves(at, end)
            rest = await asyncio.to_thread(_replay, machine, rest)
            at = end
        self._kept[size, machine.tree.root(size)] = machine.settled_at(size)
        if len(self._kept) > KEPT_STATES:
            self._kept.popitem(last=False)
        self._keep(machine)

    def _machine_for(self, size: int) -> Machine:
        """The last machine used if it has not gone too far on this log, else a new one."""
        machine, own, self._machine = self._machine, self._chain.machine, None
        if machine is not None and _is_part(machine, own) and (machine.size < size or _keeps(machine, size)):
            return machine
        founding = tuple(self._chain.log.leaves(0, own.genesis.post_count + 2))
        return Machine.found(founding, MODULES, VerifiedBefore())

    def _keep(self, machine: Machine) -> None:
        self._machine = machine
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._machine = None


def _is_part(machine: Machine, whole: Machine) -> bool:
    """Whether the log of `machine` is the beginning of that of `whole`."""
    return machine.size <= whole.size and whole.tree.root(machine.size) == machine.root


def _keeps(machine: Machine, size: int) -> bool:
    try:
        machine.settled_at(size)
    except Unavailable:
        return False
    return True


def _replay(machine: Machine, leaves: list[bytes]) -> list[bytes]:
    """Apply every whole block of `leaves`; what is left belongs to the next one."""
    start = 0
    for end, leaf in enumerate(leaves, 1):
        if is_record(leaf):
            machine.replay_block(leaves[start:end])
            start = end
    return leaves[start:]
