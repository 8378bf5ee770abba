"""The courier's receiving side over the store.

What arrives together is stored together: one transaction for all frames that wait, then all their answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from crypto_msg.envelope import BodyCheck
from node import actions as act
from node.actions import Action
from node.courier import ItemKind, Parcel, Verdict
from node.intake import Incoming, Receiver
from node.pace import FLASH
from node.shell.arrivals import Arrivals
from node.shell.itemchecks import ItemChecks, read_head, read_item
from node.shell.ledger import LedgerShell
from node.shell.meter import Meter
from node.shell.shelf import Shelf
from node.shell.storage import STORE_FULL, Storage, full_text
from node.store import courier, deposits
from node.store.courier import CourierItem
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed

_log = logging.getLogger(__name__)
Frames = Sequence[pb.CarryFrame]
Answers = list[pb.Answer]
Parcels = list[Parcel | None]


class Receiving:
    """Carries out what node.intake.Receiver asks for. All methods run in the event loop's thread."""

    def __init__(
        self,
        ledger: LedgerShell,
        shelf: Shelf,
        checks: ItemChecks,
        storage: Storage,
        meter: Meter,
        queued: Callable[[Iterable[Parcel | None]], None],
        catch_up: Callable[[str, int], None],
        *,
        is_relay: bool = False,
    ) -> None:
        """`queued` takes parcels for other posts; `catch_up` fetches the log up to a size from a peer.

        `is_relay`: whether it takes what is for other posts; headquarters always does.
        """
        self._ledger = ledger
        self._database = ledger.database
        self._shelf = shelf
        self._checks = checks
        self._storage = storage
        self._meter = meter
        self._queued = queued
        self._catch_up = catch_up
        self._offered: dict[bytes, CourierItem] = {}
        self._arrivals: Arrivals
        self._broken = ""
        with self._database.read() as tx:
            begun = [Incoming(parcel, stored) for parcel, stored in courier.incoming(tx)]
        self._bodies = {one.parcel.item_id: one.parcel.body_id for one in begun}
        self._receiver = Receiver(
            ledger.post, self._is_stored, self._has_body, is_relay=is_relay or ledger.is_headquarters, incoming=begun
        )

    def tick(self) -> None:
        """To be called now and then."""
        expired = self._receiver.expired(self._ledger.block_time)
        if expired:
            with self._unit():
                self._carry_out(expired, [])
        if self._meter.is_due:
            with self._database.write() as tx:
                self._meter.write(tx, self._bodies.values())

    def received(self, peer: str, frames: Frames) -> Frames:
        """Take the frames that came together, in one transaction; the answers may go when this returns.

        Raises `Malformed` after a frame that cannot be: the stream ends. What came before it is kept.
        """
        answers: Answers = []
        fresh: Parcels = []
        self._broken = ""
        with self._unit(frames):
            for frame in frames:
                if not self._broken:
                    self._meter.received(peer, frame, self._envelope_of(frame))
                    fresh += self._carry_out(self._actions_of(peer, frame), answers)
        self._ledger.pulse.beat()
        self._queued(fresh)
        if self._broken:
            raise Malformed(self._broken, "the peer sent what cannot be")
        said = [pb.CarryFrame(answer=one) for one in _still_true(answers)]
        for frame in said:
            self._meter.sent(peer, frame)
        return said

    def _envelope_of(self, frame: pb.CarryFrame) -> bytes:
        """The envelope that a frame says it belongs to."""
        return frame.offer.envelope_id or self._bodies.get(frame.part.item_id, b"")

    @contextmanager
    def _unit(self, frames: Frames = ()) -> Iterator[None]:
        with self._database.write() as tx:
            self._arrivals = Arrivals(tx, self._ledger.clock(), frames)
            yield
            self._arrivals.flush()

    def _is_stored(self, item_id: bytes) -> bool:
        return self._arrivals.is_stored(item_id)

    def _has_body(self, envelope_id: bytes) -> bool:
        return self._arrivals.has_body(envelope_id)

    def _actions_of(self, peer: str, frame: pb.CarryFrame) -> list[Action]:
        match frame.WhichOneof("frame"):
            case "offer":
                try:
                    item = read_item(frame.offer)
                except Malformed as problem:
                    return [act.DropPeer(peer, problem.code)]
                if self._has_no_room(item):
                    return _no_room(peer, item.parcel)
                self._offered[item.parcel.item_id] = item
                final = self._ledger.follower.final
                return self._receiver.offered(peer, item.parcel, final, lambda: self._refusal(item))
            case "part":
                part = frame.part
                return self._receiver.part_received(peer, part.item_id, part.offset, part.data)
        return [act.DropPeer(peer, "bad-frame")]

    def _has_no_room(self, item: CourierItem) -> bool:
        """Whether an item that is new here exceeds the store."""
        item_id = item.parcel.item_id
        is_new = item_id not in self._bodies and not self._arrivals.is_stored(item_id)
        return is_new and self._storage.is_full(item.parcel.origin, _size(item))

    def _refusal(self, item: CourierItem) -> str:
        """The code of what is wrong with an item whose S this node has reached, or ""."""
        if item.parcel.kind == ItemKind.ENVELOPE and not self._arrivals.is_block_end(item.parcel.size_seen):
            return "no-such-size"
        return self._checks.refusal(item, self._ledger.chain.machine.state)

    def _carry_out(self, actions: list[Action], answers: Answers) -> Parcels:
        fresh: Parcels = []
        for action in actions:
            if isinstance(action, act.CheckBody):
                code = self._check_body(action.item_id)
                fresh += self._carry_out(self._receiver.body_checked(action.peer, action.item_id, code), answers)
            else:
                fresh.append(self._do(action, answers))
        return fresh

    def _do(self, action: Action, answers: Answers) -> Parcel | None:
        match action:
            case act.SendAnswer(_, item_id, verdict, offset, code):
                if verdict != Verdict.WANT:
                    self._offered.pop(item_id, None)
                answers.append(pb.Answer(item_id=item_id, verdict=verdict, offset=offset, code=code))
            case act.OpenIntake(item_id):
                item = self._offered.pop(item_id)
                self._bodies[item_id] = item.envelope_id
                self._storage.took(item.parcel.origin, _size(item))
                self._arrivals.open(item)
            case act.StorePart(item_id, offset, data):
                self._arrivals.add_part(self._bodies[item_id], offset, data)
            case act.StoreItem(item_id):
                return self._store_received(item_id)
            case act.DropIntake(item_id, with_body):
                self._offered.pop(item_id, None)
                if (begun := self._arrivals.item(item_id)) is not None:
                    self._storage.took(begun.parcel.origin, -_size(begun))
                self._arrivals.drop(item_id, self._bodies.pop(item_id), with_body=with_body)
            case act.CatchUp(peer, size):
                self._catch_up(peer, size)
            case act.Alarm(code, subject, text):
                _log.warning("alarm %s (%s): %s", code, subject, text)
                deposits.alarm(self._arrivals.tx, code, subject, text, self._ledger.clock())
            case act.DropPeer(_, code):
                self._broken = code
            case _:
                raise TypeError(f"the courier cannot carry out {type(action).__name__}")
        return None

    def _store_received(self, item_id: bytes) -> Parcel | None:
        was_begun = self._bodies.pop(item_id, None) is not None
        item = self._offered.pop(item_id, None) or self._arrivals.item(item_id)
        if item is None:
            raise LookupError("an item to be stored was never offered")
        if item.parcel.precedence == FLASH:
            _log.info("a FLASH has come from %s", item.parcel.origin)
        if not was_begun:
            self._storage.took(item.parcel.origin, _size(item))
        is_new = self._arrivals.is_new(item_id)
        self._arrivals.finish(item)
        return self._shelf.put(self._arrivals.rows, item, is_new=is_new)

    def _check_body(self, item_id: bytes) -> str:
        """The code of what is wrong with a body that has come whole, or ""."""
        item = self._arrivals.item(item_id)
        if item is None:
            return "unknown-item"
        check = BodyCheck(read_head(item.head))
        try:
            for data in self._arrivals.body(item.envelope_id):
                check.update(data)
            check.finish()
        except DutabartaError as problem:
            return problem.code
        return ""


def _size(item: CourierItem) -> int:
    """What it takes of the store; a body counts whole from its beginning on."""
    return len(item.head) + item.parcel.length


def _no_room(peer: str, parcel: Parcel) -> list[Action]:
    return [
        act.SendAnswer(peer, parcel.item_id, Verdict.NOT_YET, code=STORE_FULL),
        act.Alarm(STORE_FULL, parcel.origin, full_text(parcel.origin)),
    ]


def _still_true(answers: Answers) -> Answers:
    """Without each WANT that a later answer about the same item overtakes."""
    last = {one.item_id: number for number, one in enumerate(answers)}
    return [one for number, one in enumerate(answers) if one.verdict != Verdict.WANT or last[one.item_id] == number]
