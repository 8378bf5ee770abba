"""A terminal that lost its prekeys asks again and gets its cables, by the rules and no further (cables.md §3)."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from crypto_msg.nak import Reason, make_nak, read_nak
from crypto_msg.receipt import ReceiptKind
from crypto_msg.rewrap import Content, make_rewrap
from crypto_msg.wire import Nak
from keys.purpose import Purpose
from ledger.bodies import OfficerChanged, OfficerRevoked, OfficerSuspended, TerminalRetired
from ledger.entry import encode_entry, make_leaf, sign_entry
from ledger.state import NETWORK
from node.shell.itemchecks import item_id
from protos.errors import DutabartaError, Refused
from support.ministry import Ministry, Officers
from terminal import asking, naks
from terminal.compose import Composition
from terminal.recipients import fetch_bundles, seat_of
from terminal.records import CableRecord
from terminal.terminal import Terminal

NAK, REWRAP = 5, 6


def send(sender: Terminal, to: str = "DEL", classification: int = 3) -> CableRecord:
    return sender.send(Composition((to,), 2, classification, "Trade", "Gruber informed Embassy officer."))


def forget_prekeys(terminal: Terminal) -> None:
    """What a lost keystore leaves of a terminal: its keys as they were enrolled, and no prekey."""
    session = terminal.session
    session.save_keyring(replace(session.keyring, prekeys=()))


def enter(ministry: Ministry, kind: str, body: object, author: Terminal, *others: Terminal) -> None:
    signers = [one.session.keyring.officer_signer for one in (author, *others)]
    key_id = signers[0].public_key.key_id
    entry = encode_entry(kind, ministry.machine.state.sequence(key_id) + 1, body)
    signatures = [sign_entry(entry, one, ministry.machine.network_id, Purpose.ENROLMENT) for one in signers]
    result = ministry.enter(make_leaf(entry, signatures, key_id))
    assert result.code == "accepted", result


def items(ministry: Ministry, terminal: Terminal, kind: int) -> list[bytes]:
    return [one.content for one in ministry.inboxes[terminal.session.terminal_id] if one.kind == kind]


def codes(terminal: Terminal) -> list[str]:
    return [one.code for one in terminal.alarms()]


def lost(ministry: Ministry, officer: Officers, classification: int = 3) -> tuple[Terminal, Terminal, CableRecord]:
    """(sender, reader, cable): the reader could not open it, and has asked."""
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender, classification=classification)
    forget_prekeys(reader)
    assert reader.sync().cables == 0
    return sender, reader, sent


# --- the way of one NAK ------------------------------------------------------------------------------------------


def test_a_terminal_that_lost_its_prekeys_gets_its_cable(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    assert codes(reader) == ["terminal-behind", "wrap-not-opened"]
    (signed,) = items(ministry, sender, NAK)
    nak = read_nak(signed)
    assert (nak.envelope_id, nak.terminal_id) == (sent.envelope_id, reader.session.terminal_id)
    assert nak.reason == Reason.PREKEY_GONE
    assert nak.bundle_hash == reader.session.keyring.prekeys[-1].bundle_hash
    sender.sync()
    assert len(items(ministry, reader, REWRAP)) == 1
    assert reader.sync().cables == 1
    record = reader.read(sent.cable_id)
    assert record.draft == sent.draft and record.n == 1
    assert codes(reader) == ["terminal-behind"]
    sender.sync()
    (progress,) = sender.track(sent.cable_id).progress
    assert progress.state == "read"


def test_the_body_is_not_sent_again(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    sender.sync()
    ministry.bodies.clear()
    assert reader.sync().cables == 1
    assert sender.session.desk.calls.count("put_cable") == 1  # type: ignore[attr-defined]


def test_the_same_terminal_keeps_its_number_and_the_next_cable_takes_the_next(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader, _ = lost(ministry, officer)
    sender.sync()
    send(sender)
    reader.sync()
    assert sorted(one.n for one in reader.cables("in")) == [1, 2]
    assert codes(reader) == ["terminal-behind"]


def test_a_colleague_answers_after_an_hour_under_his_own_next_number(ministry: Ministry, officer: Officers) -> None:
    _, reader, sent = lost(ministry, officer)
    deputy = officer("DHA", "second")
    deputy.sync()
    assert not items(ministry, reader, REWRAP)
    ministry.now += naks.DEPUTY_SECONDS
    deputy.sync()
    assert len(items(ministry, reader, REWRAP)) == 1
    assert reader.sync().cables == 1
    assert reader.find(sent.cable_id).n == 1
    with reader.session.store.transaction() as transaction:
        assert transaction.numbers(deputy.session.terminal_id).has(1)


def test_a_colleague_leaves_it_to_the_officer_if_the_cable_was_delivered(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender, "ALL-MISSIONS")
    reader.sync()
    deputy = officer("DHA", "second")
    deputy.sync()
    hand_in(reader, nak_of(reader, sent))
    deputy.sync()
    ministry.now += naks.DEPUTY_SECONDS
    deputy.sync()
    assert codes(deputy) == ["nak-delivered"] and not items(ministry, reader, REWRAP)
    assert deputy.rewrap(sent.cable_id) == 1
    assert len(items(ministry, reader, REWRAP)) == 1
    reader.sync()
    assert codes(reader) == []


def test_a_colleague_has_nothing_to_do_when_the_sender_has_answered(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    deputy = officer("DHA", "second")
    deputy.sync()
    sender.sync()
    reader.sync()
    ministry.now += naks.DEPUTY_SECONDS
    deputy.sync()
    assert len(items(ministry, reader, REWRAP)) == 1 and codes(deputy) == []
    with deputy.session.store.transaction() as transaction:
        assert transaction.asks() == []


def test_two_answers_open_one_cable_and_count_both_numbers(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    officer("DHA", "second").sync()
    ministry.now += naks.DEPUTY_SECONDS
    officer("DHA", "second").sync()
    sender.sync()
    assert len(items(ministry, reader, REWRAP)) == 2
    assert reader.sync().cables == 1
    assert codes(reader) == ["terminal-behind"]


def test_a_terminal_without_a_bundle_is_served_once_it_has_one(ministry: Ministry, officer: Officers) -> None:
    """Its bundle could not be had when the cable was sealed: it was left out, and takes the sender's next number."""
    sender, reader = officer("DHA"), officer("DEL")
    kept = ministry.bundles.pop(reader.session.keyring.prekeys[-1].bundle_hash)
    sent = send(sender)
    ministry.keep_bundle(kept)
    assert codes(sender) == ["terminal-left-out"]
    reader.sync()
    assert read_nak(items(ministry, sender, NAK)[0]).reason == Reason.BAD_WRAP
    sender.sync()
    assert reader.sync().cables == 1
    assert reader.find(sent.cable_id).n == 1


