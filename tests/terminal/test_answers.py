"""Answers to a cable: the same receipt for a duplicate, and somebody to tell when the sending terminal is gone."""

from __future__ import annotations

from dataclasses import replace

from crypto_msg.receipt import ReceiptKind
from keys.purpose import Purpose
from ledger.bodies import TerminalRetired
from ledger.entry import encode_entry, sign_entry
from support.ministry import PASSPHRASE, Ministry, Officers
from terminal import enrol, roster
from terminal.compose import Composition
from terminal.folder import Folder
from terminal.keyring import Keyring
from terminal.records import CableRecord
from terminal.request import Pending, Request
from terminal.terminal import Terminal


def send(sender: Terminal) -> CableRecord:
    return sender.send(Composition(("DEL",), 1, 1, "Trade", "Text."))


def retire(ministry: Ministry, whom: Terminal, by: Terminal) -> None:
    """A supervisor of its post retires a terminal."""
    signer = by.session.keyring.officer_signer
    number = ministry.machine.state.sequence(signer.public_key.key_id) + 1
    entry = encode_entry("terminal-retired", number, TerminalRetired(whom.session.terminal_id, "lost"))
    signature = sign_entry(entry, signer, ministry.machine.network_id, Purpose.ENROLMENT)
    result = ministry.enter(Pending(entry, signer.public_key.key_id, (signature,)).leaf())
    assert result.code == "accepted", result


def second_terminal(ministry: Ministry, officer: Officers, whom: Terminal) -> Terminal:
    """Another terminal of the same officer, enrolled and with a prekey."""
    session = whom.session
    fresh = Keyring.generate()
    keyring = replace(fresh, officer=session.keyring.officer)
    number = ministry.machine.state.sequence(session.keyring.officer_signer.public_key.key_id) + 1
    entry = enrol.terminal_entry(session.network_id, session.officer_id, keyring, number)
    supervisor = officer(session.config.post, "second")
    roster.submit_request(
        supervisor.session, roster.approve_as(supervisor.session, Request(session.network_id, (entry,)))
    )
    path = ministry.folder / session.config.post / "terminals" / "spare"
    folder = Folder.create(path, session.config, keyring, PASSPHRASE)
    folder.save_policy(session.folder.load_policy())
    spare = officer(session.config.post, "spare")
    spare.sync()
    return spare


def test_a_duplicate_envelope_sends_the_same_receipt_with_the_same_salt(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    put: list[tuple[bytes, int, bytes, bytes]] = []
    honest = reader.session.desk.put_receipt

    def put_receipt(content: bytes, kind: int, envelope_id: bytes, salt: bytes) -> bytes:
        put.append((content, kind, envelope_id, salt))
        return honest(content, kind, envelope_id, salt)

    reader.session.desk.put_receipt = put_receipt  # type: ignore[method-assign]
    send(sender)
    assert reader.sync().cables == 1
    inbox = ministry.inboxes[reader.session.terminal_id]
    inbox.append(replace(inbox[-1], position=inbox[-1].position + 1))
    ministry.now += 60
    assert reader.sync().cables == 0
    first, again = put
    assert first == again and len(first[3]) == 32


def test_an_acknowledgement_reaches_another_terminal_of_the_sender(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    spare = second_terminal(ministry, officer, sender)
    sent = send(sender)
    reader.sync()
    retire(ministry, sender, officer("DHA", "second"))
    assert reader.acknowledge(sent.cable_id).state == "acknowledged"
    spare.sync()
    kinds = {one.kind for one in spare.receipts(spare.find(sent.cable_id))}
    assert ReceiptKind.ACKNOWLEDGED in kinds and reader.alarms() == []


def test_an_acknowledgement_to_nobody_is_undeliverable_until_there_is_somebody(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    reader.sync()
    assert reader.read(sent.cable_id).state == "read"
    retire(ministry, sender, officer("DHA", "second"))
    for _ in range(2):
        assert reader.acknowledge(sent.cable_id).state == "undeliverable"
    (alarm,) = reader.alarms()
    assert alarm.code == "undeliverable" and alarm.envelope_id == sent.envelope_id
    assert reader.track(sent.cable_id).alarms == (alarm.text,)
    reader.sync()

    second_terminal(ministry, officer, sender)
    assert reader.acknowledge(sent.cable_id).state == "acknowledged"
    assert reader.alarms() == []


def test_reading_what_nobody_can_be_told_of_is_no_alarm(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    reader.sync()
    retire(ministry, sender, officer("DHA", "second"))
    assert reader.read(sent.cable_id).state == "read" and reader.alarms() == []
