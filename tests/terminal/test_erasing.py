"""Prekeys and content keys are erased when nobody needs them any more, and never before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protos.errors import Refused, Unavailable
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.erasing import GRACE_SECONDS, HEADQUARTERS_GRACE_SECONDS
from terminal.exceptions import KEY_SECONDS
from terminal.records import CableRecord
from terminal.terminal import Terminal

HOURS = 3600
STEP = 12 * HOURS


def send(sender: Terminal, to: str = "DEL") -> CableRecord:
    return sender.send(Composition((to,), 2, 3, "Trade", "Gruber informed Embassy officer."), accept_stale=True)


def epochs(terminal: Terminal) -> list[int]:
    return [one.epoch for one in terminal.session.keyring.prekeys]


def keep_one_prekey(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the test publishes counts."""
    monkeypatch.setattr("terminal.prekeys.ROTATE_SECONDS", 10**9)
    terminal.sync()


@pytest.mark.parametrize(("post", "grace"), [("DEL", GRACE_SECONDS), ("DHA", HEADQUARTERS_GRACE_SECONDS)])
def test_an_old_prekey_goes_when_its_grace_has_passed_while_connected(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch, post: str, grace: int
) -> None:
    reader, other = officer(post), officer("WAS")
    keep_one_prekey(reader, monkeypatch)
    reader.publish_prekey()
    reader.sync()
    pass_days(ministry, other, grace - STEP, reader)
    assert epochs(reader) == [1, 2]
    pass_days(ministry, other, STEP + 60, reader)
    assert epochs(reader) == [2]
    assert reader.session.folder.load_keyring(b"exercise").prekeys == reader.session.keyring.prekeys


def pass_days(ministry: Ministry, author: Terminal, seconds: int, *terminals: Terminal) -> None:
    """The ledger goes on, an entry each half day; these terminals synchronise at each."""
    end = ministry.now + seconds
    while ministry.now < end:
        ministry.now = min(end, ministry.now + STEP)
        author.publish_prekey()
        for one in terminals:
            one.sync()


def test_time_away_does_not_count(ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was away for 90 days finds what was sealed to its old prekey."""
    sender, reader, other = officer("DHA"), officer("DEL"), officer("WAS")
    keep_one_prekey(reader, monkeypatch)
    send(sender)
    pass_days(ministry, other, 90 * 86_400 // 10)
    ministry.now += 80 * 86_400
    other.publish_prekey()
    reader.publish_prekey()
    assert reader.sync().cables == 1
    ministry.now += 8 * 86_400
    other.publish_prekey()
    reader.sync()
    assert epochs(reader) == [1, 2]


def test_a_queue_that_was_not_emptied_keeps_the_prekey(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, reader, other = officer("DHA"), officer("DEL"), officer("WAS")
    keep_one_prekey(reader, monkeypatch)
    send(sender)
    reader.publish_prekey()
    honest = reader.session.desk.body
    reader.session.desk.body = lambda *_: (_ for _ in ()).throw(  # type: ignore[method-assign]
        Unavailable("body-cut", "cut", hint="try again")
    )
    for _ in range(20):
        ministry.now += STEP
        other.publish_prekey()
        with pytest.raises(Unavailable):
            reader.sync()
    assert epochs(reader) == [1, 2]
    reader.session.desk.body = honest  # type: ignore[method-assign]
    assert reader.sync().cables == 1
    assert epochs(reader) == [1, 2]


def test_a_prekey_that_is_not_final_erases_nothing(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, other = officer("DEL"), officer("WAS")
    keep_one_prekey(reader, monkeypatch)
    seed = replace(reader.session.keyring.prekeys[-1], epoch=2, bundle_hash=bytes(32))
    reader.session.save_keyring(reader.session.keyring.with_prekey(seed))
    pass_days(ministry, other, GRACE_SECONDS + 2 * STEP, reader)
    assert epochs(reader) == [1, 2]


# --- content keys ------------------------------------------------------------------------------------------------


def test_a_content_key_goes_with_the_last_delivered_but_stays_thirty_days(
    ministry: Ministry, officer: Officers
) -> None:
    sender = officer("DHA")
    sent = send(sender)
    officer("DEL").sync()
    ministry.now += KEY_SECONDS + 1
    sender.sync()
    assert sender.find(sent.cable_id).cek
    officer("DEL", "second").sync()
    sender.sync()
    assert not sender.find(sent.cable_id).cek
    young = send(sender)
    for name in ("first", "second"):
        officer("DEL", name).sync()
    sender.sync()
    assert sender.find(young.cable_id).cek, "a terminal restored from a backup may still ask for it"


def test_a_colleagues_key_goes_too(ministry: Ministry, officer: Officers) -> None:
    sent = send(officer("DHA"))
    colleague = officer("DHA", "second")
    officer("DEL").sync()
    colleague.sync()
    assert colleague.find(sent.cable_id).cek
    ministry.now += KEY_SECONDS + 1
    colleague.sync()
    assert not colleague.find(sent.cable_id).cek


def test_an_addressee_on_the_exception_list_is_not_waited_for(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender, "ALL-MISSIONS")
    for name in ("first", "second"):
        officer("DEL", name).sync()
        officer("DEL", name).acknowledge(sent.cable_id)
    ministry.now += KEY_SECONDS + 1
    sender.sync()
    with pytest.raises(Refused) as caught:
        sender.except_post(sent.cable_id, "DEL")
    assert caught.value.code == "not-outstanding"
    assert sender.except_post(sent.cable_id, "WAS").excepted == ("WAS",)
    assert not sender.find(sent.cable_id).cek


def test_a_key_kept_for_thirty_days_is_alarmed(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = send(sender)
    ministry.close_slot()
    assert sender.alarms() == []
    ministry.now += KEY_SECONDS + 1
    (alarm,) = [one for one in sender.alarms() if one.code != "answer-overdue"]
    assert alarm.code == "not-delivered" and "DEL" in alarm.text
    sender.except_post(sent.cable_id, "DEL")
    assert sender.alarms() == []


def test_a_released_draft_keeps_no_key(ministry: Ministry, officer: Officers) -> None:
    drafter, releaser = officer("DHA"), officer("DHA", "second")
    drafted = drafter.draft(Composition(("DEL",), 2, 3, "Trade", "Text."))
    releaser.sync()
    releaser.release(drafted.cable_id)
    assert all(not one.cek for one in releaser.cables("drafts"))