# --- rules ---------------------------------------------------------------------------------------------------------


def nak_of(terminal: Terminal, record: CableRecord, size: int = 0, envelope_id: bytes = b"") -> bytes:
    """A NAK that a terminal signs though its wrap opens."""
    session = terminal.session
    newest = size or session.view.newest().size
    bundle = session.keyring.prekeys[-1].bundle_hash
    nak = Nak(envelope_id or record.envelope_id, session.terminal_id, 1, bundle, newest, record.terminal_id, 0)
    return make_nak(nak, session.network_id, session.keyring.terminal_signer)


def hand_in(terminal: Terminal, signed: bytes) -> None:
    terminal.session.desk.put_receipt(signed, NAK, read_nak(signed).envelope_id, b"")


def refused(ministry: Ministry, sender: Terminal, asker: Terminal) -> list[str]:
    """The sender's alarms after it has looked at what was asked; nothing went out."""
    sender.sync()
    assert not items(ministry, asker, REWRAP)
    assert sender.sync().cables == 0 and not items(ministry, asker, REWRAP)
    return codes(sender)


def test_who_was_not_on_the_list_gets_nothing(ministry: Ministry, officer: Officers) -> None:
    sender, stranger = officer("DHA"), officer("WAS")
    sent = send(sender)
    hand_in(stranger, nak_of(stranger, sent))
    assert refused(ministry, sender, stranger) == ["nak-refused"]


