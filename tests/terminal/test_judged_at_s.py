"""A cable is judged by what held when its sender sealed it, whatever was granted or taken away since."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from crypto_msg.seal import Station
from keys.purpose import Purpose
from ledger.bodies import OfficerChanged, OfficerSuspended
from ledger.entry import encode_entry, make_leaf, sign_entry
from ledger.roles import Role
from ledger.state import NETWORK, officer_key, post_key
from protos.errors import DutabartaError, Refused, Unavailable, VerificationFailed
from support.ministry import Ministry, Officers
from terminal import judging, roster, sending
from terminal.compose import Composition
from terminal.terminal import Terminal
from terminal.view import DoubtfulNode

ALL = (Role.DRAFTER, Role.RELEASER, Role.SUPERVISOR)
DRAFTS_ONLY = (Role.DRAFTER,)


def composition(to: str = "DEL", classification: int = 3) -> Composition:
    return Composition((to,), 2, classification, "Trade", "Gruber informed Embassy officer.")


def enter(ministry: Ministry, kind: str, body: object, author: Terminal, *others: Terminal) -> None:
    """Enter a change of the roster, signed by all of them."""
    signers = [one.session.keyring.officer_signer for one in (author, *others)]
    key_id = signers[0].public_key.key_id
    entry = encode_entry(kind, ministry.machine.state.sequence(key_id) + 1, body)
    signatures = [sign_entry(entry, one, ministry.machine.network_id, Purpose.ENROLMENT) for one in signers]
    result = ministry.enter(make_leaf(entry, signatures, key_id))
    assert result.code == "accepted", result


def set_powers(
    ministry: Ministry, officer: Officers, whom: Terminal, roles: tuple[Role, ...] = ALL, clearance: int = 5
) -> None:
    """Let those who must sign give an officer of HQ or DEL these powers."""
    body = OfficerChanged(whom.session.officer_id, tuple(int(one) for one in roles), clearance)
    now = ministry.machine.state.officer(whom.session.officer_id)
    assert now is not None
    post = whom.session.config.post
    if set(body.roles) <= set(now.roles) and clearance <= now.clearance:
        enter(ministry, "officer-changed", body, officer(post, "second"))
        return
    second = officer("DHA", "third") if post == "DHA" else officer("DHA")
    enter(ministry, "officer-changed", body, whom, officer(post, "second"), second)


def rotate(officer: Officers, whom: Terminal) -> None:
    """Replace an officer's key; his terminal takes it up at its next act."""
    request = roster.rotation_request(whom.session)
    supervisor = officer(whom.session.config.post, "second")
    roster.submit_request(supervisor.session, roster.approve_as(supervisor.session, request))


