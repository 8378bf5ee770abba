"""What did not hold when it came is tried again, a few times; what can never hold is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.receive import TRIES
from terminal.records import CableRecord
from terminal.terminal import Terminal


def send(sender: Terminal) -> CableRecord:
    return sender.send(Composition(("DEL",), 1, 1, "Trade", "Text."))


def spoil_bodies(reader: Terminal) -> None:
    """Let the node hand out bodies with one bit flipped."""
    honest = reader.session.desk.body

    def body(envelope_id: bytes, offset: int = 0) -> Iterator[bytes]:
        whole = bytearray(b"".join(honest(envelope_id, offset)))
        whole[0] ^= 1
        yield bytes(whole)

    reader.session.desk.body = body  # type: ignore[method-assign]


def test_a_cable_with_a_broken_body_is_read_once_the_node_has_mended_it(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    honest = reader.session.desk.body
    spoil_bodies(reader)
    broken, whole = send(sender), send(officer("WAS"))
    assert reader.sync().refused == 2
    assert {one.code for one in reader.alarms()} == {"body-changed"}
    reader.session.desk.body = honest  # type: ignore[method-assign]
    assert reader.sync().cables == 2
    assert reader.alarms() == []
    for one in (broken, whole):
        assert reader.read(one.cable_id).state == "read"
    sender.sync()
    assert [one.state for one in sender.track(broken.cable_id).progress] == ["read"]


def test_the_position_of_the_inbox_stays_where_it_was(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    honest = reader.session.desk.body
    spoil_bodies(reader)
    send(sender)
    reader.sync()
    reader.session.desk.body = honest  # type: ignore[method-assign]
    send(sender)
    assert reader.sync().cables == 2
    assert reader.sync().cables == 0


def test_a_body_that_stays_broken_is_given_up(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    spoil_bodies(reader)
    send(sender)
    for _ in range(TRIES + 3):
        reader.sync()
    calls = reader.session.desk.calls.count("body")  # type: ignore[attr-defined]
    assert calls == 1 + TRIES
    assert [one.code for one in reader.alarms()] == ["body-changed"]


def test_a_proof_that_overtook_its_cable_counts_when_the_cable_is_there(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    ministry.close_slot()
    proof = ministry.item_proofs.pop(sent.envelope_id)
    inbox = ministry.inboxes[reader.session.terminal_id]
    (cable,) = inbox
    early = replace(cable, position=1, kind=4, content=proof, body_length=0)
    inbox[:] = [early]
    assert reader.sync().refused == 1
    inbox.append(replace(cable, position=2))
    assert reader.sync().cables == 1
    reader.sync()
    assert reader.alarms() == [] and reader.track(sent.cable_id).anchored


def test_what_is_malformed_or_unknown_is_not_tried_again(ministry: Ministry, officer: Officers) -> None:
    reader = officer("DEL")
    for position, (kind, content) in enumerate(((1, b"\xff" * 50), (99, b"from another version")), start=1):
        ministry.deliver(reader.session.terminal_id, kind, content, position.to_bytes(32), "DHA")
    assert reader.sync().refused == 2
    assert {one.code: one.tries for one in reader.alarms()} == {"malformed": 0, "unknown-inbox-item": 0}
