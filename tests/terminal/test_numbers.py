"""Numbers of wraps watched: a gap that stays is alarmed and asked for, a number used twice is a clone."""

from __future__ import annotations

from dataclasses import replace

from crypto_msg.nak import Reason, read_nak
from support.ministry import Ministry, Officers
from terminal.asking import ASKED_AT_ONCE, GAP_SECONDS
from terminal.compose import Composition
from terminal.records import CableRecord
from terminal.terminal import Terminal

NAK, REWRAP, ENVELOPE = 5, 6, 1


def send(sender: Terminal, to: str = "DEL") -> CableRecord:
    return sender.send(Composition((to,), 2, 3, "Trade", "Gruber informed Embassy officer."), accept_stale=True)


def codes(terminal: Terminal) -> list[str]:
    return [one.code for one in terminal.alarms() if one.code not in ("anchor-missing", "answer-overdue")]


def withhold(ministry: Ministry, reader: Terminal, record: CableRecord) -> None:
    """The node of the reader loses a cable."""
    inbox = ministry.inboxes[reader.session.terminal_id]
    inbox[:] = [one for one in inbox if (one.kind, one.envelope_id) != (ENVELOPE, record.envelope_id)]


def asked(ministry: Ministry, terminal: Terminal) -> list[int]:
    naks = [read_nak(one.content) for one in ministry.inboxes[terminal.session.terminal_id] if one.kind == NAK]
    assert all(one.reason == Reason.NEVER_CAME and not one.envelope_id for one in naks)
    return [one.n for one in naks]


def test_a_missing_cable_is_asked_for_by_its_number_and_named(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    lost = send(sender)
    withhold(ministry, reader, lost)
    send(sender)
    assert reader.sync().cables == 1
    assert codes(reader) == [] and asked(ministry, sender) == []
    ministry.now += GAP_SECONDS
    reader.sync()
    assert codes(reader) == ["wrap-missing"] and asked(ministry, sender) == [1]
    sender.sync()
    assert codes(sender) == ["cable-asked-for"]
    assert sender.alarms()[0].envelope_id == lost.envelope_id
    inbox = ministry.inboxes[reader.session.terminal_id]
    (again,) = [one for one in inbox if (one.kind, one.envelope_id) == (ENVELOPE, lost.envelope_id)]
    inbox.remove(again)
    reader.sync()
    (alarm,) = [one for one in reader.alarms() if one.code == "cable-missing"]
    assert lost.envelope_id.hex() in alarm.text and codes(reader) == ["cable-missing"]
    inbox.append(replace(again, position=again.position + 1))
    assert reader.sync().cables == 1
    assert codes(reader) == [] and reader.find(lost.cable_id).draft == lost.draft
    sender.sync()
    assert codes(sender) == [], "it has DELIVERED"


def test_what_was_missing_ends_its_alarms_when_it_comes(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    late = send(sender)
    inbox = ministry.inboxes[reader.session.terminal_id]
    (item,) = [one for one in inbox if one.envelope_id == late.envelope_id]
    withhold(ministry, reader, late)
    send(sender)
    reader.sync()
    ministry.now += GAP_SECONDS
    reader.sync()
    sender.sync()
    withhold(ministry, reader, late)
    reader.sync()
    assert codes(reader) == ["cable-missing"]
    ministry.deliver(reader.session.terminal_id, 1, item.content, item.envelope_id, item.origin, item.body_length)
    assert reader.sync().cables == 1
    assert codes(reader) == [] and reader.find(late.cable_id).n == 1


def test_a_gap_that_closes_by_itself_is_never_alarmed(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    for _ in range(3):
        send(sender)
    inbox = ministry.inboxes[reader.session.terminal_id]
    kept = list(inbox)
    inbox[:] = [kept[2]]
    reader.sync()
    for one in kept[:2]:
        ministry.deliver(reader.session.terminal_id, 1, one.content, one.envelope_id, one.origin, one.body_length)
    inbox[:] = [one if at == 0 else type(one)(at + 9, *_rest(one)) for at, one in enumerate(inbox)]
    assert reader.sync().cables == 2
    ministry.now += GAP_SECONDS
    reader.sync()
    assert codes(reader) == [] and asked(ministry, sender) == []


def _rest(one: object) -> tuple[object, ...]:
    names = ("kind", "content", "body_length", "origin", "envelope_id")
    return tuple(getattr(one, name) for name in names)


def test_a_wide_gap_is_asked_for_a_few_a_day(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    with sender.session.store.transaction() as transaction:
        transaction.set_counter("sent", reader.session.terminal_id, 1000)
    send(sender)
    reader.sync()
    ministry.now += GAP_SECONDS
    for _ in range(3):
        reader.sync()
    assert asked(ministry, sender) == list(range(1, ASKED_AT_ONCE + 1))
    sender.sync()
    assert not [one for one in ministry.inboxes[reader.session.terminal_id] if one.kind == REWRAP]


def test_two_cables_under_one_number_are_a_clone_that_names_both(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    first = send(sender)
    with sender.session.store.transaction() as transaction:
        transaction.set_counter("sent", reader.session.terminal_id, 0)
    second = send(sender)
    reader.sync()
    (alarm,) = reader.alarms()
    assert alarm.code == "wrap-clone" and alarm.envelope_id == second.envelope_id
    assert first.envelope_id.hex() in alarm.text
    assert len(reader.cables("in")) == 2


def test_a_number_of_before_that_is_used_again_is_a_repeat(ministry: Ministry, officer: Officers) -> None:
    """A store of an earlier version knows which numbers came, not for which cables."""
    sender, reader = officer("DHA"), officer("DEL")
    with reader.session.store.transaction() as transaction:
        numbers = transaction.numbers(sender.session.terminal_id)
        transaction.set_numbers(sender.session.terminal_id, numbers.with_number(1))
    send(sender)
    reader.sync()
    assert codes(reader) == ["wrap-number-repeated"]
