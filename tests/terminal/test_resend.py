"""Cables handed in again: the stored bytes, to whoever has not DELIVERED, read once all the same."""

from __future__ import annotations

import pytest

from protos.errors import Refused
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.expiry import HOUR_SECONDS
from terminal.records import CableRecord
from terminal.terminal import Terminal


def send(sender: Terminal, to: str = "ALL-MISSIONS", hours: int = 0) -> CableRecord:
    return sender.send(Composition((to,), 2, 3, "Trade", "Text.", expires_hours=hours))


def refusal(terminal: Terminal, sent: CableRecord) -> str:
    with pytest.raises(Refused) as caught:
        terminal.resend(sent.cable_id)
    return caught.value.code


def came(ministry: Ministry, terminal: Terminal, sent: CableRecord) -> int:
    """How often the cable was put into the terminal's inbox."""
    inbox = ministry.inboxes[terminal.session.terminal_id]
    return sum(one.kind == 1 and one.envelope_id == sent.envelope_id for one in inbox)


def test_it_goes_to_whoever_has_not_delivered(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender)
    for name in ("first", "second"):
        officer("DEL", name).sync()
    officer("WAS").sync()
    sender.sync()
    assert sender.resend(sent.cable_id) == ("WAS",)
    assert [came(ministry, officer("DEL", name), sent) for name in ("first", "second")] == [1, 1]
    assert [came(ministry, officer("WAS", name), sent) for name in ("first", "second")] == [1, 2]


def test_it_is_read_once_and_answered_with_the_same_receipt(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender, "DEL")
    assert reader.sync().cables == 1
    before = reader.receipts(reader.find(sent.cable_id))
    sender.session.desk.ministry.inboxes[sender.session.terminal_id].clear()  # type: ignore[attr-defined]
    sender.resend(sent.cable_id)
    assert reader.sync().cables == 0
    assert reader.receipts(reader.find(sent.cable_id)) == before
    sender.sync()
    assert [one.signed for one in sender.receipts(sent)] == [one.signed for one in before]


def test_what_needs_no_resending_is_refused_by_name(ministry: Ministry, officer: Officers) -> None:
    sender, colleague = officer("DHA"), officer("DHA", "second")
    sent = send(sender, "DEL")
    colleague.sync()
    assert refusal(colleague, sent) == "not-sealed-here"
    for name in ("first", "second"):
        officer("DEL", name).sync()
    sender.sync()
    assert refusal(sender, sent) == "nothing-to-resend"
    assert refusal(officer("DEL"), sent) == "not-sealed-here"


def test_one_that_has_expired_is_not_sent_again(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender, hours=1)
    ministry.now += HOUR_SECONDS + 1
    officer("WAS").publish_prekey()
    assert refusal(sender, sent) == "expired-cable"


def test_a_node_out_of_reach_gets_it_later(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender, "DEL")
    sender.sync()
    sender.session.desk.calls.clear()  # type: ignore[attr-defined]
    put, sender.session.desk.put_cable = sender.session.desk.put_cable, _down  # type: ignore[method-assign]
    sender.resend(sent.cable_id)
    sender.session.desk.put_cable = put  # type: ignore[method-assign]
    assert came(ministry, reader, sent) == 1
    sender.sync()
    assert came(ministry, reader, sent) == 2
    sender.sync()
    assert came(ministry, reader, sent) == 2


def _down(*_arguments: object) -> bytes:
    from protos.errors import Unavailable

    raise Unavailable("unreachable", "the node is down", hint="start it")
