"""A shift handed over from terminal to terminal, and what it means for co-releases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.bodies import ShiftChanged
from ledger.entry import decode_entry_leaf
from ledger.wire import CODEC
from node.wire import Present
from protos.errors import DutabartaError, Malformed, Refused, VerificationFailed
from support.ministry import Ministry, Officers
from terminal import handover, roster
from terminal.compose import Composition
from terminal.request import Request, parse_request
from terminal.terminal import Terminal


def officer_of(terminal: Terminal):  # type: ignore[no-untyped-def]
    return terminal.session.view.judge(terminal.session.own)[0]


def duty_of(terminal: Terminal):  # type: ignore[no-untyped-def]
    return handover.duty_list(terminal.session, terminal.alarms())


def take(taker: Terminal, supervisor: Terminal) -> None:
    request = roster.approve_as(supervisor.session, handover.take(taker.session))
    roster.submit_request(taker.session, request)


def hand_over(outgoing: Terminal, incoming: Terminal) -> Request:
    offered = handover.offer(outgoing.session, officer_of(incoming), duty_of(outgoing))
    return parse_request(offered.format().encode())


def accept(incoming: Terminal, request: Request) -> None:
    roster.submit_request(incoming.session, handover.accept(incoming.session, request))


def holder(ministry: Ministry, post: str) -> bytes:
    shift = ministry.machine.state.shift(post)
    return b"" if shift is None else shift.officer_id


def test_a_shift_is_taken_and_handed_over_with_what_is_pending(ministry: Ministry, officer: Officers) -> None:
    first, second, writer = officer("DEL"), officer("DEL", "second"), officer("DHA")
    take(first, second)
    assert holder(ministry, "DEL") == first.session.officer_id
    sent = [writer.send(Composition(("DEL",), 2, 3, str(n), "Text.")).envelope_id for n in range(3)]
    first.sync()
    first.acknowledge(sent[0])
    first.read(sent[1])
    draft = first.draft(Composition(("DHA",), 2, 3, "Draft", "Text.")).envelope_id
    second.sync()

    request = hand_over(first, second)
    offered = handover.read_offer(request)
    assert offered.duty.unacknowledged == tuple(sent[1:]) and offered.duty.drafts == (draft,)
    assert handover.missing_here(second.session, offered.duty) == []
    accept(second, request)
    shift = ministry.machine.state.shift("DEL")
    assert shift is not None and shift.officer_id == second.session.officer_id
    assert shift.former_id == first.session.officer_id and len(shift.list_hash) == 32


def test_the_ledger_holds_nothing_but_post_ids_and_hash(ministry: Ministry, officer: Officers) -> None:
    first, second = officer("DEL"), officer("DEL", "second")
    take(first, second)
    sent = officer("DHA").send(Composition(("DEL",), 2, 3, "Trade", "Text."))
    first.sync()
    signed = handover.accept(second.session, hand_over(first, second))
    leaf = signed.entries[0].leaf()
    body = CODEC.decode(ShiftChanged, decode_entry_leaf(leaf).entry.payload, limit=1000)
    assert (body.outgoing, body.incoming) == (first.session.officer_id, second.session.officer_id)
    assert sent.envelope_id not in leaf and sent.cable_id not in leaf
    again = handover.encode_list(duty_of(first))
    assert handover.list_hash(again) != body.list_hash, "the same list under another salt has another hash"


def test_a_cable_that_the_incoming_terminal_does_not_hold_is_named(ministry: Ministry, officer: Officers) -> None:
    first, second = officer("DEL"), officer("DEL", "second")
    take(first, second)
    sent = officer("DHA").send(Composition(("DEL",), 2, 3, "Trade", "Text."))
    first.sync()
    duty = handover.read_offer(hand_over(first, second)).duty
    assert handover.missing_here(second.session, duty) == [sent.envelope_id]


def test_only_the_duty_officer_hands_over(officer: Officers) -> None:
    first, second = officer("DEL"), officer("DEL", "second")
    with pytest.raises(Refused) as problem:
        hand_over(first, second)
    assert problem.value.code == "not-on-duty"


def test_a_changed_list_or_another_addressee_is_refused(ministry: Ministry, officer: Officers) -> None:
    first, second = officer("DEL"), officer("DEL", "second")
    take(first, second)
    request = hand_over(first, second)
    with pytest.raises(Refused) as problem:
        handover.accept(first.session, request)
    assert problem.value.code == "shift-not-for-you"
    other = handover.encode_list(duty_of(first))
    with pytest.raises(VerificationFailed) as changed:
        handover.accept(second.session, replace(request, duty_list=other))
    assert changed.value.code == "other-duty-list"
    for broken in (replace(request, duty_list=b""), replace(request, entries=()), handover.take(second.session)):
        with pytest.raises(Malformed):
            handover.accept(second.session, broken)
    assert holder(ministry, "DEL") == first.session.officer_id


@pytest.mark.parametrize("position", range(0, 120, 7))
def test_a_flipped_bit_of_the_list_is_refused_by_name(officer: Officers, position: int) -> None:
    data = bytearray(handover.encode_list(duty_of(officer("DEL"))))
    good = handover.list_hash(bytes(data))
    data[position % len(data)] ^= 1
    with pytest.raises(DutabartaError):
        handover.verify_list(bytes(data), good)


def test_an_acceptance_that_broke_off_is_repeated(ministry: Ministry, officer: Officers) -> None:
    first, second = officer("DEL"), officer("DEL", "second")
    take(first, second)
    signed = handover.accept(second.session, hand_over(first, second))
    for _ in range(2):
        again = handover.accept(second.session, parse_request(signed.format().encode()))
        roster.submit_request(second.session, again)
    assert holder(ministry, "DEL") == second.session.officer_id


# --- the duty officer of headquarters ------------------------------------------------------------------------


FLASH = Composition(("WAS",), 4, 3, "Evacuation", "Text.")


def test_once_a_shift_is_held_only_its_holder_co_releases(ministry: Ministry, officer: Officers) -> None:
    lone, first, second, reader = officer("DEL"), officer("DHA"), officer("DHA", "second"), officer("WAS")
    take(second, first)
    drafted = lone.send(FLASH)
    first.sync()
    with pytest.raises(Refused) as problem:
        first.release(drafted.cable_id)
    assert problem.value.code == "not-on-duty"
    second.sync()
    assert second.release(drafted.cable_id).state == "co-released"
    lone.sync()
    released = lone.release(drafted.cable_id)
    assert released.releasers == (second.session.officer_id, lone.session.officer_id)
    reader.sync()
    assert reader.read(drafted.cable_id).releasers == released.releasers


def test_a_hand_over_between_co_release_and_release_stops_no_flash(ministry: Ministry, officer: Officers) -> None:
    lone, first, second, reader = officer("DEL"), officer("DHA"), officer("DHA", "second"), officer("WAS")
    take(second, first)
    drafted = lone.send(FLASH)
    second.sync()
    second.release(drafted.cable_id)
    accept(first, hand_over(second, first))
    lone.sync()
    lone.release(drafted.cable_id)
    reader.sync()
    assert reader.read(drafted.cable_id).releasers[0] == second.session.officer_id


def test_who_was_relieved_by_a_supervisor_co_releases_no_more(ministry: Ministry, officer: Officers) -> None:
    """The co-release of who was relieved counts no more; that of the new duty officer beside it does."""
    lone, first, second, reader = officer("DEL"), officer("DHA"), officer("DHA", "second"), officer("WAS")
    take(second, first)
    drafted = lone.send(FLASH)
    second.sync()
    second.release(drafted.cable_id)
    lone.sync()
    take(first, second)
    with pytest.raises(Refused) as problem:
        lone.release(drafted.cable_id)
    assert problem.value.code == "two-officers"
    first.sync()
    first.release(drafted.cable_id)
    lone.sync()
    released = lone.release(drafted.cable_id)
    assert released.releasers == (first.session.officer_id, lone.session.officer_id)
    reader.sync()
    assert reader.read(drafted.cable_id).releasers == released.releasers


def test_who_is_on_duty_stands_first_at_the_hotline(ministry: Ministry, officer: Officers) -> None:
    first, second = officer("DEL"), officer("DEL", "second")
    ministry.present["DEL"] = tuple(Present(one.session.terminal_id, ministry.now) for one in (first, second))
    seen = officer("DHA").present("DEL")
    assert [one.officer_id for one in seen] == [first.session.officer_id, second.session.officer_id]
    assert not any(one.on_duty for one in seen)
    take(second, first)
    seen = officer("DHA").present("DEL")
    assert [one.officer_id for one in seen] == [second.session.officer_id, first.session.officer_id]
    assert [one.on_duty for one in seen] == [True, False]
