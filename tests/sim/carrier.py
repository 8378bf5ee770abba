"""The courier's part of a simulated node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crypto_msg.envelope import check_head, decode_head, read_outer, verify_body
from node import actions as act
from node.chain import Chain
from node.courier import ItemKind, Parcel, Sender
from node.intake import Receiver
from protos.errors import DutabartaError
from sim.disk import Disk


class Carrier:
    """Sender and receiver over the disk; `run` carries out what they answer."""

    def __init__(
        self,
        world: Any,
        code: str,
        disk: Disk,
        chain: Chain,
        run: Callable[[Sequence[act.Action]], None],
        final: Callable[[], int],
    ) -> None:
        self.world, self.code, self.disk, self.chain, self.run, self.final = world, code, disk, chain, run, final
        self.sender = Sender(code, world.headquarters, world.random.random, queued=disk.queued(), now=world.monotonic())
        self.receiver = Receiver(
            code, disk.is_whole, disk.has_body, is_relay=code == world.headquarters, incoming=disk.incoming()
        )
        self._offered: dict[bytes, tuple[Parcel, bytes, bytes]] = {}

    # --- actions -----------------------------------------------------------------------------------------

    def do_SendOffer(self, offer: act.SendOffer) -> None:
        item = self.disk.items[offer.item_id]
        self.world.send(self.code, offer.peer, ("offer", item.parcel, item.head, item.envelope_id))

    def do_SendPart(self, part: act.SendPart) -> None:
        body = self.disk.bodies[self.disk.items[part.item_id].envelope_id]
        data = bytes(body[part.offset : part.offset + part.length])
        self.world.send(self.code, part.peer, ("part", part.item_id, part.offset, data))

    def do_SendAnswer(self, answer: act.SendAnswer) -> None:
        self.world.send(self.code, answer.peer, ("answer", answer.item_id, answer.verdict, answer.offset, answer.code))

    def do_OpenIntake(self, intake: act.OpenIntake) -> None:
        parcel, head, envelope_id = self._offer_of(intake.item_id)
        self.disk.open_body(envelope_id)
        self.disk.store(parcel, head, envelope_id, "incoming")

    def do_StorePart(self, part: act.StorePart) -> None:
        body = self.disk.bodies[self.disk.items[part.item_id].envelope_id]
        if part.offset != len(body):
            raise AssertionError(f"a part at {part.offset} is stored behind {len(body)} bytes")
        body += part.data

    def do_CheckBody(self, check: act.CheckBody) -> None:
        item, code = self.disk.items[check.item_id], ""
        try:
            verify_body(decode_head(item.head), bytes(self.disk.bodies[item.envelope_id]))
        except DutabartaError as problem:
            code = problem.code
        if not code:
            self.disk.whole_bodies.add(item.envelope_id)
        self.run(self.receiver.body_checked(check.peer, check.item_id, code))

    def do_StoreItem(self, stored: act.StoreItem) -> None:
        parcel, head, envelope_id = self._offer_of(stored.item_id)
        is_here = parcel.destination == self.code
        parcel = self.disk.store(parcel, head, envelope_id, "here" if is_here else "queued")
        if not is_here:
            self.run(self.sender.queued(parcel, self.world.monotonic()))

    def do_DropIntake(self, drop: act.DropIntake) -> None:
        item = self.disk.items.pop(drop.item_id)
        if drop.with_body:
            del self.disk.bodies[item.envelope_id]

    def do_Handed(self, handed: act.Handed) -> None:
        self.disk.items[handed.item_id].state = "handed"

    def do_ItemRefused(self, refused: act.ItemRefused) -> None:
        self.disk.items[refused.item_id].state = "refused"

    def do_ItemExpired(self, expired: act.ItemExpired) -> None:
        self.disk.items[expired.item_id].state = "expired"

    # --- messages ----------------------------------------------------------------------------------------

    def on_offer(self, peer: str, parcel: Parcel, head: bytes, envelope_id: bytes) -> None:
        self._offered[parcel.item_id] = parcel, head, envelope_id
        self.run(self.receiver.offered(peer, parcel, self.final(), lambda: self._refusal(parcel, head)))

    def on_part(self, peer: str, item_id: bytes, offset: int, data: bytes) -> None:
        self.run(self.receiver.part_received(peer, item_id, offset, data))

    def on_answer(self, peer: str, item_id: bytes, verdict: int, offset: int, code: str) -> None:
        self.run(self.sender.answered(peer, item_id, verdict, offset, code, self.world.monotonic()))

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
