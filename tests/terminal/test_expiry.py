"""What a terminal makes of EXPIRED: exception list and alarm, by the ledger's time, never against a DELIVERED."""

from __future__ import annotations

import pytest

from crypto_msg.envelope import decode_head, read_outer
from crypto_msg.expired import make_expired
from crypto_msg.wire import Expired
from protos.errors import Refused
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.expiry import CABLE_EXPIRED, HOUR_SECONDS
from terminal.records import CableRecord
from terminal.terminal import Terminal

EXPIRED = 7


def send(sender: Terminal, hours: int = 1, to: tuple[str, ...] = ("DEL", "WAS")) -> CableRecord:
    return sender.send(Composition(to, 2, 3, "Trade", "Text.", expires_hours=hours))


def age(ministry: Ministry, officer: Officers, seconds: int) -> None:
    """The ledger's time goes on: somebody publishes a prekey."""
    ministry.close_slot()
    ministry.now += seconds
    officer("WAS", "second").publish_prekey()


def give_up(ministry: Ministry, sent: CableRecord, post: str, by: str = "DHA", **changed: object) -> bytes:
    """The node of `by` tells the sender's terminals that it gave up."""
    machine = ministry.machine
    fields = {"origin": "DHA", "size": machine.size, "time": machine.time, **changed}
    said = Expired(sent.envelope_id, post=post, by=by, **fields)  # type: ignore[arg-type]
    content = make_expired(said, machine.network_id, ministry.keys[by].entry)
    for terminal_id in machine.state.roster("DHA").terminal_ids:
        ministry.deliver(terminal_id, EXPIRED, content, sent.envelope_id, by)
    return content


def states(terminal: Terminal, sent: CableRecord) -> dict[str, str]:
    return {one.post: one.state for one in terminal.track(sent.cable_id).progress}


def codes(terminal: Terminal) -> list[str]:
    return [one.code for one in terminal.alarms()]


def test_the_envelope_carries_the_expiry_and_so_does_the_copy_of_a_colleague(
    ministry: Ministry, officer: Officers
) -> None:
    sent = send(officer("DHA"))
    with officer("DHA").session.store.transaction() as transaction:
        sealed = transaction.envelope(sent.envelope_id)
    assert sealed is not None
    assert read_outer(decode_head(sealed.head)).expires_at == sent.expires_at == ministry.now + HOUR_SECONDS
    officer("DHA", "second").sync()
    assert officer("DHA", "second").find(sent.cable_id).expires_at == sent.expires_at


def test_a_clock_that_is_years_behind_gives_no_expiry_that_has_passed(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sender.session.clock = lambda: ministry.now - 10**8
    sent = sender.send(Composition(("DEL",), 2, 3, "Trade", "Text.", expires_hours=1), accept_stale=True)
    assert sent.expires_at >= ministry.machine.time + HOUR_SECONDS


def test_an_expired_addressee_comes_on_the_exception_list_with_an_alarm(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender)
    officer("DEL").sync()
    age(ministry, officer, HOUR_SECONDS + 1)
    content = give_up(ministry, sent, "WAS", by="DEL")
    sender.sync()
    assert states(sender, sent) == {"DEL": "delivered", "WAS": "carried"}, "the node says that WAS has it"
    ministry.hops[sent.envelope_id]["WAS"] = "relayed"
    assert states(sender, sent) == {"DEL": "delivered", "WAS": "expired"}
    record = sender.find(sent.cable_id)
    assert record.excepted == ("WAS",)
    (alarm,) = [one for one in sender.alarms() if one.code == CABLE_EXPIRED]
    assert "WAS" in alarm.text and "DEL" in alarm.text
    with sender.session.store.transaction() as transaction:
        (kept,) = transaction.notices(sent.envelope_id)
    assert kept.signed == content
    give_up(ministry, sent, "WAS")
    sender.sync()
    assert codes(sender).count(CABLE_EXPIRED) == 1


def test_one_that_comes_too_early_or_lies_about_the_time_is_refused(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender)
    give_up(ministry, sent, "WAS")
    give_up(ministry, sent, "WAS", time=sent.expires_at + 1)
    sender.sync()
    assert codes(sender) == ["not-expired"]
    assert sender.find(sent.cable_id).excepted == ()
    age(ministry, officer, HOUR_SECONDS + 1)
    give_up(ministry, send(sender, hours=0), "WAS")
    ministry.close_slot()
    sender.sync()
    assert codes(sender) == ["not-expired", "not-expired"], "a cable without expiry never expires"


def test_a_statement_changes_nothing_against_a_delivered(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender)
    officer("DEL").sync()
    sender.sync()
    age(ministry, officer, HOUR_SECONDS + 1)
    give_up(ministry, sent, "DEL")
    sender.sync()
    assert codes(sender) == [] and states(sender, sent)["DEL"] == "delivered"


def test_a_delivered_that_comes_later_is_shown(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender)
    age(ministry, officer, HOUR_SECONDS + 1)
    give_up(ministry, sent, "DEL")
    sender.sync()
    officer("DEL").sync()
    sender.sync()
    assert states(sender, sent)["DEL"] == "delivered"


def test_a_draft_hands_its_expiry_on_and_is_not_released_behind_it(ministry: Ministry, officer: Officers) -> None:
    drafter, releaser = officer("DEL"), officer("DEL", "second")
    sent = drafter.draft(Composition(("DHA",), 2, 3, "Trade", "Text.", expires_hours=1))
    releaser.sync()
    age(ministry, officer, HOUR_SECONDS + 1)
    with pytest.raises(Refused) as caught:
        releaser.release(sent.cable_id)
    assert caught.value.code == "expired-cable"
    assert releaser.release(sent.cable_id, expires_hours=2).expires_at > ministry.now + HOUR_SECONDS


def test_an_expiry_out_of_bounds_is_refused(ministry: Ministry, officer: Officers) -> None:
    for hours in (-1, 10**6):
        with pytest.raises(Refused) as caught:
            send(officer("DHA"), hours)
        assert caught.value.code == "bad-expiry"
