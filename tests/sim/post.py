"""A simulated node: the real state machines of node/, over a Disk and the simulated network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sim.disk import Disk, StoredItem

from crypto_msg.envelope import check_head, decode_head, read_outer, verify_body
from ledger.checkpoint import parse_checkpoint
from ledger.machine import Machine
from ledger.note import SignedNote
from node import actions as act
from node.anchor import Slots
from node.chain import Chain
from node.collect import Collector
from node.courier import ItemKind, Parcel, Sender
from node.follow import Follower
from node.intake import Receiver
from node.modules import MODULES
from node.sequence import Solo
from node.splitview import SplitViews
from node.witness import Witness
from protos.errors import DutabartaError
from support.network import PostKeys

BLOCKS_PER_ANSWER = 32


class World(Protocol):
    """What a simulated node stands in."""

    headquarters: str
    verifier: Any
    random: Any

    def clock(self) -> int:
        """POSIX seconds."""

    def monotonic(self) -> float:
        """Seconds."""

    def send(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        """Hand a message to the network."""

    def posts(self) -> Sequence[str]:
        """All codes."""

    def before(self, post: SimPost, action: act.Action) -> None:
        """Called before each action is carried out: checks the invariants, and may crash the post."""

    def proved(self, post: SimPost, item_hash: bytes, proof: bytes) -> None:
        """A proof is stored: queue it for the addressees."""


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
            self.chain, self.code, keys.cosigner,
            log_signer=keys.log if self.is_headquarters else None, state=disk.sign_state, stopped=disk.stopped,
        )
        self.collector = Collector(self.chain, views, disk.policy[0])
        self.solo = Solo(self.chain, disk.index_of) if self.is_headquarters else None
        self.slots = Slots(
            self.chain, self.code, keys.entry, world.random.randbytes, index_of=disk.index_of,
            waiting=tuple(disk.waiting.values()), batches=disk.open_batches(),
        )
        self.sender = Sender(
            self.code, world.headquarters, world.random.random, queued=disk.queued(), now=world.monotonic()
        )
        self.receiver = Receiver(
            self.code, disk.is_whole, disk.has_body, is_relay=self.is_headquarters, incoming=disk.incoming()
        )
        self._offered: dict[bytes, tuple[Parcel, bytes]] = {}

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
        if self.solo is not None and self.witness.is_ready:
            self.run(self.solo.tick(now))
        self.run(self.witness.advance(self.follower.final, now))
        self.run(self.slots.tick(now))
        self.run(self.sender.tick(self.world.monotonic(), self.chain.time_at(self.follower.final)))

    def greet(self, peer: str) -> None:
        """Open a stream: both sides' newest checkpoints and clocks."""
        self.world.send(self.code, peer, ("hello", self._newest_notes(), self.world.clock(), True))

    # --- actions -----------------------------------------------------------------------------------------

    def run(self, actions: Sequence[act.Action]) -> None:
        """Carry out actions in order; what they lead to comes before the next one."""
        for action in actions:
            self.world.before(self, action)
            getattr(self, f"_do_{type(action).__name__}")(action)

    def _do_Append(self, block: act.Append) -> None:
        now = self.world.clock()
        self.disk.append(block)
        if self.solo is not None:
            self.solo.committed()
        self.run(self.follower.appended(now))
        self.run(self.slots.appended(block.start, block.leaves))
        self.run(self.witness.advance(self.follower.final, now))
        self._broadcast(("block", block.start, block.leaves))

    def _do_Final(self, final: act.Final) -> None:
        self.disk.final = final.size, final.note
        self.run(self.witness.advance(final.size, self.world.clock()))
        self._broadcast(("note", final.note))

    def _do_PolicyNote(self, policy: act.PolicyNote) -> None:
        if policy.size <= self.disk.policy[0]:
            return
        self.disk.policy = policy.size, policy.note
        self.disk.lines = {code: line for code, line in self.disk.lines.items() if line.size > policy.size}
        self.run(self.follower.note_received(self.code, policy.note, self.world.clock()))
        self.run(self.slots.policy_note(policy.size, policy.note))
        self._broadcast(("note", policy.note))

    def _do_Truncate(self, truncate: act.Truncate) -> None:
        self.disk.truncate(truncate.size)
        self.follower.truncated(self._machine())
        self.slots.truncated(truncate.size)

    def _do_FetchBlocks(self, fetch: act.FetchBlocks) -> None:
        self.world.send(self.code, fetch.peer, ("get blocks", fetch.start, fetch.end))

    def _do_DropPeer(self, drop: act.DropPeer) -> None:
        self.disk.alarms.append(("dropped-peer", drop.peer, drop.code))

    def _do_Alarm(self, alarm: act.Alarm) -> None:
        self.disk.alarms.append((alarm.code, alarm.subject, alarm.text))

    def _do_KeepEvidence(self, evidence: act.KeepEvidence) -> None:
        self.disk.accused.add(evidence.signer)

    def _do_StopSigning(self, stop: act.StopSigning) -> None:
        self.disk.stopped = stop.reason
        self.witness.stop(stop.reason)

    def _do_SaveSignState(self, state: act.SaveSignState) -> None:
        self.disk.sign_state = state

    def _do_OwnNote(self, own: act.OwnNote) -> None:
        self.run(self.collector.own_note(own.note))
        self.run(self.follower.note_received(self.code, own.note, self.world.clock()))

    def _do_SendCosignature(self, line: act.SendCosignature) -> None:
        self.world.send(self.code, line.post, ("cosignature", line.size, line.root, line.line))

    def _do_SaveCosignature(self, line: act.SaveCosignature) -> None:
        self.disk.lines[line.post] = line

    def _do_AskOwnNewest(self, ask: act.AskOwnNewest) -> None:
        self.world.send(self.code, ask.post, ("get own newest",))

    def _do_SaveBatch(self, batch: act.SaveBatch) -> None:
        self.disk.save_batch(batch)

    def _do_SubmitEntry(self, entry: act.SubmitEntry) -> None:
        if self.solo is not None:
            self._answered(entry.leaf, self.solo.submit(entry.leaf, self.world.clock()).code)
        else:
            self.world.send(self.code, self.world.headquarters, ("entry", entry.leaf))

    def _do_BatchSettled(self, settled: act.BatchSettled) -> None:
        self.disk.batches[settled.sequence] = self.disk.batches[settled.sequence][0], settled.index

    def _do_SaveProofs(self, proofs: act.SaveProofs) -> None:
        self.disk.proofs.update(proofs.proofs)
        del self.disk.batches[proofs.sequence]
        for item_hash, proof in proofs.proofs.items():
            self.world.proved(self, item_hash, proof)

    # --- the courier's actions -------------------------------------------------------------------------------

    def _do_SendOffer(self, offer: act.SendOffer) -> None:
        item = self.disk.items[offer.item_id]
        self.world.send(self.code, offer.peer, ("offer", item.parcel, item.head, item.envelope_id))

    def _do_SendPart(self, part: act.SendPart) -> None:
        body = self.disk.bodies[self.disk.items[part.item_id].envelope_id]
        data = bytes(body[part.offset : part.offset + part.length])
        self.world.send(self.code, part.peer, ("part", part.item_id, part.offset, data))

    def _do_SendAnswer(self, answer: act.SendAnswer) -> None:
        self.world.send(
            self.code, answer.peer, ("answer", answer.item_id, answer.verdict, answer.offset, answer.code)
        )

    def _do_OpenIntake(self, intake: act.OpenIntake) -> None:
        parcel, head, envelope_id = self._offer_of(intake.item_id)
        self.disk.open_body(envelope_id)
        self.disk.store(parcel, head, envelope_id, "incoming")

    def _do_StorePart(self, part: act.StorePart) -> None:
        body = self.disk.bodies[self.disk.items[part.item_id].envelope_id]
        if part.offset != len(body):
            raise AssertionError(f"a part at {part.offset} is stored behind {len(body)} bytes")
        body += part.data

    def _do_CheckBody(self, check: act.CheckBody) -> None:
        item, code = self.disk.items[check.item_id], ""
        try:
            verify_body(decode_head(item.head), bytes(self.disk.bodies[item.envelope_id]))
        except DutabartaError as problem:
            code = problem.code
        if not code:
            self.disk.whole_bodies.add(item.envelope_id)
        self.run(self.receiver.body_checked(check.peer, check.item_id, code))

    def _do_StoreItem(self, stored: act.StoreItem) -> None:
        parcel, head, envelope_id = self._offer_of(stored.item_id)
        is_here = parcel.destination == self.code
        parcel = self.disk.store(parcel, head, envelope_id, "here" if is_here else "queued")
        if not is_here:
            self.run(self.sender.queued(parcel, self.world.monotonic()))

    def _do_DropIntake(self, drop: act.DropIntake) -> None:
        item = self.disk.items.pop(drop.item_id)
        if drop.with_body:
            del self.disk.bodies[item.envelope_id]

    def _do_Handed(self, handed: act.Handed) -> None:
        self.disk.items[handed.item_id].state = "handed"

    def _do_ItemRefused(self, refused: act.ItemRefused) -> None:
        self.disk.items[refused.item_id].state = "refused"

    def _do_ItemExpired(self, expired: act.ItemExpired) -> None:
        self.disk.items[expired.item_id].state = "expired"

    def _do_CatchUp(self, need: act.CatchUp) -> None:
        self.greet(need.peer)

    # --- messages ----------------------------------------------------------------------------------------------

    def receive(self, peer: str, message: tuple[Any, ...]) -> None:
        """A message of another post."""
        kind, *content = message
        getattr(self, "_on_" + kind.replace(" ", "_"))(peer, *content)

    def _on_hello(self, peer: str, notes: Sequence[bytes], clock: int, asks: bool) -> None:
        now = self.world.clock()
        self.run(self.witness.peer_clock(peer, clock, now))
        if asks:
            self.world.send(self.code, peer, ("hello", self._newest_notes(), now, False))
        for note in notes:
            self.run(self.follower.note_received(peer, note, now))

    def _on_block(self, peer: str, start: int, leaves: tuple[bytes, ...]) -> None:
        self.run(self.follower.block_received(peer, start, leaves, self.world.clock()))

    def _on_note(self, peer: str, note: bytes) -> None:
        self.run(self.follower.note_received(peer, note, self.world.clock()))

    def _on_get_blocks(self, peer: str, start: int, end: int) -> None:
        wanted = [block for block in self.disk.blocks if start <= block.start < end]
        for block in wanted[:BLOCKS_PER_ANSWER]:
            self.world.send(self.code, peer, ("block", block.start, block.leaves))

    def _on_cosignature(self, peer: str, size: int, root: bytes, line: bytes) -> None:
        self.run(self.collector.line_received(peer, size, root, line))
        self.world.send(self.code, peer, ("cosignature taken", size))

    def _on_cosignature_taken(self, peer: str, size: int) -> None:
        self.witness.delivered(peer, size)

    def _on_get_own_newest(self, peer: str) -> None:
        line = self.disk.lines.get(peer)
        newest = (line.size, line.root) if line else (0, b"")
        for note in self._newest_notes():
            signed = SignedNote.decode(note)
            checkpoint = parse_checkpoint(signed.text)
            if any(one.name.endswith("/" + peer) for one in signed.signatures):
                newest = max(newest, (checkpoint.size, checkpoint.root))
        self.world.send(self.code, peer, ("own newest", *newest))

    def _on_own_newest(self, peer: str, size: int, root: bytes) -> None:
        self.run(self.witness.own_newest(peer, size, root))

    def _on_entry(self, peer: str, leaf: bytes) -> None:
        if self.solo is not None:
            self.world.send(self.code, peer, ("entry answer", leaf, self.solo.submit(leaf, self.world.clock()).code))

    def _on_entry_answer(self, _peer: str, leaf: bytes, code: str) -> None:
        self._answered(leaf, code)

    def _on_offer(self, peer: str, parcel: Parcel, head: bytes, envelope_id: bytes) -> None:
        self._offered[parcel.item_id] = parcel, head, envelope_id
        self.run(self.receiver.offered(peer, parcel, self.follower.final, lambda: self._refusal(parcel, head)))

    def _on_part(self, peer: str, item_id: bytes, offset: int, data: bytes) -> None:
        self.run(self.receiver.part_received(peer, item_id, offset, data))

    def _on_answer(self, peer: str, item_id: bytes, verdict: int, offset: int, code: str) -> None:
        self.run(self.sender.answered(peer, item_id, verdict, offset, code, self.world.monotonic()))

    # --- the desk ----------------------------------------------------------------------------------------------

    def enter(self, items: Sequence[StoredItem], body: bytes, anchored: act.Item | None) -> None:
        """A terminal hands in a cable, receipt or proof: one transaction, then it is queued and anchored."""
        parcels = []
        for item in items:
            state = "here" if item.parcel.destination == self.code else "queued"
            parcel = self.disk.store(item.parcel, item.head, item.envelope_id, state)
            parcels += [parcel] if self.disk.items[parcel.item_id].state == "queued" else []
            if body:
                self.disk.bodies[item.envelope_id] = bytearray(body)
                self.disk.whole_bodies.add(item.envelope_id)
        is_anchored = anchored is None or anchored.item_hash in self.disk.proofs or any(
            anchored in batch.items.values() for batch, _ in self.disk.batches.values()
        )
        if anchored is not None and not is_anchored:
            self.disk.waiting[anchored.item_hash] = anchored
            self.slots.add(anchored)
        for parcel in parcels:
            self.run(self.sender.queued(parcel, self.world.monotonic()))

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
        if self.is_headquarters:
            for code in self.world.posts():
                if code != self.code:
                    self.world.send(self.code, code, message)

    def _offer_of(self, item_id: bytes) -> tuple[Parcel, bytes, bytes]:
        known = self.disk.items.get(item_id)
        return (known.parcel, known.head, known.envelope_id) if known else self._offered[item_id]

    def _refusal(self, parcel: Parcel, head: bytes) -> str:
        if parcel.kind != ItemKind.ENVELOPE:
            return ""
        try:
            envelope = decode_head(head)
            outer = read_outer(envelope)
            terminal = self.chain.state_at(outer.size_seen).terminal(outer.terminal_id)
            check_head(envelope, self.chain.machine.network_id, terminal, self.world.verifier)
        except DutabartaError as problem:
            return problem.code
        return ""
