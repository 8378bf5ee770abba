"""A simulated node: the real state machines of node/, over a Disk and the simulated network.

Actions are carried out by `do_<Action>`, messages by `on_<kind>`; those of the courier are in carrier.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger.checkpoint import parse_checkpoint
from ledger.machine import Machine
from ledger.merkle import leaf_hash
from ledger.note import SignedNote
from node import actions as act
from node.anchor import Slots
from node.broadcast import Broadcaster
from node.chain import Chain
from node.collect import Collector
from node.follow import Follower
from node.modules import MODULES
from node.sequence import ACCEPTED, EntryOutcome, Solo, is_credible
from node.splitview import SplitViews
from node.witness import Witness
from sim.carrier import Carrier
from sim.council import Council
from sim.disk import Disk, StoredItem
from sim.engine import SimEngine
from support.network import PostKeys

if TYPE_CHECKING:
    from sim.world import World

BLOCKS_PER_ANSWER = 32


class SimPost:
    """One node between two crashes. Everything but `disk` is lost in a crash."""

    def __init__(self, world: World, keys: PostKeys, disk: Disk) -> None:
        self.world, self.keys, self.disk, self.code = world, keys, disk, keys.code
        self.is_headquarters = keys.code == world.headquarters
        self.chain = Chain(self._machine(), disk)
        views = SplitViews(disk.accused)
        final = disk.final[0] or len(disk.founding)
        self.follower = Follower(self.chain, views, final, disk.policy[0])
        self.witness = Witness(
            self.chain,
            self.code,
            keys.cosigner,
            state=disk.sign_state,
            stopped=disk.stopped,
        )
        self.collector = Collector(self.chain, views, disk.policy[0])
        self.council = Council(world, self)
        self.council.follow_network()
        self._known = 0
        self._early: dict[str, tuple[int, bytes, bytes]] = {}
        self.slots = Slots(
            self.chain,
            self.code,
            keys.entry,
            world.random.randbytes,
            index_of=disk.index_of,
            waiting=tuple(disk.waiting.values()),
            batches=disk.open_batches(),
        )
        self.carrier = Carrier(world, self.code, disk, self.chain, self.run, lambda: self.follower.final)

    @property
    def engine(self) -> SimEngine | None:
        """The consensus engine, while it runs."""
        return self.council.engine

    def start(self) -> None:
        """What a node does first."""
        for line in list(self.disk.lines.values()):
            self.run(self.collector.line_received(line.post, line.size, line.root, line.line))
        if self.disk.policy[1]:
            self.run(self.slots.policy_note(*self.disk.policy))
        self.run(self.witness.start(self.world.clock()))

    def tick(self) -> None:
        """About once a second."""
        now = self.world.clock()
        self.run(self.follower.tick(now))
        self.council.tick()
        self.run(self.witness.advance(self.follower.final, now))
        self.run(self.slots.tick(now))
        self.run(self.carrier.sender.tick(self.world.monotonic(), self.chain.time_at(self.follower.final)))

    def greet(self, peer: str) -> None:
        """Open a stream: both sides' newest checkpoints and clocks."""
        self.world.send(self.code, peer, ("hello", self._newest_notes(), self.world.clock(), True))

    # --- actions -----------------------------------------------------------------------------------------

    def run(self, actions: Sequence[act.Action]) -> None:
        """Carry out actions in order; what they lead to comes before the next one."""
        for action in actions:
            self.world.before(self, action)
            name = f"do_{type(action).__name__}"
            getattr(self if hasattr(self, name) else self.carrier, name)(action)

    def do_Append(self, block: act.Append) -> None:
        self.disk.append(block)
        if isinstance(self.council.sequencer, Solo):
            self.council.sequencer.committed()
        self.appended(block)

    def appended(self, block: act.Append) -> None:
        """What follows from a durable block, whoever made it."""
        now = self.world.clock()
        self.run(self.follower.appended(now))
        self.run(self.slots.appended(block.start, block.leaves))
        if isinstance(self.council.sequencer, Broadcaster):
            self.council.sequencer.appended(block.leaves)
        self.council.follow_network()
        self.run(self.witness.advance(self.follower.final, now))
        self._broadcast(("block", block.start, block.leaves))
        for peer, line in list(self._early.items()):
            if line[0] <= self.chain.size:
                del self._early[peer]
                self.on_cosignature(peer, *line)

    def do_Final(self, final: act.Final) -> None:
        self.disk.final = final.size, final.note
        self.run(self.witness.advance(final.size, self.world.clock()))
        self._broadcast(("note", final.note))

    def do_PolicyNote(self, policy: act.PolicyNote) -> None:
        if policy.size <= self.disk.policy[0]:
            return
        self.disk.policy = policy.size, policy.note
        self.disk.lines = {code: line for code, line in self.disk.lines.items() if line.size > policy.size}
        self.run(self.follower.note_received(self.code, policy.note, self.world.clock()))
        self.run(self.slots.policy_note(policy.size, policy.note))
        self._broadcast(("note", policy.note))

    def do_Truncate(self, truncate: act.Truncate) -> None:
        self.disk.truncate(truncate.size)
        self.follower.truncated(self._machine())
        self.slots.truncated(truncate.size)

    def do_FetchBlocks(self, fetch: act.FetchBlocks) -> None:
        if self.engine is None:  # the engine's blocks are not fetched
            self.world.send(self.code, fetch.peer, ("get blocks", fetch.start, fetch.end))

    def do_DropPeer(self, drop: act.DropPeer) -> None:
        self.disk.alarms.append(("dropped-peer", drop.peer, drop.code))

    def do_Alarm(self, alarm: act.Alarm) -> None:
        self.disk.alarms.append((alarm.code, alarm.subject, alarm.text))

    def do_KeepEvidence(self, evidence: act.KeepEvidence) -> None:
        self.disk.accused.add(evidence.signer)

    def do_StopSigning(self, stop: act.StopSigning) -> None:
        self.disk.stopped = stop.reason
        self.witness.stop(stop.reason)

    def do_SaveSignState(self, state: act.SaveSignState) -> None:
        self.disk.sign_state = state

    def do_OwnNote(self, own: act.OwnNote) -> None:
        self.run(self.collector.own_note(own.note))
        self.run(self.follower.note_received(self.code, own.note, self.world.clock()))

    def do_SendCosignature(self, line: act.SendCosignature) -> None:
        self.world.send(self.code, line.post, ("cosignature", line.size, line.root, line.line))

    def do_SaveCosignature(self, line: act.SaveCosignature) -> None:
        self.disk.lines[line.post] = line

    def do_AskOwnNewest(self, ask: act.AskOwnNewest) -> None:
        self.world.send(self.code, ask.post, ("get own newest",))

    def do_SaveBatch(self, batch: act.SaveBatch) -> None:
        self.disk.save_batch(batch)

    def do_SubmitEntry(self, entry: act.SubmitEntry) -> None:
        outcome = self.order(entry.leaf)
        if outcome is not None:
            self._answered(entry.leaf, outcome.code)
        else:
            validators = self.chain.machine.state.network().validators
            self.world.send(self.code, self.world.random.choice(validators), ("entry", entry.leaf))

    def do_CatchUp(self, need: act.CatchUp) -> None:
        self.greet(need.peer)

    def do_BatchSettled(self, settled: act.BatchSettled) -> None:
        self.disk.batches[settled.sequence] = self.disk.batches[settled.sequence][0], settled.index

    def do_SaveProofs(self, proofs: act.SaveProofs) -> None:
        self.disk.proofs.update(proofs.proofs)
        del self.disk.batches[proofs.sequence]
        for item_hash, proof in proofs.proofs.items():
            self.world.proved(self, item_hash, proof)

    # --- messages ----------------------------------------------------------------------------------------------

    def receive(self, peer: str, message: tuple[Any, ...]) -> None:
        """A message of another post; nobody talks to one that the own ledger does not know, or has retired."""
        known = self.chain.machine.state.post(peer)
        if known is None or not known.is_active:
            return
        kind, *content = message
        name = "on_" + kind.replace(" ", "_")
        getattr(self if hasattr(self, name) else self.carrier, name)(peer, *content)

    def on_hello(self, peer: str, notes: Sequence[bytes], clock: int, asks: bool) -> None:
        now = self.world.clock()
        self.run(self.witness.peer_clock(peer, clock, now))
        if asks:
            self.world.send(self.code, peer, ("hello", self._newest_notes(), now, False))
        for note in notes:
            self.run(self.follower.note_received(peer, note, now))

    def on_block(self, peer: str, start: int, leaves: tuple[bytes, ...]) -> None:
        if self.engine is None:
            self.run(self.follower.block_received(peer, start, leaves, self.world.clock()))

    def on_note(self, peer: str, note: bytes) -> None:
        self.run(self.follower.note_received(peer, note, self.world.clock()))

    def on_get_blocks(self, peer: str, start: int, end: int) -> None:
        wanted = [block for block in self.disk.blocks if start <= block.start < end]
        for block in wanted[:BLOCKS_PER_ANSWER]:
            self.world.send(self.code, peer, ("block", block.start, block.leaves))

    def on_cosignature(self, peer: str, size: int, root: bytes, line: bytes) -> None:
        if self.engine is not None and size > self.chain.size:
            self._early[peer] = size, root, line  # until the own engine has decided it
            return
        self.run(self.collector.line_received(peer, size, root, line))
        self.world.send(self.code, peer, ("cosignature taken", size))

    def on_cosignature_taken(self, peer: str, size: int) -> None:
        self.witness.delivered(peer, size)

    def on_get_own_newest(self, peer: str) -> None:
        line = self.disk.lines.get(peer)
        newest = (line.size, line.root) if line else (0, b"")
        for note in self._newest_notes():
            signed = SignedNote.decode(note)
            checkpoint = parse_checkpoint(signed.text)
            if any(one.name.endswith("/" + peer) for one in signed.signatures):
                newest = max(newest, (checkpoint.size, checkpoint.root))
        self.world.send(self.code, peer, ("own newest", *newest))

    def on_own_newest(self, peer: str, size: int, root: bytes) -> None:
        self.run(self.witness.own_newest(peer, size, root))

    def on_entry(self, peer: str, leaf: bytes) -> None:
        outcome = self.order(leaf)
        if outcome is not None:
            self.world.send(self.code, peer, ("entry answer", leaf, outcome, self.chain.size))

    def order(self, leaf: bytes) -> EntryOutcome | None:
        """The own sequencer's answer; None at a post that orders nothing."""
        outcome = self.council.submit(leaf)
        if outcome is not None and outcome.code == ACCEPTED:
            self.world.acknowledged.add(leaf_hash(leaf))
        return outcome

    def on_entry_answer(self, _peer: str, leaf: bytes, outcome: EntryOutcome, size: int) -> None:
        if outcome.index is not None:
            self._known = max(self._known, outcome.index + 1)
        if is_credible(outcome.code, size, max(self._known, self.chain.size)):
            self._answered(leaf, outcome.code)

    # --- the desk ----------------------------------------------------------------------------------------------

    def enter(self, items: Sequence[StoredItem], body: bytes, anchored: act.Item | None) -> None:
        """A terminal hands in a cable, receipt or proof: one transaction, then it is queued and anchored."""
        parcels = self.disk.deposit(items, body, anchored, self.code)
        if anchored is not None and anchored.item_hash in self.disk.waiting:
            self.slots.add(anchored)
        for parcel in parcels:
            self.run(self.carrier.sender.queued(parcel, self.world.monotonic()))

    # --- helpers -----------------------------------------------------------------------------------------------

    def _machine(self) -> Machine:
        machine = Machine.found(self.disk.founding, MODULES, self.world.verifier)
        for block in self.disk.blocks:
            machine.replay_block(block.leaves)
        return machine

    def _answered(self, leaf: bytes, code: str) -> None:
        self.run(self.slots.answered(leaf, code, code))

    def _newest_notes(self) -> tuple[bytes, ...]:
        return tuple(note for _, note in (self.disk.final, self.disk.policy) if note)

    def _broadcast(self, message: tuple[Any, ...]) -> None:
        if self.council.is_validator or self.is_headquarters:
            for code in self.world.posts():
                if code != self.code:
                    self.world.send(self.code, code, message)
