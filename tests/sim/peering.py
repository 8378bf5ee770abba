"""What the nodes of a simulated network say to each other about the ledger: streams, cosignatures, entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger.checkpoint import parse_checkpoint
from ledger.note import SignedNote
from node.sequence import EntryOutcome, is_credible

if TYPE_CHECKING:
    from sim.post import SimPost
    from sim.world import World

BLOCKS_PER_ANSWER = 32


class Peering:
    """One node's part of it; messages are taken by `on_<kind>`."""

    def __init__(self, world: World, post: SimPost) -> None:
        self.world, self.post = world, post
        self._known = 0
        self._early: dict[str, tuple[int, bytes, bytes]] = {}

    def greet(self, peer: str) -> None:
        """Open a stream: both sides' newest checkpoints and clocks."""
        self.world.send(self.post.code, peer, ("hello", self._newest_notes(), self.world.clock(), True))

    def _newest_notes(self) -> tuple[bytes, ...]:
        return tuple(note for _, note in (self.post.disk.final, self.post.disk.policy) if note)

    def broadcast(self, message: tuple[Any, ...]) -> None:
        """The streams of HQ and the validators."""
        if self.post.council.is_validator or self.post.is_headquarters:
            for code in self.world.posts():
                if code != self.post.code:
                    self.world.send(self.post.code, code, message)

    def appended(self) -> None:
        """A block is durable: take the cosignatures that came before it."""
        for peer, line in list(self._early.items()):
            if line[0] <= self.post.chain.size:
                del self._early[peer]
                self.on_cosignature(peer, *line)

    # --- messages ----------------------------------------------------------------------------------------------

    def on_hello(self, peer: str, notes: Sequence[bytes], clock: int, asks: bool) -> None:
        now = self.world.clock()
        self.post.run(self.post.witness.peer_clock(peer, clock, now))
        if asks:
            self.world.send(self.post.code, peer, ("hello", self._newest_notes(), now, False))
        for note in notes:
            self.post.run(self.post.follower.note_received(peer, note, now))

    def on_block(self, peer: str, start: int, leaves: tuple[bytes, ...]) -> None:
        if self.post.engine is None:
            self.post.run(self.post.follower.block_received(peer, start, leaves, self.world.clock()))

    def on_note(self, peer: str, note: bytes) -> None:
        self.post.run(self.post.follower.note_received(peer, note, self.world.clock()))

    def on_get_blocks(self, peer: str, start: int, end: int) -> None:
        wanted = [block for block in self.post.disk.blocks if start <= block.start < end]
        for block in wanted[:BLOCKS_PER_ANSWER]:
            self.world.send(self.post.code, peer, ("block", block.start, block.leaves))

    def on_cosignature(self, peer: str, size: int, root: bytes, line: bytes) -> None:
        if self.post.engine is not None and size > self.post.chain.size:
            self._early[peer] = size, root, line  # until the own engine has decided it
            return
        self.post.run(self.post.collector.line_received(peer, size, root, line))
        self.world.send(self.post.code, peer, ("cosignature taken", size))

    def on_cosignature_taken(self, peer: str, size: int) -> None:
        self.post.witness.delivered(peer, size)

    def on_get_own_newest(self, peer: str) -> None:
        line = self.post.disk.lines.get(peer)
        newest = (line.size, line.root) if line else (0, b"")
        for note in self._newest_notes():
            signed = SignedNote.decode(note)
            checkpoint = parse_checkpoint(signed.text)
            if any(one.name.endswith("/" + peer) for one in signed.signatures):
                newest = max(newest, (checkpoint.size, checkpoint.root))
        self.world.send(self.post.code, peer, ("own newest", *newest))

    def on_own_newest(self, peer: str, size: int, root: bytes) -> None:
        self.post.run(self.post.witness.own_newest(peer, size, root))

    def on_entry(self, peer: str, leaf: bytes) -> None:
        outcome = self.post.order(leaf)
        if outcome is not None:
            self.world.send(self.post.code, peer, ("entry answer", leaf, outcome, self.post.chain.size))

    def on_entry_answer(self, _peer: str, leaf: bytes, outcome: EntryOutcome, size: int) -> None:
        if outcome.index is not None:
            self._known = max(self._known, outcome.index + 1)
        if is_credible(outcome.code, size, max(self._known, self.post.chain.size)):
            self.post.run(self.post.slots.answered(leaf, outcome.code, outcome.text))
