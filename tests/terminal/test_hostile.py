"""What a malicious officer, terminal or node tries on a terminal, and what bad luck does to it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from cli.cable_json import cable_text, list_json, list_text, read_json
from crypto_msg.cable import Addressee
from crypto_msg.prekey import bundle_for, bundle_hash, make_bundle
from crypto_msg.receipt import ReceiptKind, make_receipt, seal_receipt
from crypto_msg.wire import CODEC, Prekey, Receipt, SignedReceipt, decode_draft, encode_draft
from keys.purpose import Purpose
from ledger.bodies import OfficerRevoked
from ledger.entry import encode_entry, make_leaf, sign_entry
from node.wire import EntryResult
from protos.errors import DutabartaError, Refused, Unavailable, VerificationFailed
from support.ministry import Ministry, Officers
from terminal import compose, outgoing, sending
from terminal.compose import Composition
from terminal.lookup import find_draft
from terminal.numbers import Numbers
from terminal.prekeys import ROTATE_SECONDS
from terminal.recipients import fetch_bundles, seat_of
from terminal.submit import next_sequence
from terminal.terminal import Terminal


def composition(to: str = "DEL", precedence: int = 2, classification: int = 3) -> Composition:
    return Composition((to,), precedence, classification, "Trade", "Canary in the text.")


def revoke(ministry: Ministry, supervisor: Terminal, victim: Terminal, compromised_since: int = 0) -> int:
    """Revoke an officer and return the log index of that."""
    signer = supervisor.session.keyring.officer_signer
    key_id = signer.public_key.key_id
    body = OfficerRevoked(victim.session.officer_id, compromised_since)
    entry = encode_entry("officer-revoked", ministry.machine.state.sequence(key_id) + 1, body)
    signature = sign_entry(entry, signer, ministry.machine.network_id, Purpose.ENROLMENT)
    result = ministry.enter(make_leaf(entry, [signature], key_id))
    assert result.code == "accepted", result
    return result.index


def publish_raw(ministry: Ministry, terminal: Terminal, public_key: bytes, key_of: Terminal | None = None) -> None:
    """Enter a bundle of any public key; its officer's half may be signed by another officer."""
    session, state = terminal.session, ministry.machine.state
    signer = session.keyring.terminal_signer
    bundle = bundle_for(session.network_id, session.terminal_id, 2, public_key)
    signed = make_bundle(bundle, (key_of or terminal).session.keyring.officer_signer, signer)
    record = Prekey(session.terminal_id, 2, bundle_hash(signed))
    entry = encode_entry("prekey", next_sequence(state, session.terminal_id), record, CODEC)
    leaf = make_leaf(entry, [sign_entry(entry, signer, session.network_id, Purpose.ENTRY)], session.terminal_id)
    assert ministry.enter(leaf).code == "accepted"
    ministry.keep_bundle(signed)


# --- revoked officers -----------------------------------------------------------------------------------------


def test_a_cable_sealed_before_a_revocation_stands_if_it_was_anchored_before(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition())
    ministry.close_slot()
    revoke(ministry, officer("DHA", "second"), sender)
    reader.sync()
    assert reader.standing(reader.find(sent.cable_id)).doubts == ()


def test_a_cable_of_a_revoked_officer_who_claims_an_older_state_is_doubtful(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition())  # under a state that did not know of the revocation
    index = revoke(ministry, officer("DHA", "second"), sender)
    reader.sync()
    standing = reader.standing(reader.find(sent.cable_id))
    assert standing.anchored_at is None and any(str(index) in one for one in standing.doubts)
    ministry.close_slot()
    assert reader.standing(reader.find(sent.cable_id)).doubts


