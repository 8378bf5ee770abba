"""Case 10 of the design: the link is cut, or one side killed, at every frame; what is durable is not sent again."""

from __future__ import annotations

from collections import deque
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node import actions as act
from node.courier import PART_BYTES, ItemKind, Parcel, Sender
from node.intake import Incoming, Receiver
from node.pace import NARROW

ROUTINE, FLASH = 1, 4
HEAD = 4000


def parcel(number: int, precedence: int, length: int) -> Parcel:
    name = sha256(bytes([number])).digest()
    return Parcel(name, ItemKind.ENVELOPE, "DEL", "LON", precedence, 0, 1, length, name, number, HEAD)


class Hop:
    """Both ends of one link and their stores. Frames arrive in order, one a step; a cut loses all that fly."""

    def __init__(self, *parcels: Parcel, kbit: int = 64) -> None:
        self.parcels = {one.item_id: one for one in parcels}
        self.queued, self.kbit = dict(self.parcels), kbit
        self.durable: dict[bytes, int] = {}
        self.whole: set[bytes] = set()
        self.parts: list[act.SendPart] = []
        self.flying: deque[act.Action] = deque()
        self.now, self.frames, self.lost_bytes = 0.0, 0, 0
        self.start_sender()
        self.start_receiver()

    def start_sender(self) -> None:
        self.sender = Sender("DEL", "DHA", lambda: 0.5, queued=self.queued.values(), kbit=self.kbit, now=self.now)

    def start_receiver(self) -> None:
        begun = [Incoming(self.parcels[one], stored) for one, stored in self.durable.items() if one not in self.whole]
        self.receiver = Receiver("LON", self.whole.__contains__, lambda _: False, is_relay=False, incoming=begun)

    def link(self) -> None:
        self.send(self.sender.linked("LON", self.now))

    def cut(self) -> None:
        self.lost_bytes += sum(one.length for one in self.flying if isinstance(one, act.SendPart))
        self.flying.clear()
        self.send(self.sender.unlinked("LON", self.now))

    def send(self, actions: list[act.Action]) -> None:
        for action in actions:
            match action:
                case act.Handed(item_id, _):
                    del self.queued[item_id]
                case act.SendPart() | act.SendOffer() | act.SendAnswer():
                    self.flying.append(action)
                    self.parts += [action] if isinstance(action, act.SendPart) else []

    def store(self, actions: list[act.Action]) -> None:
        for action in actions:
            match action:
                case act.OpenIntake(item_id):
                    self.durable[item_id] = 0
                case act.StorePart(item_id, offset, data):
                    assert offset == self.durable[item_id]
                    self.durable[item_id] += len(data)
                case act.CheckBody(peer, item_id):
                    self.store(self.receiver.body_checked(peer, item_id, ""))
                case act.StoreItem(item_id):
                    self.whole.add(item_id)
                case act.SendAnswer():
                    self.flying.append(action)

    def step(self) -> None:
        """One frame arrives; without any, time passes."""
        self.now += 0.5
        if not self.flying:
            self.send(self.sender.tick(self.now, 0))
            return
        self.frames += 1
        match self.flying.popleft():
            case act.SendOffer(_, item_id):
                self.store(self.receiver.offered("DEL", self.parcels[item_id], 9, lambda: ""))
            case act.SendPart(_, item_id, offset, length):
                self.store(self.receiver.part_received("DEL", item_id, offset, bytes(length)))
            case act.SendAnswer(_, item_id, verdict, offset, code):
                self.send(self.sender.answered("LON", item_id, verdict, offset, code, self.now))

    def run(self, frames: int = 10_000) -> None:
        while self.queued and self.frames < frames:
            assert self.now < 100_000, "it never ends"
            self.step()

    @property
    def sent(self) -> int:
        return sum(one.length for one in self.parts)


BODY = 9 * PART_BYTES + 123
UNCUT = 40
"""Frames and answers of a body of ten parts and a FLASH, or more."""


def both() -> Hop:
    hop = Hop(parcel(1, ROUTINE, BODY), parcel(2, FLASH, 500))
    hop.link()
    return hop


def test_without_a_cut_nothing_is_sent_twice() -> None:
    hop = both()
    hop.run()
    assert hop.sent == BODY + 500 and hop.frames <= UNCUT


@pytest.mark.parametrize("killed", ["nobody", "sender", "receiver", "both"])
@pytest.mark.parametrize("at", range(UNCUT))
def test_cut_at_every_frame_it_resumes_at_the_durable_offset(at: int, killed: str) -> None:
    hop = both()
    hop.run(at)
    hop.cut()
    if killed in ("sender", "both"):
        hop.start_sender()
    if killed in ("receiver", "both"):
        hop.start_receiver()
    durable = dict(hop.durable)
    before = len(hop.parts)
    hop.link()
    hop.run()
    assert hop.whole == set(hop.parcels) and not hop.queued
    big = parcel(1, ROUTINE, BODY).item_id
    again = [one.offset for one in hop.parts[before:] if one.item_id == big]
    assert not again or again[0] == durable.get(big, 0)
    assert hop.sent <= BODY + 500 + NARROW * PART_BYTES + 500, "beyond the frames in flight"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=20), st.sampled_from([0, 64, 5000]))
def test_after_any_number_of_cuts_no_more_is_sent_twice_than_was_in_flight(steps: list[int], kbit: int) -> None:
    hop = Hop(parcel(1, ROUTINE, 40 * PART_BYTES), kbit=kbit)
    for count in steps:
        hop.link()
        hop.run(hop.frames + count)
        hop.cut()
    hop.link()
    hop.run()
    assert hop.sent == 40 * PART_BYTES + hop.lost_bytes


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 3))
def test_a_flash_is_the_next_frame_whatever_is_under_way(at: int, others: int) -> None:
    hop = Hop(*(parcel(number, number, 30 * PART_BYTES) for number in range(1, others + 1)))
    hop.link()
    hop.run(at)
    flash = parcel(9, FLASH, 700)
    hop.parcels[flash.item_id] = hop.queued[flash.item_id] = flash
    assert hop.sender.queued(flash, hop.now) == [
        act.SendOffer("LON", flash.item_id),
        act.SendPart("LON", flash.item_id, 0, 700),
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(16, 500), st.lists(st.integers(1, 3 * PART_BYTES), min_size=1, max_size=30))
def test_the_link_budget_is_respected_and_nothing_starves(kbit: int, lengths: list[int]) -> None:
    hop = Hop(*(parcel(number, 1 + number % 3, length) for number, length in enumerate(lengths)), kbit=kbit)
    hop.link()
    hop.run()
    carried = hop.sent + HEAD * len(lengths)
    assert carried <= 2 * PART_BYTES + HEAD + kbit * 125 * (hop.now + 1)
