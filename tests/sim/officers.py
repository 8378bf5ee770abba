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
        self.patience = float("inf")
        """Seconds after which an addressee without DELIVERED is put on the cable's exception list."""
        self.released_at: dict[bytes, float] = {}
        self.exceptions: set[tuple[bytes, str]] = set()

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
        self._give_up(terminal)
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
        self._send(node, sorted(self.random.sample(others, self.random.choice((1, 1, 2, 3, min(20, len(others)))))))

    def send_circular(self) -> None:
        """HQ writes to all."""
        node = self.world.nodes[self.world.headquarters]
        if node is None or node.follower.final < self.world.base.size:
            self.world.time.after(60, self.send_circular)
            return
        self._send(node, sorted(one for one in self.terminals if one != node.code))

    def _send(self, node: SimPost, addressees: list[str]) -> None:
        code = node.code
        size, text = node.follower.final, "x" * self.random.choice((10, 1000, 30_000))
        state = node.chain.machine.state_at(size)
        deposit = self.terminals[code].release(state, size, addressees, self.random.randint(1, 4), text)
        self.drawers[code].append(deposit)
        self.released_at[deposit.items[0].envelope_id] = self.world.time.now

    def _give_up(self, terminal: Terminal) -> None:
        """What nobody has receipted for so long stands on the exception list, where an officer sees it."""
        now = self.world.time.now
        for cable in terminal.sent.values():
            if now - self.released_at[cable.envelope_id] > self.patience:
                missing = set(cable.addressees) - terminal.receipts.get(cable.envelope_id, set())
                self.exceptions.update((cable.envelope_id, one) for one in missing)

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
