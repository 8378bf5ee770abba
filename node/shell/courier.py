"""The courier: carries out what its sending and receiving machines ask for, over the store and the open links.

What arrives together is stored together: one transaction for all frames that wait, then all their answers.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from sqlalchemy import Connection

from crypto_msg.envelope import BodyCheck, decode_head, read_outer
from crypto_msg.receipt import read_sealed_receipt
from node import actions as act
from node.actions import Action
from node.courier import ItemKind, Parcel, Sender, Verdict
from node.intake import Incoming, Receiver
from node.shell.itemchecks import ItemChecks, envelope_from, make_item, read_item, write_item
from node.shell.ledger import LedgerShell
from node.shell.slots import CABLE, cable_proof, save_proof
from node.store import bodies, courier, deposits
from node.store.courier import DONE, INTAKE, QUEUED, CourierItem, StoredEnvelope
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed

_log = logging.getLogger(__name__)
Frames = list[pb.CarryFrame]
PutFrame = Callable[[pb.CarryFrame], None]


class CourierShell:
    """One node's courier. All methods run in the event loop's thread."""

    def __init__(self, ledger: LedgerShell, checks: ItemChecks, catch_up: Callable[[str, int], None]) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._checks = checks
        self._catch_up = catch_up
        self._links: dict[str, PutFrame] = {}
        self._offered: dict[bytes, CourierItem] = {}
        state = ledger.chain.machine.state
        headquarters = state.headquarters()
        with self._database.read() as tx:
            self._arrival = courier.last_arrival(tx)
            queued, incoming = courier.parcels(tx, QUEUED), courier.incoming(tx)
        self.sender = Sender(ledger.post, headquarters, random.random, queued=queued, now=time.monotonic())
        self.receiver = Receiver(
            ledger.post, self._is_stored, self._has_body, is_relay=ledger.post == headquarters,
            incoming=[Incoming(parcel, stored) for parcel, stored in incoming],
        )
        self._tx: Connection | None = None
        self._broken = ""
        self.on_queued: Callable[[], None] = lambda: None

    # --- what begins here ------------------------------------------------------------------------------------

    def store_new(self, tx: Connection, item: CourierItem) -> Parcel | None:
        """Store an item that begins here: into an inbox of this post, or into the queue (then its parcel)."""
        parcel = item.parcel
        if courier.is_stored(tx, parcel.item_id):
            return None
        self._arrival += 1
        placed = replace(item, parcel=replace(parcel, arrival=self._arrival))
        return self._store(tx, placed)

    def queued(self, parcels: Iterable[Parcel | None]) -> None:
        """These parcels are durable: send them."""
        for parcel in parcels:
            if parcel is not None:
                self._send_all(self.sender.queued(parcel, time.monotonic()))
                self.on_queued()

    def _store(self, tx: Connection, item: CourierItem) -> Parcel | None:
        now, mine = self._ledger.clock(), item.parcel.destination == self._ledger.post
        courier.put_item(tx, item, DONE if mine else QUEUED, now)
        if item.parcel.kind == ItemKind.ENVELOPE:
            head = decode_head(item.head)
            courier.put_envelope(tx, envelope_from(head, read_outer(head)))
        if not mine:
            return item.parcel
        self._deliver(tx, item)
        courier.finish_item(tx, item.parcel.item_id)
        return None

    def _deliver(self, tx: Connection, item: CourierItem) -> None:
        match item.parcel.kind:
            case ItemKind.ENVELOPE:
                wraps = decode_head(item.head).wraps
                courier.deliver(tx, [one.wrap.terminal_id for one in wraps], item)
            case ItemKind.SEALED_RECEIPT:
                courier.deliver(tx, [read_sealed_receipt(item.head).terminal_id], item)
            case ItemKind.PROOF:
                save_proof(tx, item.envelope_id, CABLE, b"", item.head)
                courier.deliver(tx, courier.readers(tx, item.envelope_id), item)
            case _:
                courier.deliver(tx, courier.readers(tx, item.envelope_id), item)

    # --- sending -----------------------------------------------------------------------------------------------

    def linked(self, peer: str, put: PutFrame) -> None:
        """A stream to `peer` is open; `put` sends a frame on it."""
        self._links[peer] = put
        self._send_all(self.sender.linked(peer, time.monotonic()))

    def unlinked(self, peer: str) -> None:
        """The stream has ended."""
        self._links.pop(peer, None)
        self._send_all(self.sender.unlinked(peer, time.monotonic()))

    def answered(self, peer: str, answers: list[pb.Answer]) -> None:
        """What the peer answered, as it came together."""
        now = time.monotonic()
        actions: list[Action] = []
        for one in answers:
            actions += self.sender.answered(peer, one.item_id, one.verdict, one.offset, one.code, now)
        self._send_all(actions)

    def tick(self) -> None:
        """To be called about twice a second."""
        block_time = self._ledger.block_time
        self._send_all(self.sender.tick(time.monotonic(), block_time))
        with self._database.write() as tx:
            for action in self.receiver.expired(block_time):
                self._receive_one(tx, action, [])

    def destinations(self) -> set[str]:
        """The posts that something waits for."""
        return {parcel.destination for parcel in self.sender.parcels}

    def _send_all(self, actions: list[Action]) -> None:
        """Store what the actions settle in one transaction, then put the frames on their links."""
        lasting = [one for one in actions if not isinstance(one, act.SendOffer | act.SendPart)]
        fresh: list[Parcel | None] = []
        if lasting:
            with self._database.write() as tx:
                for action in lasting:
                    fresh.append(self._settle(tx, action))
            self._ledger.pulse.beat()
        with self._database.read() as tx:
            for one in actions:
                match one:
                    case act.SendOffer(peer, item_id):
                        self._put(peer, self._offer_frame(tx, item_id))
                    case act.SendPart(peer, item_id, offset, length):
                        self._put(peer, self._part_frame(tx, item_id, offset, length))
        self.queued(fresh)

    def _settle(self, tx: Connection, action: Action) -> Parcel | None:
        match action:
            case act.Handed(item_id, peer):
                return self._handed(tx, item_id, peer)
            case act.ItemRefused(item_id, _, _):
                self._end(tx, item_id, "refused")
            case act.ItemExpired(item_id):
                self._end(tx, item_id, "expired")
            case act.Alarm(code, subject, text):
                _log.warning("alarm %s (%s): %s", code, subject, text)
                deposits.alarm(tx, code, subject, text, self._ledger.clock())
            case _:
                raise TypeError(f"the courier cannot carry out {type(action).__name__}")
        return None

    def _handed(self, tx: Connection, item_id: bytes, peer: str) -> Parcel | None:
        """The next hop has it. At the destination, an envelope's proof follows as soon as there is one."""
        item = courier.item(tx, item_id)
        if item is None:
            return None
        arrived = peer == item.parcel.destination
        self._end(tx, item_id, "carried" if arrived else "relayed")
        if item.parcel.kind != ItemKind.ENVELOPE or item.parcel.origin != self._ledger.post:
            return None
        proof = cable_proof(tx, item.envelope_id)
        envelope = courier.envelope_of(tx, item.envelope_id)
        if proof is None or envelope is None:
            return None
        return self.store_new(tx, self._proof_item(envelope, item.parcel.destination, proof))

    def _end(self, tx: Connection, item_id: bytes, hop: str) -> None:
        item = courier.item(tx, item_id)
        if item is None:
            return
        courier.finish_item(tx, item_id)
        if item.parcel.kind == ItemKind.ENVELOPE and item.parcel.origin == self._ledger.post:
            courier.set_hop(tx, item.envelope_id, item.parcel.destination, hop, self._ledger.clock())

    def proved(self, envelope_ids: Iterable[bytes]) -> None:
        """The anchors of these envelopes can be proved: send the proofs to every addressee that has the envelope."""
        fresh: list[Parcel | None] = []
        with self._database.write() as tx:
            for envelope_id in envelope_ids:
                proof, envelope = cable_proof(tx, envelope_id), courier.envelope_of(tx, envelope_id)
                if proof is None or envelope is None:
                    continue
                posts = [post for post, state, _ in courier.hops(tx, envelope_id) if state in ("carried", "relayed")]
                for post in (self._ledger.post, *posts):
                    fresh.append(self.store_new(tx, self._proof_item(envelope, post, proof)))
        self.queued(fresh)

    def _proof_item(self, envelope: StoredEnvelope, post: str, proof: bytes) -> CourierItem:
        return make_item(ItemKind.PROOF, post, envelope, proof, self._ledger.post)

    def _put(self, peer: str, frame: pb.CarryFrame | None) -> None:
        put = self._links.get(peer)
        if put is not None and frame is not None:
            put(frame)

    def _offer_frame(self, tx: Connection, item_id: bytes) -> pb.CarryFrame | None:
        item = courier.item(tx, item_id)
        return pb.CarryFrame(offer=write_item(item)) if item else None

    def _part_frame(self, tx: Connection, item_id: bytes, offset: int, length: int) -> pb.CarryFrame | None:
        item = courier.item(tx, item_id)
        if item is None:
            return None
        data = bodies.read_body(tx, item.envelope_id, offset, length)
        return pb.CarryFrame(part=pb.Part(item_id=item_id, offset=offset, data=data))

    # --- receiving ---------------------------------------------------------------------------------------------

    def received(self, peer: str, frames: Frames) -> Frames:
        """Take the frames that came together, in one transaction; the answers may go when this returns.

        Raises `Malformed` after a frame that cannot be: the stream ends. What came before it is kept.
        """
        answers: Frames = []
        fresh: list[Parcel | None] = []
        self._broken = ""
        with self._database.write() as tx:
            self._tx = tx
            try:
                for frame in frames:
                    if not self._broken:
                        fresh += self._receive(tx, self._actions_of(peer, frame), answers)
            finally:
                self._tx = None
        self._ledger.pulse.beat()
        self.queued(fresh)
        if self._broken:
            raise Malformed(self._broken, "the peer sent what cannot be")
        return answers

    def _is_stored(self, item_id: bytes) -> bool:
        if self._tx is not None:
            return courier.is_stored(self._tx, item_id)
        with self._database.read() as tx:
            return courier.is_stored(tx, item_id)

    def _has_body(self, envelope_id: bytes) -> bool:
        if self._tx is not None:
            return bodies.is_whole(self._tx, envelope_id)
        with self._database.read() as tx:
            return bodies.is_whole(tx, envelope_id)

    def _actions_of(self, peer: str, frame: pb.CarryFrame) -> list[Action]:
        match frame.WhichOneof("frame"):
            case "offer":
                try:
                    item = read_item(frame.offer)
                except Malformed as problem:
                    return [act.DropPeer(peer, problem.code)]
                self._offered[item.parcel.item_id] = item
                state = self._ledger.chain.machine.state
                final = self._ledger.follower.final
                return self.receiver.offered(peer, item.parcel, final, lambda: self._checks.refusal(item, state))
            case "part":
                part = frame.part
                return self.receiver.part_received(peer, part.item_id, part.offset, part.data)
        return [act.DropPeer(peer, "bad-frame")]

    def _receive(self, tx: Connection, actions: list[Action], answers: Frames) -> list[Parcel | None]:
        fresh: list[Parcel | None] = []
        for action in actions:
            if isinstance(action, act.CheckBody):
                code = self._check_body(tx, action.item_id)
                fresh += self._receive(tx, self.receiver.body_checked(action.peer, action.item_id, code), answers)
            else:
                fresh.append(self._receive_one(tx, action, answers))
        return fresh

    def _receive_one(self, tx: Connection, action: Action, answers: Frames) -> Parcel | None:
        match action:
            case act.SendAnswer(_, item_id, verdict, offset, code):
                if verdict != Verdict.WANT:
                    self._offered.pop(item_id, None)
                answer = pb.Answer(item_id=item_id, verdict=verdict, offset=offset, code=code)
                answers.append(pb.CarryFrame(answer=answer))
            case act.OpenIntake(item_id):
                self._open_intake(tx, self._offered.pop(item_id))
            case act.StorePart(item_id, offset, data):
                bodies.append_part(tx, self._envelope_of(tx, item_id), offset, data)
            case act.StoreItem(item_id):
                return self._store_received(tx, item_id)
            case act.DropIntake(item_id, with_body):
                if with_body:
                    bodies.drop_unfinished(tx, self._envelope_of(tx, item_id))
                courier.drop_item(tx, item_id)
            case act.CatchUp(peer, size):
                self._catch_up(peer, size)
            case act.Alarm():
                self._settle(tx, action)
            case act.DropPeer(_, code):
                self._broken = code
            case _:
                raise TypeError(f"the courier cannot carry out {type(action).__name__}")
        return None

    def _open_intake(self, tx: Connection, item: CourierItem) -> None:
        courier.put_item(tx, item, INTAKE, self._ledger.clock())
        bodies.begin_body(tx, item.envelope_id, item.parcel.length)

    def _store_received(self, tx: Connection, item_id: bytes) -> Parcel | None:
        item = self._offered.pop(item_id, None) or courier.item(tx, item_id)
        if item is None:
            raise LookupError("an item to be stored was never offered")
        if item.parcel.length:
            bodies.finish_body(tx, item.envelope_id)
        self._arrival += 1
        return self._store(tx, replace(item, parcel=replace(item.parcel, arrival=self._arrival)))

    def _envelope_of(self, tx: Connection, item_id: bytes) -> bytes:
        item = courier.item(tx, item_id)
        return item.envelope_id if item else b""

    def _check_body(self, tx: Connection, item_id: bytes) -> str:
        """The code of what is wrong with a body that has come whole, or ""."""
        item = courier.item(tx, item_id)
        if item is None:
            return "unknown-item"
        check = BodyCheck(decode_head(item.head))
        try:
            for offset in bodies.offsets(tx, item.envelope_id):
                check.update(bodies.part_at(tx, item.envelope_id, offset))
            check.finish()
        except DutabartaError as problem:
            return problem.code
        return ""