def test_a_colleague_keeps_to_the_list_as_well(ministry: Ministry, officer: Officers) -> None:
    sender, stranger, deputy = officer("DHA"), officer("WAS"), officer("DHA", "second")
    sent = send(sender)
    deputy.sync()
    hand_in(stranger, nak_of(stranger, sent))
    deputy.sync()
    ministry.now += naks.DEPUTY_SECONDS
    assert refused(ministry, deputy, stranger) == ["nak-refused"]


def test_a_revoked_officer_gets_nothing(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    enter(ministry, "officer-revoked", OfficerRevoked(reader.session.officer_id, 0), officer("DEL", "second"))
    assert refused(ministry, sender, reader) == ["nak-refused"]


def test_a_suspended_officer_gets_nothing(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    enter(ministry, "officer-suspended", OfficerSuspended(reader.session.officer_id, False), officer("DEL", "second"))
    assert refused(ministry, sender, reader) == ["nak-refused"]


def test_a_retired_terminal_gets_nothing(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    body = TerminalRetired(reader.session.terminal_id, "lost")
    enter(ministry, "terminal-retired", body, officer("DEL", "second"))
    assert refused(ministry, sender, reader) == ["nak-refused"]


def test_whose_clearance_was_lowered_gets_nothing(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    now = ministry.machine.state.officer(reader.session.officer_id)
    assert now is not None
    enter(ministry, "officer-changed", OfficerChanged(now.officer_id, now.roles, 2), officer("DEL", "second"))
    assert refused(ministry, sender, reader) == ["nak-refused"]


def test_a_replayed_nak_is_answered_once(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    (signed,) = items(ministry, sender, NAK)
    sender.sync()
    inbox = ministry.inboxes[sender.session.terminal_id]
    older = nak_of(reader, sent, size=read_nak(signed).size - 1)
    for content in (signed, older):
        inbox.append(replace(inbox[-1], position=len(inbox) + 1, kind=NAK, content=content))
    sender.sync()
    assert len(items(ministry, reader, REWRAP)) == 1 and codes(sender) == []


def test_the_fourth_nak_of_a_day_waits_for_the_officer(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    sender.sync()
    for count in (2, 3, 3):
        ministry.close_slot()
        reader.publish_prekey()
        hand_in(reader, nak_of(reader, sent))
        sender.sync()
        assert len(items(ministry, reader, REWRAP)) == count
    assert codes(sender) == ["nak-limit"]
    assert sender.rewrap(sent.cable_id) == 1
    assert len(items(ministry, reader, REWRAP)) == 4 and codes(sender) == []
    with pytest.raises(Refused) as caught:
        sender.rewrap(sent.cable_id)
    assert caught.value.code == "nobody-asks"


def test_a_new_day_counts_anew(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    sender.sync()
    for _ in range(2):
        reader.publish_prekey()
        hand_in(reader, nak_of(reader, sent))
        sender.sync()
    ministry.now += naks.DAY_SECONDS
    ministry.close_slot()
    reader.publish_prekey()
    hand_in(reader, nak_of(reader, sent))
    sender.sync()
    assert len(items(ministry, reader, REWRAP)) == 4 and codes(sender) == ["answer-overdue"]


def test_a_nak_of_another_network_is_refused(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    nak = read_nak(nak_of(reader, sent))
    signed = make_nak(nak, bytes(32), reader.session.keyring.terminal_signer)
    ministry.deliver(sender.session.terminal_id, NAK, signed, sent.envelope_id, "DEL")
    assert refused(ministry, sender, reader) == ["bad-signature"]


def test_every_sampled_flip_of_a_nak_leaves_nothing_behind(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    signed = nak_of(reader, sent)
    for bit in range(0, len(signed) * 8, 61):
        data = bytearray(signed)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DutabartaError):
            naks.take_nak(sender.session, bytes(data), lambda _transaction: pytest.fail("taken"))
    with sender.session.store.transaction() as transaction:
        assert transaction.asks(only_open=False) == []


def test_a_nak_about_nothing_that_is_here_is_passed_by(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    ministry.deliver(sender.session.terminal_id, NAK, nak_of(reader, sent, envelope_id=bytes(32)), bytes(32), "DEL")
    sender.sync()
    with sender.session.store.transaction() as transaction:
        assert transaction.asks(only_open=False) == []
    assert codes(sender) == []


def test_a_reader_asks_once_for_one_bundle_and_at_most_three_times_a_day(ministry: Ministry, officer: Officers) -> None:
    sender, reader, _ = lost(ministry, officer)
    for _ in range(3):
        reader.sync()
    assert len(items(ministry, sender, NAK)) == 1
    for count in (2, 3, 3):
        forget_prekeys(reader)
        ministry.now += 1
        reader.sync()
        assert len(items(ministry, sender, NAK)) == count


# --- what a re-wrap may be ----------------------------------------------------------------------------------------


def forge(ministry: Ministry, by: Terminal, reader: Terminal, sent: CableRecord, content: Content) -> None:
    """A re-wrap that `by` signs, put into the reader's inbox."""
    state = ministry.machine.state
    seat = seat_of(state, reader.session.terminal_id)
    assert seat is not None
    bundle = fetch_bundles(by.session.desk, [seat], by.session.network_id)[reader.session.terminal_id]
    signer = by.session.keyring.terminal_signer
    signed = make_rewrap(sent.envelope_id, content, bundle, ministry.machine.size, by.session.network_id, signer)
    ministry.deliver(reader.session.terminal_id, REWRAP, signed, sent.envelope_id, by.session.config.post)


def test_another_key_does_not_open_the_cable(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    forge(ministry, sender, reader, sent, Content(os.urandom(32), 1, sent.terminal_id, 1))
    assert reader.sync().cables == 0
    assert "key-not-committed" in codes(reader) and reader.cables("in") == []


def test_a_stranger_cannot_rewrap(ministry: Ministry, officer: Officers) -> None:
    _, reader, sent = lost(ministry, officer)
    forge(ministry, officer("WAS"), reader, sent, Content(sent.cek, 1, sent.terminal_id, 0))
    assert reader.sync().cables == 0
    assert "not-origin" in codes(reader)


def test_a_rewrap_of_another_wrap_is_refused(ministry: Ministry, officer: Officers) -> None:
    _, reader, sent = lost(ministry, officer)
    deputy = officer("DHA", "second")
    forge(ministry, deputy, reader, sent, Content(sent.cek, 1, deputy.session.terminal_id, 1))
    assert reader.sync().cables == 0 and "not-origin" in codes(reader)


def test_a_rewrap_for_another_terminal_is_refused(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    sender.sync()
    (signed,) = items(ministry, reader, REWRAP)
    other = officer("WAS")
    ministry.deliver(other.session.terminal_id, REWRAP, signed, sent.envelope_id, "DHA")
    other.sync()
    assert codes(other) == ["wrong-destination"]


def test_a_rewrap_that_comes_twice_opens_once(ministry: Ministry, officer: Officers) -> None:
    sender, reader, sent = lost(ministry, officer)
    sender.sync()
    (signed,) = items(ministry, reader, REWRAP)
    ministry.deliver(reader.session.terminal_id, REWRAP, signed, sent.envelope_id, "DHA")
    assert reader.sync().cables == 1
    assert len([one for one in reader.receipts(sent) if one.kind == ReceiptKind.DELIVERED]) == 1


def test_item_ids_keep_their_kind_apart() -> None:
    assert item_id(NAK, "DHA", b"x") != item_id(REWRAP, "DHA", b"x")
    assert asking.NAK == NAK and naks.REWRAP == REWRAP and NETWORK
