"""Revoked with a compromise, by size or date; terminals gone; an officer enrolled again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.enrolment import Newcomer, complete_exercise, prepare
from ledger.entry import decode_leaf
from ledger.wire import BlockRecord
from protos.errors import Unavailable, VerificationFailed
from support.ministry import PASSPHRASE, Ministry, Officers
from terminal import roster, zeroize
from terminal.compose import Composition
from terminal.folder import Folder
from terminal.terminal import Terminal

NOTE = Composition(("DEL",), 2, 3, "Trade", "Text.")
READERS, COPIES = "readers-gone", "copies-gone"


def officer_of(terminal: Terminal):  # type: ignore[no-untyped-def]
    return terminal.session.view.judge(terminal.session.own)[0]


def three_anchored(ministry: Ministry, officer: Officers) -> list[bytes]:
    """Envelope ids of three cables of DHA that DEL holds, each anchored an hour after the one before."""
    sender, reader, sent = officer("DHA"), officer("DEL"), []
    for _ in range(3):
        ministry.now += 3600
        sent.append(sender.send(NOTE, accept_stale=True).envelope_id)
        ministry.close_slot()
    reader.sync()
    return sent


def index_of(reader: Terminal, envelope_id: bytes) -> int:
    found = reader.standing(reader.find(envelope_id)).anchored_at
    assert found is not None
    return found


@pytest.mark.parametrize(("first", "doubtful"), [(0, 3), (1, 2), (2, 1)])
def test_what_was_anchored_since_a_size_is_doubtful_in_the_list(
    ministry: Ministry, officer: Officers, first: int, doubtful: int
) -> None:
    sent, reader = three_anchored(ministry, officer), officer("DEL")
    assert reader.doubts(reader.cables()) == {}
    since = index_of(reader, sent[first])
    roster.revoke(officer("DHA", "second").session, officer_of(officer("DHA")), since)
    found = reader.doubts(reader.cables())
    assert set(found) == set(sent[first:]) and len(found) == doubtful
    assert all(str(since) in texts[0] for texts in found.values())


def test_a_revocation_without_compromise_leaves_what_was_anchored(ministry: Ministry, officer: Officers) -> None:
    three_anchored(ministry, officer)
    late = officer("DHA").send(NOTE, accept_stale=True).envelope_id
    roster.revoke(officer("DHA", "second").session, officer_of(officer("DHA")))
    reader = officer("DEL")
    reader.sync()
    assert set(reader.doubts(reader.cables())) == {late}, "of that one nothing proves that it was there before"


def test_a_date_names_the_end_of_the_last_block_before_it(ministry: Ministry, officer: Officers) -> None:
    sent, reader = three_anchored(ministry, officer), officer("DEL")
    view = reader.session.view
    leaves = ((end, decode_leaf(leaf)) for end, leaf in enumerate(ministry.leaves, 1))
    records = [(end, one.time) for end, one in leaves if isinstance(one, BlockRecord)]
    for time in {time + step for _, time in records[1:] for step in (0, 1)}:
        assert view.size_before(time) == max(end for end, at in records if at < time)
    with pytest.raises(Unavailable) as problem:
        view.size_before(records[0][1])
    assert problem.value.code == "before-the-ledger"
    second = index_of(reader, sent[1])
    time = next(at for end, at in records if end > second)
    roster.revoke(officer("DHA", "second").session, officer_of(officer("DHA")), view.size_before(time))
    assert set(reader.doubts(reader.cables())) == set(sent[1:])


def test_a_node_cannot_name_a_block_of_that_time_or_later(ministry: Ministry, officer: Officers) -> None:
    three_anchored(ministry, officer)
    session = officer("DEL").session
    honest = session.desk.block_before
    session.desk.block_before = lambda time, at_least=0: honest(time + 7200, at_least)  # type: ignore[method-assign]
    with pytest.raises(VerificationFailed) as problem:
        session.view.size_before(ministry.now - 3600)
    assert problem.value.code == "wrong-block"


# --- terminals gone, officers enrolled again ------------------------------------------------------------------


def zeroized(ministry: Ministry, officer: Officers, post: str, name: str) -> None:
    zeroize.zeroize(officer(post, name).session, None)


def codes(terminal: Terminal) -> set[str]:
    return {one.code for one in terminal.alarms()}


def test_the_sender_is_told_when_every_reader_is_gone(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = sender.send(NOTE)
    zeroized(ministry, officer, "DEL", "first")
    assert READERS not in codes(sender)
    zeroized(ministry, officer, "DEL", "second")
    assert READERS in codes(sender)
    assert any("send it again" in text for text in sender.track(sent.envelope_id).alarms)
    sender.except_post(sent.envelope_id, "DEL")
    assert READERS not in codes(sender)


def test_a_delivered_cable_whose_copies_are_gone_is_said_where_it_is_tracked(
    ministry: Ministry, officer: Officers
) -> None:
    sender = officer("DHA")
    sent = sender.send(NOTE)
    for name in ("first", "second"):
        officer("DEL", name).sync()
        zeroized(ministry, officer, "DEL", name)
    sender.sync()
    tracked = sender.track(sent.envelope_id)
    assert [one.state for one in tracked.progress] == ["delivered"]
    assert any("out of force since" in text for text in tracked.alarms) and READERS not in codes(sender)


def test_a_node_out_of_reach_raises_no_such_alarm(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sender.send(NOTE)
    for name in ("first", "second"):
        zeroized(ministry, officer, "DEL", name)
    sender.session.desk.down = True  # type: ignore[attr-defined]
    assert READERS not in codes(sender)


def test_an_officer_is_enrolled_again_under_his_name(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New id, new keys, new terminal in the same place; what was sent before stays closed, what comes now opens."""
    home, who = ministry.folder / "DEL", Newcomer("rahima", (1, 2), 4)
    monkeypatch.setattr("terminal.terminal.NodeClient", ministry.connect)

    def enrol() -> bytes:
        made = prepare(home, who, PASSPHRASE)
        complete_exercise(home, made, PASSPHRASE, PASSPHRASE)
        return bytes.fromhex(made.config.officer_id)

    first = enrol()
    old = officer("DHA").send(NOTE)
    roster.revoke(officer("DEL").session, officer_of(officer("DEL", "rahima")))
    zeroized(ministry, officer, "DEL", "rahima")
    officer.close()
    second = enrol()
    assert first != second and Folder(home / "terminals" / "rahima").load_config().officer_id == second.hex()
    new = officer("DHA").send(NOTE)
    again = officer("DEL", "rahima")
    again.sync()
    assert [one.envelope_id for one in again.cables("in")] == [new.envelope_id] != [old.envelope_id]
    names = [one.name for one in roster.roster_of(again.session, "DEL")]
    assert names.count("rahima") == 1


def test_the_dates_of_the_command_line() -> None:
    from cli.desk import Since

    parse = Since().convert
    assert parse("42", None, None) == 42
    assert parse("2026-11-20", None, None) == datetime(2026, 11, 20, tzinfo=UTC)
    assert parse("2026-11-20T14:30Z", None, None) == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    assert parse("2026-11-20T20:30+06:00", None, None) == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