def claim(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let every terminal seal as if it had seen no more than `size`."""

    def station_of(*args: object) -> Station:
        return replace(judging.station_of(*args), size_seen=size)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "station_of", station_of)


def only_alarm(terminal: Terminal) -> str:
    (alarm,) = terminal.alarms()
    return alarm.code


# --- what was taken away after S -----------------------------------------------------------------------------------


def test_a_cable_is_read_though_its_officer_changed_his_key_meanwhile(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("WAS"), officer("DEL")
    sent = sender.send(composition())
    rotate(officer, sender)
    assert reader.sync().cables == 1
    record = reader.read(sent.cable_id)
    assert record.releasers == (sender.session.officer_id,) and reader.alarms() == []


def test_a_cable_is_read_though_its_officer_lost_his_powers_meanwhile(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DEL"), officer("WAS")
    sent = sender.send(composition("WAS"))
    set_powers(ministry, officer, sender, DRAFTS_ONLY, 1)
    enter(ministry, "officer-suspended", OfficerSuspended(sender.session.officer_id, False), officer("DEL", "second"))
    assert reader.sync().cables == 1
    assert reader.find(sent.cable_id).state == "new" and reader.alarms() == []


def test_a_reader_whose_clearance_was_lowered_after_s_reads(ministry: Ministry, officer: Officers) -> None:
    reader = officer("DEL")
    sent = officer("WAS").send(composition())
    set_powers(ministry, officer, reader, ALL, 1)
    assert reader.sync().cables == 1
    assert reader.find(sent.cable_id).state == "new"


# --- what was granted after S --------------------------------------------------------------------------------------


def test_a_role_granted_after_s_does_not_count(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, reader = officer("DEL"), officer("WAS")
    set_powers(ministry, officer, sender, DRAFTS_ONLY)
    size = ministry.machine.size
    set_powers(ministry, officer, sender)
    claim(monkeypatch, size)
    sender.send(composition("WAS"))
    received = reader.sync()
    assert (received.cables, received.refused) == (0, 1)
    assert only_alarm(reader) == "role-missing"


def test_a_clearance_granted_to_the_reader_after_s_does_not_count(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = officer("DEL")
    set_powers(ministry, officer, reader, ALL, 1)
    size = ministry.machine.size
    set_powers(ministry, officer, reader)
    claim(monkeypatch, size)
    officer("WAS").send(composition())
    assert reader.sync().refused == 1
    assert only_alarm(reader) == "not-cleared"


def test_a_new_key_does_not_sign_under_an_s_that_did_not_know_it(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, reader = officer("WAS"), officer("DEL")
    size = ministry.machine.size
    rotate(officer, sender)
    claim(monkeypatch, size)
    sender.send(composition())
    assert reader.sync().refused == 1
    assert only_alarm(reader) == "unknown-signer"


# --- whether it still stands ---------------------------------------------------------------------------------------


def replaced_key(ministry: Ministry, officer: Officers, sender: Terminal) -> None:
    rotate(officer, sender)


def lost_role(ministry: Ministry, officer: Officers, sender: Terminal) -> None:
    set_powers(ministry, officer, sender, DRAFTS_ONLY)


@pytest.mark.parametrize("take_away", [replaced_key, lost_role])
def test_a_power_taken_away_leaves_a_doubt_unless_the_cable_was_anchored_before(
    ministry: Ministry, officer: Officers, take_away: object
) -> None:
    """Else a thief of the old key, or who lost the role, could claim an older S for ever."""
    sender, reader = officer("DEL"), officer("WAS")
    anchored = sender.send(composition("WAS"))
    ministry.close_slot()
    late = sender.send(composition("WAS"))
    take_away(ministry, officer, sender)  # type: ignore[operator]
    assert reader.sync().cables == 2
    assert reader.standing(reader.find(anchored.cable_id)).doubts == ()
    for _ in ("not anchored", "anchored afterwards"):
        standing = reader.standing(reader.find(late.cable_id))
        assert len(standing.doubts) == 1 and "taken away" in standing.doubts[0]
        ministry.close_slot()
    assert reader.standing(reader.find(late.cable_id)).anchored_at is not None


def test_a_power_that_was_given_back_leaves_no_doubt(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DEL"), officer("WAS")
    sent = sender.send(composition("WAS"))
    set_powers(ministry, officer, sender, DRAFTS_ONLY)
    set_powers(ministry, officer, sender)
    reader.sync()
    assert reader.standing(reader.find(sent.cable_id)).doubts == ()


# --- the node proves it, or the terminal waits -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "problem",
    [
        Unavailable("state-under-way", "the state is being made again"),
        Refused("no-such-size", "no block ends there"),
    ],
)
def test_what_the_node_cannot_prove_is_waited_for_and_never_judged(officer: Officers, problem: DutabartaError) -> None:
    sender, reader = officer("WAS"), officer("DEL")
    sent = sender.send(composition())
    desk = reader.session.desk
    honest = desk.state

    def state(keys: list[bytes], at_least: int = 0, exactly: int = 0) -> bytes:
        if exactly:
            raise problem
        return honest(keys, at_least)

    desk.state = state  # type: ignore[method-assign, assignment]
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            reader.sync()
        assert caught.value.code == problem.code
    assert reader.alarms() == []
    desk.state = honest  # type: ignore[method-assign]
    assert reader.sync().cables == 1
    assert reader.read(sent.cable_id).state == "read"


def test_the_state_at_another_size_is_the_nodes_lie(ministry: Ministry, officer: Officers) -> None:
    reader = officer("DEL")
    size = ministry.machine.size
    rotate(officer, officer("WAS"))
    honest = reader.session.desk.state
    reader.session.desk.state = partial(_at_size, honest, ministry.machine.size)  # type: ignore[method-assign]
    with pytest.raises(DoubtfulNode) as caught:
        reader.session.view.at(size)
    assert caught.value.code == "wrong-size"


def _at_size(honest: object, size: int, keys: list[bytes], at_least: int = 0, exactly: int = 0) -> bytes:
    return honest(keys, at_least, size)  # type: ignore[operator, no-any-return]


def test_an_earlier_state_under_a_checkpoint_older_than_seen_is_refused(ministry: Ministry, officer: Officers) -> None:
    reader = officer("DEL")
    size = ministry.machine.size
    old = reader.session.desk.state([NETWORK], 0, size)
    rotate(officer, officer("WAS"))
    reader.session.view.newest()
    reader.session.desk.state = lambda keys, at_least=0, exactly=0: old  # type: ignore[method-assign]
    with pytest.raises(VerificationFailed) as caught:
        reader.session.view.at(size)
    assert caught.value.code == "older-state"


def test_an_earlier_state_stays_while_the_ledger_grows(ministry: Ministry, officer: Officers) -> None:
    reader, other = officer("DEL"), officer("WAS")
    size, key = ministry.machine.size, officer_key(officer("WAS").session.officer_id)
    before = ministry.machine.state.get(key)
    state = reader.session.view.at(size, [post_key("DEL")])
    rotate(officer, other)
    assert state.get(key) == before != ministry.machine.state.get(key)
    assert [one.code for one in state.posts()] == ["DEL", "DHA", "WAS"]
    assert (state.size, reader.session.view.seen) == (size, reader.session.view.newest().checkpoint)


def test_a_size_that_the_ledger_has_not_reached_is_waited_for(ministry: Ministry, officer: Officers) -> None:
    with pytest.raises(Unavailable) as caught:
        officer("DEL").session.view.at(ministry.machine.size + 1)
    assert caught.value.code == "not-yet"
