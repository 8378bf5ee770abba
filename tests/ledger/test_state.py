from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.map import Map
from ledger.roles import Role
from ledger.state import State, officer_key, post_key, roster_key, sequence_key, terminal_key
from protos.errors import Refused
from support.network import TestNetwork

pairs = st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=6), max_size=20)


@given(pairs, st.randoms())
def test_the_root_does_not_depend_on_the_order_of_writes(content: dict[bytes, bytes], random: object) -> None:
    first, second = State(), State()
    for key, value in content.items():
        first.put(key, value)
    shuffled = list(content.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for key, value in shuffled:
        second.put(key, b"overwritten")
        second.put(key, value)
    plain = Map.empty()
    for key, value in content.items():
        plain = plain.set(key, value)
    assert first.settled().root == second.settled().root == plain.root


@given(pairs, pairs)
def test_a_fork_sees_what_was_and_keeps_to_itself(before: dict[bytes, bytes], after: dict[bytes, bytes]) -> None:
    state = State()
    for key, value in before.items():
        state.put(key, value)
    fork = state.fork()
    for key, value in after.items():
        fork.put(key, value)
    for key in {*before, *after}:
        assert state.get(key) == before.get(key)
        assert fork.get(key) == {**before, **after}[key]


def test_a_record_read_again_is_the_one_of_its_own_fork(net: TestNetwork) -> None:
    """The cache of decoded records is shared by forks, and never gives one the other's record."""
    machine = net.machine()
    state, other = machine.state.fork(), machine.state.fork()
    post = state.active_post("DEL")
    other.put(post_key("DEL"), other.get(post_key("LON")) or b"")
    assert other.active_post("DEL").code == "LON"
    assert state.active_post("DEL") == post
    assert other.active_post("DEL").code == "LON"


def test_the_keys_are_those_of_the_protocol_page() -> None:
    assert post_key("DHA") == b"post/DHA"
    assert roster_key("DHA") == b"roster/DHA"
    assert officer_key(bytes(16)) == b"officer/" + b"00" * 16
    assert terminal_key(bytes(32)) == b"terminal/" + b"00" * 32
    assert sequence_key(b"\xff" * 32) == b"sequence/" + b"ff" * 32


def test_unknown_ids_are_absent_or_refused_by_name(net: TestNetwork) -> None:
    state = net.machine().state
    assert state.post("XYZ") is None
    assert state.officer(bytes(16)) is None
    assert state.terminal(b"") is None
    assert state.roster("XYZ").officer_ids == ()
    assert state.active_with_role("XYZ", Role.SUPERVISOR) == ()
    assert not state.may_act(bytes(16))
    assert state.officer_of_key(bytes(32)) is None
    assert state.officer_of_key(net.posts["DEL"].entry.public_key.key_id) is None
    for read, code in (
        (lambda: state.active_post("D\u0117L"), "unknown-post"),
        (lambda: state.active_officer(bytes(16)), "unknown-officer"),
        (lambda: state.active_terminal(bytes(32)), "unknown-terminal"),
    ):
        with pytest.raises(Refused) as caught:
            read()
        assert caught.value.code == code
