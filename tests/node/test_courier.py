"""The courier's sending side, alone and against its receiving side over a bad link."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import actions as act
from node.courier import (
    ANSWER_SECONDS,
    LAST_RETRY_SECONDS,
    PART_BYTES,
    RELAY_AFTER_SECONDS,
    ItemKind,
    Parcel,
    Sender,
    Verdict,
)
from node.intake import Receiver
from node.pace import HOLD_SECONDS, LIVE_SECONDS, Budget

ROUTINE, FLASH = 1, 4


def parcel(number: int, precedence: int = ROUTINE, *, to: str = "LON", length: int = 0, expires_at: int = 0) -> Parcel:
    name = sha256(f"{number}/{to}".encode()).digest()
    head_bytes = 100 if length else PART_BYTES
    body_id = name if length else b""
    return Parcel(
        name, ItemKind.ENVELOPE, "DEL", to, precedence, expires_at, 1, length, body_id, number, head_bytes=head_bytes
    )


def sender(window: int = 16, *queued: Parcel) -> Sender:
    return Sender("DEL", "DHA", lambda: 0.5, queued=queued, window=window)


def offers(actions: list[act.Action]) -> list[bytes]:
    return [one.item_id for one in actions if isinstance(one, act.SendOffer)]


# --- order -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), max_size=40), st.integers(1, 8))
def test_strict_precedence_then_first_come(precedences: list[int], window: int) -> None:
    parcels = [parcel(number, precedence) for number, precedence in enumerate(precedences)]
    one = sender(window, *parcels)
    sent = offers(one.linked("LON", 0))
    for item_id in sent:  # grows while it is read: each answer makes room for the next offer
        sent += offers(one.answered("LON", item_id, Verdict.STORED, 0, "", 0))
    assert sent == [each.item_id for each in sorted(parcels, key=lambda each: (-each.precedence, each.arrival))]


def test_a_flash_overtakes_a_large_body_which_resumes() -> None:
    big, flash = parcel(1, length=10 * PART_BYTES), parcel(2, FLASH, length=100)
    one = sender(2, big)
    one.linked("LON", 0)
    parts = one.answered("LON", big.item_id, Verdict.WANT, 0, "", 1)
    assert parts == [
        act.SendPart("LON", big.item_id, 0, PART_BYTES),
        act.SendPart("LON", big.item_id, PART_BYTES, PART_BYTES),
    ]
    assert one.queued(parcel(3, FLASH - 1), 1) == [], "two frames are unacknowledged"
    assert one.queued(flash, 1) == [
        act.SendOffer("LON", flash.item_id),
        act.SendPart("LON", flash.item_id, 0, 100),
    ], "one frame is kept for a FLASH"
    assert one.queued(parcel(4, FLASH), 1) == [], "and no more"
    assert one.answered("LON", flash.item_id, Verdict.WANT, 0, "", 0) == [], "its part is on the way"
    assert one.answered("LON", flash.item_id, Verdict.STORED, 0, "", 4) == [
        act.Handed(flash.item_id, "LON"),
        act.SendOffer("LON", parcel(4, FLASH).item_id),
    ]
    assert one.answered("LON", parcel(4, FLASH).item_id, Verdict.STORED, 0, "", 6) == [
        act.Handed(parcel(4, FLASH).item_id, "LON")
    ]
    assert one.answered("LON", big.item_id, Verdict.WANT, 2 * PART_BYTES, "", 8) == [
        act.SendOffer("LON", parcel(3).item_id),
        act.SendPart("LON", big.item_id, 2 * PART_BYTES, PART_BYTES),
    ]
    resumed = one.answered("LON", parcel(3).item_id, Verdict.STORED, 0, "", 9)
    assert resumed[1:] == [act.SendPart("LON", big.item_id, 3 * PART_BYTES, PART_BYTES)]


def test_after_a_pause_a_short_body_waits_to_be_wanted() -> None:
    short = parcel(1, length=100)
    one = sender(16, short)
    assert one.linked("LON", 0) == [act.SendOffer("LON", short.item_id), act.SendPart("LON", short.item_id, 0, 100)]
    assert one.answered("LON", short.item_id, Verdict.NOT_YET, 0, "not-caught-up", 0) == []
    assert one.answered("LON", short.item_id, Verdict.NOT_YET, 0, "not-offered", 0) == [], "the answer to the part"
    assert one.tick(5, 0) == [act.SendOffer("LON", short.item_id)]
    assert one.answered("LON", short.item_id, Verdict.WANT, 0, "", 5) == [act.SendPart("LON", short.item_id, 0, 100)]


@pytest.mark.parametrize(("answer_seconds", "frames"), [(0.005, 32), (1.0, 2)])
def test_the_window_follows_the_pace_of_the_link(answer_seconds: float, frames: int) -> None:
    one, now = Sender("DEL", "DHA", lambda: 0.5, queued=[parcel(number) for number in range(500)], widest=32), 0.0
    under_way = offers(one.linked("LON", now))
    for _ in range(100):
        now += answer_seconds
        under_way += offers(one.answered("LON", under_way.pop(0), Verdict.STORED, 0, "", now))
    assert len(under_way) == frames


def test_the_window_bounds_what_is_unacknowledged() -> None:
    one = sender(3, *(parcel(number) for number in range(10)))
    assert len(one.linked("LON", 0)) == 2, "nothing is known of the link"
    assert one.tick(1, 0) == []


# --- links -------------------------------------------------------------------------------------------------------


def test_what_was_under_way_is_offered_again_on_the_next_link() -> None:
    big = parcel(1, length=10 * PART_BYTES)
    one = sender(2, big)
    one.linked("LON", 0)
    one.answered("LON", big.item_id, Verdict.WANT, 0, "", 0)
    assert one.unlinked("LON", 1) == []
    assert one.linked("LON", 2) == [act.SendOffer("LON", big.item_id)]
    [first, _] = one.answered("LON", big.item_id, Verdict.WANT, 5 * PART_BYTES, "", 2)
    assert first == act.SendPart("LON", big.item_id, 5 * PART_BYTES, PART_BYTES)


def test_an_item_without_answer_is_offered_again_for_ever() -> None:
    one, now = sender(16, parcel(1)), 0.0
    one.linked("LON", now)
    pauses = []
    for _ in range(12):
        started = now
        while not offers(one.tick(now, 0)):
            now += 0.5
        pauses.append(now - started)
        now += 0.5
    assert pauses == sorted(pauses) and pauses[-1] <= ANSWER_SECONDS + 1.5 * LAST_RETRY_SECONDS


def test_headquarters_carries_for_a_post_that_is_long_away() -> None:
    one = sender(16, parcel(1))
    assert one.linked("DHA", 0) == []
    assert one.tick(RELAY_AFTER_SECONDS - 1, 0) == []
    assert one.tick(RELAY_AFTER_SECONDS, 0) == [act.SendOffer("DHA", parcel(1).item_id)]
    assert one.answered("DHA", parcel(1).item_id, Verdict.STORED, 0, "", 31) == [act.Handed(parcel(1).item_id, "DHA")]
    assert one.parcels == ()


def named_relay(*queued: Parcel) -> Sender:
    return Sender("DEL", "DHA", lambda: 0.5, queued=queued, relays={"LON": "PAR"})


def test_a_named_relay_carries_for_a_post_that_is_long_away() -> None:
    one = named_relay(parcel(1))
    assert one.linked("DHA", 0) == [] and one.linked("PAR", 0) == []
    assert one.tick(RELAY_AFTER_SECONDS - 1, 0) == []
    assert one.tick(RELAY_AFTER_SECONDS, 0) == [act.SendOffer("PAR", parcel(1).item_id)]


def test_while_the_named_relay_is_away_it_is_headquarters() -> None:
    one = named_relay(parcel(1))
    one.linked("DHA", 0)
    assert one.tick(RELAY_AFTER_SECONDS, 0) == [act.SendOffer("DHA", parcel(1).item_id)]
    assert one.linked("PAR", RELAY_AFTER_SECONDS) == [], "it is under way"
    again = one.unlinked("DHA", RELAY_AFTER_SECONDS + 1)
    assert again == [act.SendOffer("PAR", parcel(1).item_id)]


def test_a_named_relay_gets_nothing_for_others() -> None:
    one = Sender("DEL", "DHA", lambda: 0.5, queued=[parcel(1)], relays={"TYO": "PAR"})
    one.linked("PAR", 0)
    assert one.tick(RELAY_AFTER_SECONDS, 0) == []


def test_a_linked_post_gets_its_items_itself() -> None:
    one = sender(16, parcel(1))
    one.linked("DHA", 0)
    one.linked("LON", 5)
    assert one.tick(RELAY_AFTER_SECONDS, 0) == []


def test_an_answer_of_somebody_else_changes_nothing() -> None:
    one = sender(16, parcel(1))
    one.linked("LON", 0)
    one.linked("WAS", 0)
    assert one.answered("WAS", parcel(1).item_id, Verdict.STORED, 0, "", 0) == []
    assert one.answered("LON", bytes(32), Verdict.STORED, 0, "", 0) == []
    assert one.parcels == (parcel(1),)


@pytest.mark.parametrize("offset", [-1, 101, 2**63])
def test_an_impossible_offset_changes_nothing(offset: int) -> None:
    one = sender(16, parcel(1, length=100))
    one.linked("LON", 0)
    assert one.answered("LON", parcel(1).item_id, Verdict.WANT, offset, "", 0) == []


def test_not_yet_keeps_the_item() -> None:
    one = sender(16, parcel(1))
    one.linked("LON", 0)
    assert one.answered("LON", parcel(1).item_id, Verdict.NOT_YET, 0, "not-caught-up", 0) == []
    assert offers(one.tick(0.4, 0)) == [] and offers(one.tick(1.5, 0)) == [parcel(1).item_id]


def test_a_refusal_is_noted_and_shown() -> None:
    one = sender(16, parcel(1))
    one.linked("LON", 0)
    actions = one.answered("LON", parcel(1).item_id, Verdict.REFUSED, 0, "bad-signature", 0)
    assert [type(each) for each in actions] == [act.ItemRefused, act.Alarm] and one.parcels == ()


def test_expiry_goes_by_block_time() -> None:
    one = sender(16, parcel(1, expires_at=1000))
    assert one.tick(10**9, 0) == [] and one.tick(10**9, 1000) == []
    assert one.tick(0, 1001) == [act.ItemExpired(parcel(1).item_id)]
    assert one.parcels == ()


def test_the_same_item_is_queued_once() -> None:
    one = sender(16, parcel(1))
    one.queued(parcel(1), 0)
    assert len(offers(one.linked("LON", 0))) == 1


# --- both sides over a bad link ------------------------------------------------------------------------------------


@dataclass
class Station:
    """A receiver and its store."""

    bodies: dict[bytes, bytearray] = field(default_factory=dict)
    stored: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receiver = Receiver("LON", self.stored.__contains__, lambda _: False, is_relay=False)

    def run(self, actions: list[act.Action]) -> list[act.SendAnswer]:
        answers: list[act.SendAnswer] = []
        for action in actions:
            match action:
                case act.SendAnswer():
                    answers.append(action)
                case act.OpenIntake(item_id):
                    self.bodies[item_id] = bytearray()
                case act.StorePart(item_id, offset, data):
                    assert offset == len(self.bodies[item_id])
                    self.bodies[item_id] += data
                case act.CheckBody(peer, item_id):
                    answers += self.run(self.receiver.body_checked(peer, item_id, ""))
                case act.StoreItem(item_id):
                    assert item_id not in self.stored, "stored twice"
                    self.stored.append(item_id)
        return answers


@given(st.integers(0, 2**32), st.floats(0, 0.6), st.integers(1, 16))
def test_every_body_arrives_whole_and_once_whatever_the_link_does(seed: int, loss: float, window: int) -> None:
    random = Random(seed)
    parcels = {one.item_id: one for n in range(4) for one in [parcel(n, 1 + n % 4, length=random.randint(1, 40_000))]}
    contents = {item_id: random.randbytes(one.length) for item_id, one in parcels.items()}
    one = Sender("DEL", "DHA", random.random, queued=parcels.values(), window=window)
    station, now = Station(), 0.0
    flying: list[act.Action] = [*one.linked("LON", now)]
    while one.parcels and now < 50_000:
        now += random.random()
        random.shuffle(flying)
        arriving, flying = flying, [*one.tick(now, 0)]
        for frame in arriving:
            if random.random() < loss:
                continue
            copies = [frame] * random.choice((1, 1, 2))
            for each in copies:
                match each:
                    case act.SendOffer(_, item_id):
                        flying += station.run(station.receiver.offered("DEL", parcels[item_id], 9, lambda: ""))
                    case act.SendPart(_, item_id, offset, length):
                        data = contents[item_id][offset : offset + length]
                        flying += station.run(station.receiver.part_received("DEL", item_id, offset, data))
                    case act.SendAnswer(_, item_id, verdict, offset, code):
                        flying += one.answered("LON", item_id, verdict, offset, code, now)
    assert not one.parcels
    assert {item_id: bytes(body) for item_id, body in station.bodies.items()} == contents
    assert sorted(station.stored) == sorted(parcels)


def parts(actions: list[act.Action]) -> list[int]:
    return [one.offset for one in actions if isinstance(one, act.SendPart)]


# --- the hotline goes first --------------------------------------------------------------------------------------


def test_while_a_hotline_frame_is_under_way_nothing_starts_not_even_a_flash() -> None:
    one = sender()
    one.linked("LON", 0.0)
    one.hold("LON", 500, 0.0)
    assert not one.queued(parcel(1, FLASH), 0.1) and not one.queued(parcel(2), 0.1)
    assert offers(one.release("LON", 0.2)) == [parcel(1, FLASH).item_id], "then one frame at a time: somebody talks"


def test_a_hotline_frame_without_answer_holds_nothing_for_long_and_no_other_link() -> None:
    one = sender()
    for post in ("LON", "WAS"):
        one.linked(post, 0.0)
    one.hold("LON", 500, 0.0)
    assert offers(one.queued(parcel(1, to="WAS"), 0.1)) == [parcel(1, to="WAS").item_id]
    assert not one.queued(parcel(2), 0.1)
    assert offers(one.tick(HOLD_SECONDS, 0)) == [parcel(2).item_id]


def test_a_post_with_one_thin_line_holds_all_its_links_and_the_budget_pays() -> None:
    one = Sender("DEL", "DHA", lambda: 0.5, window=16, kbit=64)
    for post in ("LON", "WAS"):
        one.linked(post, 0.0)
    one.hold("LON", 4000, 0.0)
    assert not one.queued(parcel(1, to="WAS"), 0.1)
    assert offers(one.release("LON", 0.2))
    spent = Budget(64)
    spent.spend(10 * PART_BYTES, 0.0)
    assert spent.tokens == -spent.most and not spent.take(1, ROUTINE, 0.0)


def test_while_somebody_talks_a_thin_link_carries_one_frame_and_later_two_again() -> None:
    one = sender()
    one.hold("LON", 500, 0.0)
    one.release("LON", 0.0)
    big = parcel(1, length=10 * PART_BYTES)
    one.linked("LON", 0.0)
    one.queued(big, 0.0)
    assert len(parts(one.answered("LON", big.item_id, Verdict.WANT, 0, "", 0.5))) == 1
    assert not parts(one.tick(1.0, 0))
    later = one.answered("LON", big.item_id, Verdict.WANT, PART_BYTES, "", LIVE_SECONDS + 3)
    assert len(parts(later)) == 2