def test_what_was_anchored_after_a_compromise_is_doubtful(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    since = ministry.machine.size
    sent = sender.send(composition())
    ministry.close_slot()
    revoke(ministry, officer("DHA", "second"), sender, since)
    reader.sync()
    assert reader.standing(reader.find(sent.cable_id)).doubts


# --- one bad terminal among the addressees -----------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["mlkem", "x25519", "officer"])
def test_one_bad_prekey_does_not_stop_a_circular(ministry: Ministry, officer: Officers, bad: str) -> None:
    malicious, honest = officer("DEL", "second"), officer("DEL", "first")
    good = malicious.session.keyring.prekeys[-1].prekey.public_key
    key = {"mlkem": b"\xff" * 1184 + good[1184:], "x25519": good[:1184] + bytes(32), "officer": good}[bad]
    publish_raw(ministry, malicious, key, honest if bad == "officer" else None)
    sender = officer("DHA")
    sender.send(composition("ALL-MISSIONS"))
    assert [one.code for one in sender.alarms()] == ["terminal-left-out"]
    assert honest.sync().cables == 1 and officer("WAS").sync().cables == 1


def test_a_bundle_hash_copied_from_a_colleague_does_not_shut_him_out(ministry: Ministry, officer: Officers) -> None:
    first, second = officer("DEL", "first"), officer("DEL", "second")
    for thief, victim in ((first, second), (second, first)):
        state = ministry.machine.state
        seats = [seat_of(state, one.session.terminal_id) for one in (thief, victim)]
        assert seats[0] and seats[1] and seats[0].prekey and seats[1].prekey
        copied = replace(seats[0], prekey=replace(seats[0].prekey, bundle_hash=seats[1].prekey.bundle_hash))
        desk = officer("DHA").session.desk
        own = ministry.bundles[copied.prekey.bundle_hash] if copied.prekey else b""
        desk.bundles = lambda ids, own=own: (own,)  # type: ignore[method-assign,misc]
        bundles = fetch_bundles(desk, [seats[1], copied], first.session.network_id)
        assert set(bundles) == {victim.session.terminal_id}


def test_a_withheld_bundle_is_told(ministry: Ministry, officer: Officers) -> None:
    held = officer("DEL", "second").session.keyring.prekeys[-1].bundle_hash
    del ministry.bundles[held]
    sender = officer("DHA")
    sender.send(composition())
    (alarm,) = sender.alarms()
    assert alarm.code == "terminal-left-out" and alarm.origin == "DEL"


# --- receipts -----------------------------------------------------------------------------------------------------


def test_a_receipt_that_names_a_size_far_ahead_does_not_block_the_inbox(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition())
    reader.sync()
    record, session = reader.find(sent.cable_id), reader.session
    delivered = CODEC.decode(Receipt, _inner_receipt(reader, sent.cable_id), limit=400)
    ahead = replace(delivered, kind=ReceiptKind.READ, size=2**62)
    signed = make_receipt(ahead, session.network_id, session.keyring.terminal_signer)
    seat = seat_of(ministry.machine.state, sender.session.terminal_id)
    assert seat is not None
    bundle = fetch_bundles(session.desk, [seat], session.network_id)[sender.session.terminal_id]
    session.desk.put_receipt(seal_receipt(signed, bundle), 3, record.envelope_id, bytes(32))
    desk = sender.session.desk
    honest = desk.state

    def strict(keys: object, at_least: int = 0, exactly: int = 0) -> bytes:
        if at_least > ministry.machine.size:
            raise Unavailable("timeout", "the node waits for that size")
        return honest(keys, at_least, exactly)  # type: ignore[arg-type]

    desk.state = strict  # type: ignore[method-assign]
    sender.sync()
    officer("DEL").send(composition("DHA"))
    assert sender.sync().cables == 1


def test_a_receipt_of_another_log_is_alarmed(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition())
    reader.sync()
    record, session = reader.find(sent.cable_id), reader.session
    delivered = CODEC.decode(Receipt, _inner_receipt(reader, sent.cable_id), limit=400)
    other = replace(delivered, root=bytes(32))
    ministry.inboxes[sender.session.terminal_id].clear()
    signed = make_receipt(other, session.network_id, session.keyring.terminal_signer)
    session.desk.put_receipt(signed, 2, record.envelope_id, bytes(32))
    sender.sync()
    assert [one.code for one in sender.alarms()] == ["receipt-other-log"]


def _inner_receipt(reader: Terminal, cable_id: bytes) -> bytes:
    (own,) = reader.receipts(reader.find(cable_id))
    return CODEC.decode(SignedReceipt, own.signed, limit=400).receipt


# --- the own node ---------------------------------------------------------------------------------------------------


def test_a_node_that_shows_an_older_state_makes_no_cable_skipped(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    reader.sync()
    desk = reader.session.desk
    old = desk.state([b"network"])
    sender.publish_prekey()
    reader.session.view.newest(ministry.machine.size)
    sent = sender.send(composition())
    honest = desk.state
    desk.state = lambda keys, at_least=0, exactly=0: old  # type: ignore[method-assign]
    with pytest.raises(VerificationFailed) as problem:
        reader.sync()
    assert problem.value.code == "older-state"
    desk.state = honest  # type: ignore[method-assign]
    assert reader.sync().cables == 1
    assert reader.find(sent.cable_id).state == "new"


def test_an_inbox_that_does_not_move_on_is_refused(officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sender.send(composition())
    desk = reader.session.desk
    honest = desk.inbox
    desk.inbox = lambda after=0, limit=100: honest(0, limit)  # type: ignore[method-assign]
    with pytest.raises(VerificationFailed) as problem:
        reader.sync()
    assert problem.value.code == "bad-inbox"


def test_what_the_node_refuses_does_not_hold_up_the_rest(officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sender.send(composition())
    reader.sync()
    desk = sender.session.desk
    honest = desk.put_cable

    def unreachable(*_args: object) -> bytes:
        raise Unavailable("unreachable", "the node is down")

    desk.put_cable = unreachable  # type: ignore[method-assign]
    first, second = sender.send(composition()), sender.send(composition())

    def refusing(head: bytes, body: object, body_length: int, anchor_salt: bytes) -> bytes:
        if first.cable_id in head:
            raise Refused("not-yours", "a terminal hands in only what it has sealed itself")
        return honest(head, body, body_length, anchor_salt)  # type: ignore[arg-type]

    desk.put_cable = refusing  # type: ignore[method-assign]
    sender.sync()
    assert outgoing.waiting(sender.session, first.envelope_id)
    assert not outgoing.waiting(sender.session, second.envelope_id)
    assert [one.code for one in sender.alarms()] == ["not-yours"]


def test_a_post_cut_off_for_days_still_writes_and_reads(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    ministry.now += 8 * ROTATE_SECONDS
    for one in (sender, reader):
        one.session.submitter = replace(one.session.submitter, sleep=_sleep(ministry), monotonic=lambda: ministry.now)
        one.session.desk.submit_entry = lambda leaf: EntryResult("pending", "", 0)  # type: ignore[method-assign]
        one.session.desk.entry_result = lambda leaf: EntryResult("pending", "", 0)  # type: ignore[method-assign]
    sent = sender.send(composition(), accept_stale=True)
    assert reader.sync().cables == 1
    assert reader.read(sent.cable_id).cable_id == sent.cable_id


def _sleep(ministry: Ministry) -> object:
    def sleep(seconds: float) -> None:
        ministry.now += 1

    return sleep


def test_a_prekey_that_the_node_called_refused_still_opens(ministry: Ministry, officer: Officers) -> None:
    reader, sender = officer("DEL"), officer("DHA")
    officer("DEL", "second")
    desk = reader.session.desk
    kept: list[bytes] = []
    honest = desk.submit_entry

    def lying(leaf: bytes) -> EntryResult:
        kept.append(leaf)
        return EntryResult("bad-prekey", "no", 0)

    desk.submit_entry = lying  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Refused):
            reader.publish_prekey()
    ministry.enter(kept[0])
    desk.submit_entry = honest  # type: ignore[method-assign]
    sender.send(composition())
    assert reader.sync().cables == 1


def test_reading_goes_on_when_the_originators_bundle_is_swapped(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition())
    reader.sync()
    old = ministry.bundles[sender.session.keyring.prekeys[-1].bundle_hash]
    sender.publish_prekey()
    reader.session.desk.bundles = lambda ids: (old,)  # type: ignore[method-assign]
    assert reader.read(sent.cable_id).cable_id == sent.cable_id
    assert [one.code for one in reader.alarms()] == ["other-bundle"]


# --- drafts ---------------------------------------------------------------------------------------------------------


def test_a_draft_is_released_once_whatever_id_is_given(officer: Officers) -> None:
    drafter, releaser = officer("DHA", "first"), officer("DHA", "second")
    drafted = drafter.send(composition(classification=4))
    releaser.sync()
    releaser.release(drafted.cable_id)
    drafter.sync()
    for terminal in (releaser, drafter):
        with pytest.raises(Refused) as problem:
            terminal.release(drafted.envelope_id)
        assert problem.value.code == "already-released"
        assert [one.state for one in terminal.cables("drafts")] == ["released"]


def test_a_lone_officer_sends_flash_with_a_co_release_of_headquarters(ministry: Ministry, officer: Officers) -> None:
    lone, duty, reader = officer("DEL"), officer("DHA"), officer("WAS")
    drafted = lone.send(composition("WAS", precedence=4))
    with pytest.raises(Refused) as problem:
        lone.release(drafted.cable_id)
    assert problem.value.code == "two-officers"
    duty.sync()
    assert duty.release(drafted.cable_id).state == "co-released"
    lone.sync()
    released = lone.release(drafted.cable_id)
    assert released.releasers == (duty.session.officer_id, lone.session.officer_id)
    reader.sync()
    assert reader.read(drafted.cable_id).releasers == released.releasers


def test_headquarters_co_releases_nothing_but_flash(officer: Officers) -> None:
    duty = officer("DHA")
    drafted = officer("DEL").draft(composition("WAS", precedence=4))
    duty.sync()
    number, record = find_draft(duty.session, drafted.cable_id)
    changed = replace(decode_draft(record.draft), precedence=1, action=(Addressee("WAS", 1),))
    with duty.session.store.transaction() as transaction:
        transaction.change_cable(number, replace(record, draft=encode_draft(changed)))
    with pytest.raises(Refused) as problem:
        duty.release(drafted.cable_id)
    assert problem.value.code == "wrong-post"


def test_a_foreign_cable_with_the_id_of_a_draft_does_not_hide_it(ministry: Ministry, officer: Officers) -> None:
    drafter, foreign = officer("DHA"), officer("DEL")
    drafted = drafter.send(composition("WAS", classification=4))
    made = compose.compose(composition("DHA"), "DEL")
    sending.release(foreign.session, replace(made, draft=replace(made.draft, cable_id=drafted.cable_id)))
    outgoing.flush(foreign.session)
    drafter.sync()
    with pytest.raises(Refused) as problem:
        drafter.find(drafted.cable_id)
    assert problem.value.code == "ambiguous-id"


# --- counting wraps -------------------------------------------------------------------------------------------------


def test_precedence_that_reorders_cables_is_no_clone() -> None:
    numbers = Numbers()
    for n in (3, 2, 1):
        assert not numbers.has(n)
        numbers = numbers.with_number(n)
    assert numbers == Numbers(3, ()) and numbers.has(2) and not numbers.has(4)


def test_every_number_that_has_not_come_is_known() -> None:
    numbers = Numbers()
    for n in (1, 5, 3):
        numbers = numbers.with_number(n)
    assert numbers.missing == ((2, 2), (4, 4)) and numbers.has(5) and not numbers.has(4)


def test_numbers_stay_small_whatever_a_sender_counts() -> None:
    numbers = Numbers()
    for n in range(2, 6000, 2):
        numbers = numbers.with_number(n)
    assert len(numbers.missing) <= 1024 and not any(numbers.has(n) for n in (1, 3, 5999))
    assert Numbers.decode(numbers.with_number(2**64 - 1).encode()).last == 2**64 - 1


def test_flash_that_overtakes_raises_no_alarm_and_a_repeat_does(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    for _ in range(3):
        sender.send(composition())
    inbox = ministry.inboxes[reader.session.terminal_id]
    inbox[:] = [replace(one, position=at) for at, one in enumerate(reversed(inbox), 1)]
    assert reader.sync().cables == 3 and reader.alarms() == []
    with sender.session.store.transaction() as transaction:
        transaction.set_counter("sent", reader.session.terminal_id, 0)  # an old backup
    sender.send(composition())
    reader.sync()
    assert [one.code for one in reader.alarms()] == ["wrap-clone"]


# --- secrets and storage ----------------------------------------------------------------------------------------------


def test_no_repr_shows_a_secret_or_what_a_cable_says(officer: Officers) -> None:
    sender = officer("DHA")
    record = sender.send(composition())
    shown = repr(sender.session) + repr(record) + repr(composition())
    for secret in ("exercise'", "Canary", repr(record.cek), repr(sender.session.keyring.officer)):
        assert secret not in shown


def test_rows_of_the_store_cannot_be_swapped(officer: Officers) -> None:
    sender = officer("DHA")
    sender.send(composition(classification=4))
    sender.send(composition(classification=5))
    with sqlite3.connect(sender.session.folder.store_path) as connection:
        rows = connection.execute("select number, content from cable order by number").fetchall()
        for (number, _), (_, content) in zip(rows, reversed(rows), strict=True):
            connection.execute("update cable set content = ? where number = ?", (content, number))
    with pytest.raises(DutabartaError) as problem:
        sender.cables()
    assert problem.value.code == "store-damaged"


def test_a_subject_cannot_fake_what_stands_around_it(officer: Officers) -> None:
    sender = officer("DHA")
    record = sender.send(replace(composition(), subject="Visit\x1b[2K\nUNCLASSIFIED"))
    shown = cable_text(read_json(sender, record, {}))
    assert "\x1b" not in shown and "\nUNCLASSIFIED" not in shown and "not yet anchored" in shown
    assert "\x1b" not in list_text(list_json(sender, [record], [], {}))
