"""A node that never anchors is noticed: the ledger must hold a cable two slots after the node took it."""

from __future__ import annotations

from protos.errors import Unavailable
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.records import Aside, CableRecord
from terminal.terminal import Terminal


def send(sender: Terminal, to: str = "DEL") -> CableRecord:
    return sender.send(Composition((to,), 1, 1, "Trade", "Text."))


def codes(terminal: Terminal) -> list[str]:
    return [one.code for one in terminal.alarms()]


def after_slots(ministry: Ministry, slots: int) -> None:
    ministry.now += slots * ministry.machine.state.parameters().slot_seconds + 1


def test_a_cable_that_is_not_anchored_after_two_slots_raises_an_alarm(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent, other = send(sender), send(sender, "WAS")
    after_slots(ministry, 1)
    assert codes(sender) == [] and sender.track(sent.cable_id).alarms == ()
    after_slots(ministry, 1)
    assert codes(sender) == ["anchor-missing", "anchor-missing"]
    (text,) = sender.track(sent.cable_id).alarms
    assert sent.cable_id.hex() in text and other.cable_id.hex() not in text
    ministry.close_slot()
    assert codes(sender) == [] and sender.track(sent.cable_id).alarms == ()


def test_what_the_node_has_not_taken_yet_misses_no_anchor(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    desk = sender.session.desk
    honest = desk.put_cable

    def unreachable(*_args: object) -> bytes:
        raise Unavailable("unreachable", "the node is down")

    desk.put_cable = unreachable  # type: ignore[method-assign]
    send(sender)
    after_slots(ministry, 9)
    assert codes(sender) == []
    desk.put_cable = honest  # type: ignore[method-assign]
    sender.sync()
    assert codes(sender) == []
    after_slots(ministry, 2)
    assert codes(sender) == ["anchor-missing"]


def test_a_proof_of_another_cable_is_told_as_what_it_is(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent, other = send(sender), send(sender)
    ministry.close_slot()
    ministry.item_proofs[sent.envelope_id] = ministry.item_proofs[other.envelope_id]
    after_slots(ministry, 2)
    (alarm,) = sender.alarms()
    assert alarm.code != "anchor-missing" and "does not hold" in alarm.text and alarm.envelope_id == sent.envelope_id


def test_a_node_out_of_reach_proves_nothing(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    send(sender)
    after_slots(ministry, 2)
    sender.session.desk.down = True  # type: ignore[attr-defined]
    assert codes(sender) == []


def test_track_shows_the_alarms_of_this_cable_alone(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent, other = send(sender), send(sender)
    with sender.session.store.transaction() as transaction:
        alarm = Aside(b"k", "receipt-contradicts", "other content", "DEL", 1, envelope_id=other.envelope_id)
        transaction.add_aside(alarm)
    assert sender.track(sent.cable_id).alarms == ()
    assert sender.track(other.cable_id).alarms == ("other content",)
