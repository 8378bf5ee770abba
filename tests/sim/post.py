"""A simulated node: the real state machines of node/, over a Disk and the simulated network.

Actions are carried out by `do_<Action>`. Messages, `on_<kind>`, are in peering.py, all of the courier in carrier.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger.machine import Machine
from ledger.merkle import leaf_hash
from node import actions as act
from node.anchor import Slots
from node.broadcast import Broadcaster
from node.chain import Chain
from node.collect import Collector
from node.follow import Follower
from node.sequence import ACCEPTED, EntryOutcome, Solo
from node.splitview import SplitViews
from node.witness import Witness
from sim.carrier import Carrier
from sim.council import Council
from sim.disk import Disk, StoredItem
from sim.engine import SimEngine
from sim.peering import Peering
from support.network import PostKeys

if TYPE_CHECKING:
    from sim.world import World


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
        self.peering = Peering(world, self)
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

    # --- actions -----------------------------------------------------------------------------------------

    def run(self, actions: Sequence[act.Action]) -> None:
        """Carry out actions in order; what they lead to comes before the next one."""
        for action in actions:
            self.world.before(self, action)
            name = f"do_{type(action).__name__}"
            getattr(self if hasattr(self, name) else self.carrier, name)(action)

    def receive(self, peer: str, message: tuple[Any, ...]) -> None:
        """A message of another post; nobody talks to one that the own ledger does not know, or has retired."""
        known = self.chain.machine.state.post(peer)
        if known is None or not known.is_active:
            return
        kind, *content = message
        name = "on_" + kind.replace(" ", "_")
        getattr(self.peering if hasattr(self.peering, name) else self.carrier, name)(peer, *content)

    def do_Append(self, block: act.Append) -> None:
        self.disk.append(block)
        if isinstance(self.council.sequencer, Solo):
            self.council.sequencer.committed()
        self.appended(block)

    def appended(self, block: act.Append) -> None:
        """What follows from a durable block, whoever made it."""
        now = self.world.clock()
        judged = self.follower.appended(now)  # as in node/shell/ledger.py, both before either's actions
        self.run(self.slots.appended(block.start, block.leaves))
        self.run(judged)
        if isinstance(self.council.sequencer, Broadcaster):
            self.council.sequencer.appended(block.leaves)
        self.council.follow_network()
        self.run(self.witness.advance(self.follower.final, now))
        self.peering.broadcast(("block", block.start, block.leaves))
        self.peering.appended()

    def do_Final(self, final: act.Final) -> None:
        self.disk.final = final.size, final.note
        self.run(self.witness.advance(final.size, self.world.clock()))
        self.peering.broadcast(("note", final.note))

    def do_PolicyNote(self, policy: act.PolicyNote) -> None:
        if policy.size <= self.disk.policy[0]:
            return
        self.disk.policy = policy.size, policy.note
        self.disk.lines = {code: line for code, line in self.disk.lines.items() if line.size > policy.size}
        self.run(self.follower.note_received(self.code, policy.note, self.world.clock()))
        self.run(self.slots.policy_note(policy.size, policy.note))
        self.peering.broadcast(("note", policy.note))

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
            self.run(self.slots.answered(entry.leaf, outcome.code, outcome.text))
        else:
            validators = self.chain.machine.state.network().validators
            self.world.send(self.code, self.world.random.choice(validators), ("entry", entry.leaf))

    def do_CatchUp(self, need: act.CatchUp) -> None:
        self.peering.greet(need.peer)

    def do_BatchSettled(self, settled: act.BatchSettled) -> None:
        self.disk.batches[settled.sequence] = self.disk.batches[settled.sequence][0], settled.index

    def do_SaveProofs(self, proofs: act.SaveProofs) -> None:
        self.disk.proofs.update(proofs.proofs)
        del self.disk.batches[proofs.sequence]
        for item_hash, proof in proofs.proofs.items():
            self.world.officers.proved(self.code, item_hash, proof)

    # --- entries -------------------------------------------------------------------------------------------------

    def order(self, leaf: bytes) -> EntryOutcome | None:
        """The own sequencer's answer; None at a post that orders nothing."""
        outcome = self.council.submit(leaf)
        if outcome is not None and outcome.code == ACCEPTED:
            self.world.acknowledged.add(leaf_hash(leaf))
        return outcome

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
        machine = self.world.base.founded.fork()
        for block in self.disk.blocks:
            machine.replay_block(block.leaves)
        return machine
