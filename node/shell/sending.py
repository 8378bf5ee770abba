"""The courier's sending side over the store and the open links."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from node import actions as act
from node.actions import Action
from node.config import CourierSettings
from node.courier import PART_BYTES, ItemKind, Parcel, Sender
from node.pace import FLASH
from node.shell.givingup import GivingUp
from node.shell.itemchecks import make_item, write_item
from node.shell.ledger import LedgerShell
from node.shell.meter import Meter
from node.shell.shelf import Shelf
from node.shell.slots import cable_proof, proved_among
from node.store import bodies, courier, deposits
from node.store.courier import QUEUED, CourierItem, StoredEnvelope
from protos import node_pb2 as pb

_log = logging.getLogger(__name__)
WIDEST_WINDOW = 128
PutFrame = Callable[[pb.CarryFrame], None]


class Sending:
    """Carries out what node.courier.Sender asks for. All methods run in the event loop's thread."""

    def __init__(
        self, ledger: LedgerShell, shelf: Shelf, meter: Meter, giving_up: GivingUp, settings: CourierSettings
    ) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._shelf = shelf
        self._meter = meter
        self._giving_up = giving_up
        self._links: dict[str, PutFrame] = {}
        self.on_queued: Callable[[], None] = lambda: None
        headquarters = ledger.chain.machine.state.headquarters()
        with self._database.read() as tx:
            stored = courier.parcels(tx, QUEUED)
        self._parcels = {parcel.item_id: parcel for parcel in stored}
        self._sender = Sender(
            ledger.post,
            headquarters,
            random.random,
            queued=stored,
            widest=WIDEST_WINDOW,
            relays=settings.relays,
            kbit=settings.link_kbit,
            now=time.monotonic(),
        )

    @property
    def is_full(self) -> bool:
        """No further item is taken."""
        return self._sender.is_full

    @property
    def is_busy(self) -> bool:
        """Whether anything waits."""
        return bool(self._parcels)

    def destinations(self) -> set[str]:
        """The posts that something waits for."""
        return {parcel.destination for parcel in self._parcels.values()}

    # --- events ------------------------------------------------------------------------------------------------

    def queued(self, parcels: Iterable[Parcel | None]) -> None:
        """These parcels are durable: send them."""
        for parcel in parcels:
            if parcel is not None:
                self._parcels[parcel.item_id] = parcel
                self._send_all(self._sender.queued(parcel, time.monotonic()))
                self.on_queued()

    def linked(self, peer: str, put: PutFrame) -> None:
        """A stream to `peer` is open; `put` sends a frame on it."""
        self._links[peer] = put
        self._send_all(self._sender.linked(peer, time.monotonic()))

    def unlinked(self, peer: str) -> None:
        """The stream has ended."""
        self._links.pop(peer, None)
        self._send_all(self._sender.unlinked(peer, time.monotonic()))

    def answered(self, peer: str, answers: list[pb.Answer]) -> None:
        """What the peer answered, as it came together."""
        now = time.monotonic()
        actions: list[Action] = []
        for one in answers:
            self._meter.received(peer, pb.CarryFrame(answer=one))
            actions += self._sender.answered(peer, one.item_id, one.verdict, one.offset, one.code, now)
        self._send_all(actions)

    def hold(self, peer: str, size: int) -> None:
        """A hotline frame goes to `peer` ahead of everything here, until `release`."""
        self._sender.hold(peer, size, time.monotonic())

    def release(self, peer: str) -> None:
        """It is there, or given up."""
        self._send_all(self._sender.release(peer, time.monotonic()))

    def tick(self) -> None:
        """To be called about twice a second."""
        self._send_all(self._sender.tick(time.monotonic(), self._ledger.block_time))

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
                    fresh.append(self._shelf.store_new(tx, self._proof_item(envelope, post, proof)))
        self.queued(fresh)

    # --- carrying out ------------------------------------------------------------------------------------------

    def _send_all(self, actions: list[Action]) -> None:
        """Store what the actions settle in one transaction, then put the frames on their links."""
        frames = [one for one in actions if isinstance(one, act.SendOffer | act.SendPart)]
        lasting = [one for one in actions if not isinstance(one, act.SendOffer | act.SendPart)]
        fresh: list[Parcel | None] = []
        if lasting:
            with self._database.write() as tx:
                fresh = self._settle_all(tx, lasting)
            self._ledger.pulse.beat()
        if frames:
            with self._database.read() as tx:
                self._put_all(tx, frames)
        self.queued(fresh)

    def _put_all(self, tx: Connection, frames: Sequence[act.SendOffer | act.SendPart]) -> None:
        """Look up together what is sent together: the items, and the bodies of one part."""
        offers = {one.item_id for one in frames if isinstance(one, act.SendOffer)}
        parcels = [self._parcels[one.item_id] for one in frames if isinstance(one, act.SendPart)]
        shorts = {one.body_id for one in parcels if one.length <= PART_BYTES}
        offered = courier.items_among(tx, offers) if offers else {}
        short = bodies.first_parts(tx, shorts) if shorts else {}
        for one in frames:
            match one:
                case act.SendOffer(peer, item_id) if item_id in offered:
                    item = offered[item_id]
                    if item.parcel.precedence == FLASH:
                        _log.info("a FLASH goes to %s", peer)
                    self._put(peer, pb.CarryFrame(offer=write_item(item)), item.envelope_id)
                case act.SendPart(peer, item_id, offset, length):
                    body_id = self._parcels[item_id].body_id
                    data = short.get(body_id, b"")[offset : offset + length]
                    if len(data) < length:
                        data = bodies.read_body(tx, body_id, offset, length)
                    part = pb.Part(item_id=item_id, offset=offset, data=data)
                    self._put(peer, pb.CarryFrame(part=part), body_id)

    def _settle_all(self, tx: Connection, actions: Sequence[Action]) -> list[Parcel | None]:
        """The parcels that follow."""
        ended: list[tuple[Parcel, str]] = []
        for action in actions:
            match action:
                case act.Handed(item_id, peer):
                    parcel = self._parcels.pop(item_id)
                    ended.append((parcel, "carried" if peer == parcel.destination else "relayed"))
                case act.ItemRefused(item_id, _, _):
                    ended.append((self._parcels.pop(item_id), "refused"))
                case act.ItemExpired(item_id):
                    ended.append((self._parcels.pop(item_id), "expired"))
                case act.Alarm(code, subject, text):
                    _log.warning("alarm %s (%s): %s", code, subject, text)
                    deposits.alarm(tx, code, subject, text, self._ledger.clock())
                case _:
                    raise TypeError(f"the courier cannot carry out {type(action).__name__}")
        return self._end(tx, ended) if ended else []

    def _end(self, tx: Connection, ended: list[tuple[Parcel, str]]) -> list[Parcel | None]:
        """Their way ends here. To who has an envelope, its proof follows; who sent an expired one is told."""
        courier.finish_items(tx, [parcel for parcel, _ in ended])
        envelopes = [(parcel, hop) for parcel, hop in ended if parcel.kind == ItemKind.ENVELOPE]
        fresh = self._move_own(tx, [one for one in envelopes if one[0].origin == self._ledger.post])
        expired = [parcel for parcel, hop in envelopes if hop == "expired"]
        return fresh + [self._shelf.store_new(tx, self._giving_up.statement(one)) for one in expired]

    def _move_own(self, tx: Connection, own: list[tuple[Parcel, str]]) -> list[Parcel | None]:
        """How far envelopes of this post have come; the proofs that follow them."""
        if not own:
            return []
        moved = [(parcel.body_id, parcel.destination, hop) for parcel, hop in own]
        courier.move_hops(tx, moved, self._ledger.clock())
        handed = [parcel for parcel, hop in own if hop in ("carried", "relayed")]
        proved = proved_among(tx, {parcel.body_id for parcel in handed})
        return [self._proof_for(tx, parcel) for parcel in handed if parcel.body_id in proved]

    def _proof_for(self, tx: Connection, parcel: Parcel) -> Parcel | None:
        proof, envelope = cable_proof(tx, parcel.body_id), courier.envelope_of(tx, parcel.body_id)
        if proof is None or envelope is None:
            return None
        return self._shelf.store_new(tx, self._proof_item(envelope, parcel.destination, proof))

    def _proof_item(self, envelope: StoredEnvelope, post: str, proof: bytes) -> CourierItem:
        return make_item(ItemKind.PROOF, post, envelope, proof, self._ledger.post)

    def _put(self, peer: str, frame: pb.CarryFrame, envelope_id: bytes) -> None:
        put = self._links.get(peer)
        if put is not None:
            self._meter.sent(peer, frame, envelope_id)
            put(frame)
