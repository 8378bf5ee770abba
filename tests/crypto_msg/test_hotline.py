"""Setting a hotline call up: both sides derive the same keys, and nobody else can take or change a part."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_msg.hotkeys import call_keys, open_answer_secret, open_ring_secret
from crypto_msg.hotline import (
    decode_transcript,
    encode_transcript,
    make_answer,
    make_confirmation,
    make_end,
    make_ring,
    transcript_item_hash,
    verify_answer,
    verify_confirmation,
    verify_end,
    verify_ring,
)
from crypto_msg.hotline_wire import MAX_CONTENT, Answer, End, Line, Reason, Ring
from keys.signing import DirectVerifier
from protos.errors import DutabartaError, Malformed, VerificationFailed
from support.cables import NETWORK_ID, SIZE
from support.forger import flip
from support.hotcalls import (
    AT,
    CALLED,
    CALLED_SECRET,
    CALLER,
    CALLER_SECRET,
    THIRD,
    keys_of_called,
    keys_of_caller,
    ring_of,
    set_up,
)

CALL = set_up()
CHECKS = DirectVerifier()


def answered(data: bytes, network_id: bytes = NETWORK_ID) -> Answer:
    return verify_answer(data, CALL.ring, CALL.ring_hash, network_id, CALLED.terminal, CHECKS)


def test_both_sides_derive_the_same_keys_and_every_one_is_another() -> None:
    assert verify_ring(CALL.ring_bytes, NETWORK_ID, CALLER.terminal, CHECKS) == CALL.ring
    assert answered(CALL.answer_bytes) == CALL.answer
    caller, called = keys_of_caller(CALL), keys_of_called(CALL)
    assert caller == called
    assert len({getattr(side, one.name) for side in (caller.caller, caller.called) for one in fields(side)}) == 6
    assert len(CALL.ring_bytes) < MAX_CONTENT and len(CALL.answer_bytes) < MAX_CONTENT


@pytest.mark.parametrize("changed", range(5))
def test_the_keys_depend_on_every_part_of_the_set_up(changed: int) -> None:
    parts = [NETWORK_ID, CALL.ring_hash, CALL.answer_hash, CALLER_SECRET, CALLED_SECRET]
    parts[changed] = flip(parts[changed], 7)
    other = call_keys(*parts)
    assert other.caller.stream != keys_of_caller(CALL).caller.stream
    assert other.called.ack != keys_of_caller(CALL).called.ack


def test_no_third_terminal_opens_a_secret() -> None:
    with pytest.raises(VerificationFailed) as refused:
        open_ring_secret(CALL.ring, {CALL.ring.bundle_hash: THIRD.prekey})
    assert refused.value.code == "call-not-opened"
    with pytest.raises(VerificationFailed):
        open_answer_secret(replace(CALL.answer, ring_hash=b"x" * 32), {CALLER.bundle.bundle_hash: CALLER.prekey})
    with pytest.raises(VerificationFailed):
        open_ring_secret(replace(CALL.ring, call_id=b"x" * 16), {CALLED.bundle.bundle_hash: CALLED.prekey})


@given(st.integers(0, len(CALL.ring_bytes) * 8 - 1))
@settings(max_examples=120, deadline=None)
def test_no_flipped_bit_of_a_ring_holds(bit: int) -> None:
    with pytest.raises((Malformed, VerificationFailed)):
        verify_ring(flip(CALL.ring_bytes, bit), NETWORK_ID, CALLER.terminal, CHECKS)


@given(st.integers(0, len(CALL.answer_bytes) * 8 - 1))
@settings(max_examples=120, deadline=None)
def test_no_flipped_bit_of_an_answer_holds(bit: int) -> None:
    with pytest.raises((Malformed, VerificationFailed)):
        answered(flip(CALL.answer_bytes, bit))


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    for check in (
        lambda: verify_ring(data, NETWORK_ID, CALLER.terminal, CHECKS),
        lambda: answered(data),
        lambda: verify_end(data, CALL.ring, CALL.ring_hash, NETWORK_ID, CALLED.terminal, CHECKS),
        lambda: decode_transcript(data + b"\xff"),
    ):
        with pytest.raises(DutabartaError):
            check()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"call_id": b"c" * 15},
        {"terminal_id": CALLED.terminal.terminal_id},
        {"classification": 0},
        {"classification": 6},
        {"size": 0},
        {"post": "dha"},
        {"sealed": b"s" * 1167},
    ],
)
def test_a_ring_has_bounds(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        make_ring(replace(CALL.ring, **change), CALLER.terminal_signer)
    assert refused.value.code == "bad-call"


def test_a_ring_is_of_its_terminal_its_network_and_its_purpose() -> None:
    with pytest.raises(VerificationFailed):
        verify_ring(CALL.ring_bytes, NETWORK_ID, THIRD.terminal, CHECKS)
    with pytest.raises(VerificationFailed):
        verify_ring(make_ring(CALL.ring, THIRD.terminal_signer), NETWORK_ID, CALLER.terminal, CHECKS)
    with pytest.raises(Malformed):
        verify_ring(CALL.ring_bytes, b"x" * 32, CALLER.terminal, CHECKS)
    retired = replace(CALLER.terminal, retired_at=SIZE - 1)
    with pytest.raises(VerificationFailed) as refused:
        verify_ring(CALL.ring_bytes, NETWORK_ID, retired, CHECKS)
    assert refused.value.code == "unknown-terminal"


def test_an_answer_belongs_to_one_ring_and_the_terminal_that_it_called() -> None:
    other = make_ring(replace(ring_of(), at=AT + 1), CALLER.terminal_signer)
    strange = [replace(CALL.answer, ring_hash=b"x" * 32), replace(CALL.answer, terminal_id=THIRD.terminal.terminal_id)]
    for answer in (*strange, replace(CALL.answer, size=SIZE - 1)):
        with pytest.raises(VerificationFailed) as refused:
            answered(make_answer(answer, NETWORK_ID, CALLED.terminal_signer))
        assert refused.value.code == "other-call"
    assert other != CALL.ring_bytes
    with pytest.raises(VerificationFailed):
        answered(make_answer(CALL.answer, NETWORK_ID, THIRD.terminal_signer))


@pytest.mark.parametrize("reason", list(Reason))
def test_either_side_ends_what_has_not_begun(reason: Reason) -> None:
    for seat in (CALLER, CALLED):
        end = End(CALL.ring_hash, seat.terminal.terminal_id, reason, AT)
        data = make_end(end, NETWORK_ID, seat.terminal_signer)
        assert verify_end(data, CALL.ring, CALL.ring_hash, NETWORK_ID, seat.terminal, CHECKS) == end
    stranger = make_end(End(CALL.ring_hash, THIRD.terminal.terminal_id, reason, AT), NETWORK_ID, THIRD.terminal_signer)
    with pytest.raises(VerificationFailed) as refused:
        verify_end(stranger, CALL.ring, CALL.ring_hash, NETWORK_ID, THIRD.terminal, CHECKS)
    assert refused.value.code == "other-call"


def test_the_callers_confirmation_names_both_halves() -> None:
    signature = make_confirmation(CALL.ring_hash, CALL.answer_hash, NETWORK_ID, CALLER.terminal_signer)
    verify_confirmation(signature, CALL.ring_hash, CALL.answer_hash, NETWORK_ID, CALLER.terminal, CHECKS)
    for ring_hash, answer_hash, terminal in (
        (CALL.answer_hash, CALL.ring_hash, CALLER.terminal),
        (CALL.ring_hash, b"x" * 32, CALLER.terminal),
        (CALL.ring_hash, CALL.answer_hash, CALLED.terminal),
    ):
        with pytest.raises(VerificationFailed):
            verify_confirmation(signature, ring_hash, answer_hash, NETWORK_ID, terminal, CHECKS)


def test_a_transcript_is_the_same_bytes_on_both_sides_and_every_word_counts() -> None:
    caller, called = (Line(2, AT, "প্রস্তুত?"),), (Line(1, AT + 1, "Ready."), Line(2, AT + 2, "Go ahead."))
    data = encode_transcript(CALL.ring_bytes, CALL.answer_bytes, caller, called)
    read = decode_transcript(data)
    assert (read.ring, read.answer, read.caller, read.called) == (CALL.ring_bytes, CALL.answer_bytes, caller, called)
    swapped = encode_transcript(CALL.ring_bytes, CALL.answer_bytes, called, caller)
    assert len({transcript_item_hash(one) for one in (data, swapped)}) == 2


def test_a_ring_of_the_wrong_type_is_no_answer() -> None:
    assert isinstance(CALL.ring, Ring)
    with pytest.raises(DutabartaError):
        answered(CALL.ring_bytes)
