"""The officers of a simulated network at their terminals: what they release, and what they take out of the inbox."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from ledger.state import State
from node.courier import ItemKind
from protos.errors import DutabartaError
from sim.desk import Deposit, SentCable, Terminal, parcel_of
from sim.disk import StoredItem

if TYPE_CHECKING:
    from sim.post import SimPost
    from sim.world import World


class Officers:
    """One at each post of the founding. A drawer holds what a post's node has not taken yet."""

    def __init__(self, world: World) -> None:
        self.world, self.random = world, world.random
        forgets = Random(f"{world.plan.seed} forgets").choice(sorted(world.base.desks))
        self.terminals = {
            code: Terminal(code, world.base, world.random, world.verifier, code == forgets) for code in world.base.desks
        }
        self.drawers: dict[str, list[Deposit]] = {code: [] for code in self.terminals}

    def cables(self) -> list[SentCable]:
        """Every cable released anywhere."""
        return [cable for terminal in self.terminals.values() for cable in terminal.sent.values()]

    def work(self, node: SimPost) -> None:
        """Look into the inbox, and hand in what the node has not taken yet."""
        if node.code not in self.terminals:
            return
        checkpoint = node.chain.checkpoint(node.follower.final)
        terminal, drawer = self.terminals[node.code], self.drawers[node.code]
        drawer += terminal.look(node.disk, KnownStates(node), checkpoint.size, checkpoint.root)
        while drawer:
            node.enter(drawer[0].items, drawer[0].body, drawer[0].anchored)
            drawer.pop(0)

    def release(self) -> None:
        """Some officer sends a cable, as soon as his terminal can see everybody's prekeys."""
        desks = list(self.terminals)
        code = self.random.choice(desks)
        node = self.world.nodes[code]
        if node is None or node.follower.final < self.world.base.size:
            self.world.time.after(3, self.release)
            return
        others = [one for one in desks if one != code]
        addressees = sorted(self.random.sample(others, self.random.choice((1, 1, 2, 3, min(20, len(others))))))
        size, text = node.follower.final, "x" * self.random.choice((10, 1000, 30_000))
        state = node.chain.machine.state_at(size)
        deposit = self.terminals[code].release(state, size, addressees, self.random.randint(1, 4), text)
        self.drawers[code].append(deposit)

    def proved(self, code: str, item_hash: bytes, proof: bytes) -> None:
        """The originating node sends a cable's proof to every addressee's node."""
        sent = self.terminals[code].sent.values() if code in self.terminals else ()
        cable = next((one for one in sent if one.item_hash == item_hash), None)
        if cable is None:
            return
        parcels = [parcel_of(ItemKind.PROOF, proof, code, one, 1, 0) for one in cable.addressees]
        items = [StoredItem(parcel, proof, cable.envelope_id, "queued") for parcel in parcels]
        self.drawers[code].append(Deposit(tuple(items), b"", None))


class KnownStates:
    """The states that a node can show for an envelope's S."""

    def __init__(self, node: SimPost) -> None:
        self._node = node

    def __contains__(self, size: int) -> bool:
        return size <= self._node.follower.final

    def __getitem__(self, size: int) -> State:
        try:
            return self._node.chain.machine.state_at(size)
        except DutabartaError:
            return self._node.chain.machine.state
