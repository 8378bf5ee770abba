"""Acknowledgement timers: an alarm after one interval, headquarters after a second, an end when all have answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.bodies import ParametersChanged
from ledger.parameters import DEFAULT_ANSWER_SECONDS, EXERCISE_PARAMETERS
from protos.errors import Refused
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.escalations import UNANSWERED
from terminal.exceptions import KEY_SECONDS
from terminal.records import CableRecord
from terminal.terminal import Terminal
from terminal.timers import OVERDUE

PRIORITY = 2
SECONDS = DEFAULT_ANSWER_SECONDS[PRIORITY - 1]
ESCALATION = 8


def send(sender: Terminal, to: str = "WAS", info: tuple[str, ...] = (), precedence: int = PRIORITY) -> CableRecord:
    return sender.send(Composition((to,), precedence, 3, "Trade", "Text.", info=info))


def texts(terminal: Terminal, code: str) -> list[str]:
    return [one.text for one in terminal.alarms() if one.code == code]


def escalations(ministry: Ministry, terminal: Terminal) -> int:
    return sum(one.kind == ESCALATION for one in ministry.inboxes[terminal.session.terminal_id])


@pytest.mark.parametrize("precedence", [1, 2, 3])
def test_each_precedence_has_its_interval(ministry: Ministry, officer: Officers, precedence: int) -> None:
    sender = officer("DEL")
    sent = send(sender, precedence=precedence)
    ministry.now = sent.at + DEFAULT_ANSWER_SECONDS[precedence - 1] - 1
    assert not texts(sender, OVERDUE)
    ministry.now += 1
    (text,) = texts(sender, OVERDUE)
    assert "not delivered at WAS" in text and sent.cable_id.hex() in text
    assert text in sender.track(sent.cable_id).alarms


def test_the_alarm_needs_no_node(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DEL")
    send(sender)
    ministry.now += SECONDS
    sender.session.desk.down = True  # type: ignore[attr-defined]
    assert texts(sender, OVERDUE)


def test_delivered_is_not_enough_for_action_and_enough_for_information(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DEL"), officer("WAS")
    sent = send(sender, info=("DHA",))
    ministry.now += SECONDS
    reader.sync()
    sender.sync()
    (text,) = texts(sender, OVERDUE)
    assert "not delivered at DHA; not acknowledged by WAS" in text
    officer("DHA").sync()
    reader.acknowledge(sent.cable_id)
    sender.sync()
    assert not texts(sender, OVERDUE)


def test_a_colleague_has_no_timer(ministry: Ministry, officer: Officers) -> None:
    send(officer("DEL"))
    officer("DEL", "second").sync()
    ministry.now += 2 * SECONDS
    assert not texts(officer("DEL", "second"), OVERDUE)


def test_headquarters_is_told_once_after_a_second_interval_and_when_it_is_over(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader, duty = officer("DEL"), officer("WAS"), officer("DHA")
    sent = send(sender)
    ministry.now = sent.at + 2 * SECONDS - 1
    sender.sync()
    assert not escalations(ministry, duty)
    ministry.now += 1
    for _ in range(2):
        sender.sync()
    assert escalations(ministry, duty) == escalations(ministry, officer("DHA", "second")) == 1
    assert "headquarters has been told" in texts(sender, OVERDUE)[0]
    duty.sync()
    (text,) = texts(duty, UNANSWERED)
    assert "PRIORITY" in text and "of DEL" in text and "not delivered at WAS" in text
    reader.sync()
    reader.acknowledge(sent.cable_id)
    for _ in range(2):
        sender.sync()
    assert escalations(ministry, duty) == 2
    duty.sync()
    assert not texts(duty, UNANSWERED)


def test_the_end_that_overtakes_its_beginning_stands(ministry: Ministry, officer: Officers) -> None:
    sender, duty = officer("DEL"), officer("DHA")
    sent = send(sender)
    ministry.now += 2 * SECONDS
    sender.sync()
    sender.except_post(sent.cable_id, "WAS")
    sender.sync()
    inbox = ministry.inboxes[duty.session.terminal_id]
    inbox[:] = [replace(one, position=at) for at, one in enumerate(reversed(inbox), 1)]
    duty.sync()
    assert escalations(ministry, duty) == 2 and not texts(duty, UNANSWERED)


def test_an_addressee_that_only_owes_its_acknowledgement_can_be_excepted(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DEL")
    sent = send(sender)
    for name in ("first", "second"):
        officer("WAS", name).sync()
    ministry.now += SECONDS
    sender.sync()
    assert texts(sender, OVERDUE)
    sender.except_post(sent.cable_id, "WAS")
    assert not texts(sender, OVERDUE)
    with pytest.raises(Refused):
        sender.except_post(sent.cable_id, "WAS")


def test_bundles_out_of_reach_leave_it_for_the_next_time(ministry: Ministry, officer: Officers) -> None:
    sender, duty = officer("DEL"), officer("DHA")
    send(sender)
    ministry.now += 2 * SECONDS
    bundles, ministry.bundles = ministry.bundles, {}
    sender.sync()
    assert not escalations(ministry, duty)
    ministry.bundles = bundles
    sender.sync()
    assert escalations(ministry, duty) == 1


def test_the_network_may_set_the_intervals(ministry: Ministry, officer: Officers) -> None:
    changed = replace(EXERCISE_PARAMETERS, answer_seconds=(600, 300, 120, 60), mission_quorum=1)
    ministry.govern("parameters", ParametersChanged(changed))
    sender = officer("DEL")
    send(sender)
    sender.sync()
    ministry.now += 300
    assert texts(sender, OVERDUE)


def test_an_answered_cable_is_watched_no_more_when_its_key_is_gone(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DEL")
    sent = send(sender)
    for name in ("first", "second"):
        officer("WAS", name).sync()
        officer("WAS", name).acknowledge(sent.cable_id)
    sender.sync()
    assert sender.find(sent.cable_id).cek
    ministry.now += KEY_SECONDS + 1
    sender.sync()
    assert not sender.find(sent.cable_id).cek
    with sender.session.store.transaction() as transaction:
        assert not transaction.watches()
