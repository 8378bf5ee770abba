"""The courier's receiving side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node import actions as act
from node import intake
from node.courier import PART_BYTES, ItemKind, Parcel, Verdict
from node.intake import PATIENCE, STALE_SECONDS, Incoming, Receiver

HERE = "LON"
FINAL = 10
BODY = b"b" * 32


def envelope(
    number: int = 1, *, to: str = HERE, length: int = 100, body_id: bytes = BODY, size_seen: int = 5
) -> Parcel:
    item_id = bytes([number]) * 32
    return Parcel(item_id, ItemKind.ENVELOPE, "DEL", to, 1, 0, size_seen, length, body_id)


def receipt(number: int = 1) -> Parcel:
    return replace(envelope(number), kind=ItemKind.DELIVERED, length=0, body_id=b"")


def receiver(*, stored: tuple[bytes, ...] = (), bodies: tuple[bytes, ...] = (), is_relay: bool = False) -> Receiver:
    return Receiver(HERE, stored.__contains__, bodies.__contains__, is_relay=is_relay)


def offer(one: Receiver, parcel: Parcel, peer: str = "DEL", refusal: str = "") -> list[act.Action]:
    return one.offered(peer, parcel, FINAL, lambda: refusal)


def answer(parcel: Parcel, verdict: Verdict, offset: int = 0, code: str = "", peer: str = "DEL") -> act.SendAnswer:
    return act.SendAnswer(peer, parcel.item_id, verdict, offset, code)


def test_an_item_without_body_is_stored_before_the_answer() -> None:
    assert offer(receiver(), receipt()) == [act.StoreItem(receipt().item_id), answer(receipt(), Verdict.STORED)]


def test_a_body_is_asked_for_stored_checked_and_only_then_acknowledged() -> None:
    one, parcel = receiver(), envelope()
    assert offer(one, parcel) == [act.OpenIntake(parcel.item_id), answer(parcel, Verdict.WANT)]
    first = one.part_received("DEL", parcel.item_id, 0, b"x" * 60)
    assert first == [act.StorePart(parcel.item_id, 0, b"x" * 60), answer(parcel, Verdict.WANT, 60)]
    last = one.part_received("DEL", parcel.item_id, 60, b"x" * 40)
    assert last == [act.StorePart(parcel.item_id, 60, b"x" * 40), act.CheckBody("DEL", parcel.item_id)]
    done = one.body_checked("DEL", parcel.item_id, "")
    assert done == [act.StoreItem(parcel.item_id), answer(parcel, Verdict.STORED)]


def test_a_duplicate_is_answered_from_the_record() -> None:
    parcel = envelope()
    assert offer(receiver(stored=(parcel.item_id,)), parcel) == [answer(parcel, Verdict.STORED)]


def test_below_s_nothing_is_stored_and_the_entries_are_fetched() -> None:
    parcel = envelope(size_seen=FINAL + 1)
    actions = receiver().offered("DEL", parcel, FINAL, lambda: pytest.fail("judged before its time"))
    assert actions == [act.CatchUp("DEL", FINAL + 1), answer(parcel, Verdict.NOT_YET, code="not-caught-up")]


def test_what_the_check_refuses_stores_nothing() -> None:
    assert offer(receiver(), envelope(), refusal="bad-signature") == [
        answer(envelope(), Verdict.REFUSED, code="bad-signature")
    ]


def test_only_headquarters_takes_items_for_others() -> None:
    parcel = envelope(to="WAS")
    assert offer(receiver(), parcel) == [answer(parcel, Verdict.REFUSED, code="not-for-this-post")]
    assert offer(receiver(is_relay=True), parcel)[0] == act.OpenIntake(parcel.item_id)


def test_parts_out_of_order_are_answered_with_what_is_stored() -> None:
    one, parcel = receiver(), envelope()
    offer(one, parcel)
    assert one.part_received("DEL", parcel.item_id, 50, b"x" * 50) == [answer(parcel, Verdict.WANT)]
    one.part_received("DEL", parcel.item_id, 0, b"x" * 50)
    assert one.part_received("DEL", parcel.item_id, 0, b"x" * 50) == [answer(parcel, Verdict.WANT, 50)]


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (0, PART_BYTES + 1), (90, 11)])
def test_a_part_that_cannot_be_drops_the_peer(offset: int, size: int) -> None:
    one, parcel = receiver(), envelope()
    offer(one, parcel)
    assert one.part_received("DEL", parcel.item_id, offset, b"x" * size) == [act.DropPeer("DEL", "bad-part")]


def test_a_part_that_nobody_offered_stores_nothing() -> None:
    [answered] = receiver().part_received("DEL", bytes(32), 0, b"x")
    assert isinstance(answered, act.SendAnswer) and answered.verdict == Verdict.NOT_YET


def test_a_restart_resumes_where_the_store_ends() -> None:
    parcel = envelope()
    one = Receiver(HERE, lambda _: False, lambda _: False, is_relay=False, incoming=[Incoming(parcel, 60)])
    assert offer(one, parcel) == [answer(parcel, Verdict.WANT, 60)]
    whole = Receiver(HERE, lambda _: False, lambda _: False, is_relay=False, incoming=[Incoming(parcel, 100)])
    assert offer(whole, parcel) == [act.CheckBody("DEL", parcel.item_id)]


def test_a_wrong_body_is_refused_and_forgotten() -> None:
    one, parcel = receiver(), envelope()
    offer(one, parcel)
    one.part_received("DEL", parcel.item_id, 0, b"x" * 100)
    dropped, answered, alarm = one.body_checked("DEL", parcel.item_id, "body-changed")
    assert dropped == act.DropIntake(parcel.item_id, with_body=True)
    assert answered == answer(parcel, Verdict.REFUSED, code="body-changed") and isinstance(alarm, act.Alarm)


def test_a_body_spoilt_by_another_peer_is_asked_for_again() -> None:
    one, parcel = receiver(), envelope()
    offer(one, parcel, peer="WAS")
    one.part_received("WAS", parcel.item_id, 0, b"?" * 50)
    assert offer(one, parcel, peer="DEL") == [answer(parcel, Verdict.WANT, 50)]
    one.part_received("DEL", parcel.item_id, 50, b"x" * 50)
    _, answered, _ = one.body_checked("DEL", parcel.item_id, "body-changed")
    assert answered == answer(parcel, Verdict.NOT_YET, code="body-changed")
    assert offer(one, parcel) == [act.OpenIntake(parcel.item_id), answer(parcel, Verdict.WANT)]


def test_a_relay_takes_a_body_once_for_all_destinations() -> None:
    here, there = envelope(1), envelope(2, to="WAS")
    one = receiver(is_relay=True)
    offer(one, here)
    assert offer(one, there) == [answer(there, Verdict.NOT_YET, code="body-under-way")]
    one = receiver(is_relay=True, bodies=(BODY,))
    assert offer(one, there) == [act.OpenIntake(there.item_id), act.CheckBody("DEL", there.item_id)]
    dropped = one.body_checked("DEL", there.item_id, "body-changed")[0]
    assert dropped == act.DropIntake(there.item_id, with_body=False), "the other head's body stays"


def test_an_abandoned_body_is_taken_over_with_what_is_stored() -> None:
    abandoned, waiting = envelope(1), envelope(2, to="WAS")
    one = receiver(is_relay=True)
    offer(one, abandoned)
    one.part_received("DEL", abandoned.item_id, 0, b"x" * 60)
    for _ in range(PATIENCE):
        assert offer(one, waiting) == [answer(waiting, Verdict.NOT_YET, code="body-under-way")]
    assert offer(one, waiting) == [
        act.DropIntake(abandoned.item_id, with_body=False),
        act.OpenIntake(waiting.item_id),
        answer(waiting, Verdict.WANT, 60),
    ]


def test_beginnings_are_bounded_and_the_stalest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_OPEN", 2)
    one = receiver()
    parcels = [envelope(number, body_id=bytes([number]) * 32) for number in (1, 2, 3)]
    offer(one, parcels[0])
    offer(one, parcels[1])
    one.part_received("DEL", parcels[0].item_id, 0, b"x")
    assert offer(one, parcels[2])[0] == act.DropIntake(parcels[1].item_id, with_body=True)


def test_the_bytes_of_beginnings_are_bounded_by_post_and_what_goes_on_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_BEGUN_BYTES", 100)
    one = receiver()
    parcels = [envelope(number, body_id=bytes([number]) * 32) for number in (1, 2, 3)]
    other = replace(envelope(4, body_id=b"4" * 32), origin="WAS")
    for each in (*parcels, other):
        offer(one, each)
        dropped = one.part_received("DEL", each.item_id, 0, b"x" * 40)[:-2]
    assert dropped == [], "another post's"
    offer(one, parcels[0])
    second, third = (each.item_id for each in parcels[1:])
    kept = one.part_received("DEL", second, 40, b"x" * 20)[0]
    assert kept == act.StorePart(second, 40, b"x" * 20), "the first had given way to the third"
    assert one.part_received("DEL", second, 60, b"x" * 30)[0] == act.DropIntake(third, with_body=True)
    assert offer(one, parcels[1]) == [answer(parcels[1], Verdict.WANT, 90)]


def test_a_beginning_that_stands_still_is_forgotten_and_one_that_goes_on_is_not() -> None:
    one, now = receiver(), 1_000_000
    offer(one, envelope())
    assert one.expired(0) == [] and one.expired(now) == []
    assert one.expired(now + STALE_SECONDS) == []
    one.part_received("DEL", envelope().item_id, 0, b"x")
    assert one.expired(now + STALE_SECONDS + 1) == [] and one.expired(now + 2 * STALE_SECONDS + 1) == []
    assert one.expired(now + 2 * STALE_SECONDS + 2) == [act.DropIntake(envelope().item_id, with_body=True)]
    assert offer(one, envelope())[-1] == answer(envelope(), Verdict.WANT)


def test_expired_beginnings_are_forgotten() -> None:
    one = receiver()
    offer(one, replace(envelope(), expires_at=1000))
    assert one.expired(1000) == []
    assert one.expired(1001) == [act.DropIntake(envelope().item_id, with_body=True)]
