"""What a relay checks without a key: every single-bit flip of head and body is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.envelope import (
    MAX_HEAD,
    BodyCheck,
    check_head,
    decode_head,
    encode_head,
    read_outer,
    verify_body,
)
from crypto_msg.segments import SEALED_SEGMENT_BYTES
from crypto_msg.wire import CODEC, Head, Outer
from crypto_msg.wraps import split_head
from keys.signing import DirectVerifier
from protos.errors import DutabartaError, Malformed, VerificationFailed
from support.cables import NETWORK_ID, SIZE, World, attach, plain_draft, small_world
from support.forger import flip

WORLD = small_world()
SEALED = WORLD.seal(plain_draft(), "dha1")
ORIGIN = WORLD.seats["dha1"].terminal
PART = split_head(SEALED.head, [WORLD.seats["del1"].terminal.terminal_id])


def check(data: bytes) -> None:
    check_head(decode_head(data), NETWORK_ID, ORIGIN, DirectVerifier())


def test_a_relay_accepts_what_was_sealed() -> None:
    check(SEALED.envelope.head)
    check(encode_head(PART))
    verify_body(SEALED.head, SEALED.envelope.body)
    outer = read_outer(SEALED.head)
    assert (outer.post, outer.size_seen, outer.terminal_count) == ("DHA", SIZE, 5)
    assert outer.padded_length + 16 == len(SEALED.envelope.body)


def test_every_flipped_bit_of_a_head_is_refused() -> None:
    data = encode_head(PART)
    for bit in range(len(data) * 8):
        with pytest.raises((Malformed, VerificationFailed)):
            check(flip(data, bit))


def test_every_flipped_bit_of_a_body_is_refused() -> None:
    body = SEALED.envelope.body
    for bit in range(len(body) * 8):
        with pytest.raises(VerificationFailed):
            verify_body(SEALED.head, flip(body, bit))


def test_every_cut_is_refused() -> None:
    data = encode_head(PART)
    for end in range(len(data)):
        with pytest.raises(DutabartaError):
            check(data[:end])
    for end in (0, 1, len(SEALED.envelope.body) - 1):
        with pytest.raises(VerificationFailed):
            verify_body(SEALED.head, SEALED.envelope.body[:end])


def test_a_body_is_refused_as_soon_as_it_is_too_long() -> None:
    arriving = BodyCheck(SEALED.head)
    arriving.update(SEALED.envelope.body)
    with pytest.raises(VerificationFailed):
        arriving.update(b"x")


def test_a_long_body_is_checked_as_it_arrives() -> None:
    world, data = small_world(), small_world().random(300_000)
    sealed = world.seal(plain_draft(attachments=(attach("a", data),)), "dha1", attachments=(data,))
    body = sealed.envelope.body
    assert len(body) > 4 * SEALED_SEGMENT_BYTES
    for at in (0, SEALED_SEGMENT_BYTES - 1, SEALED_SEGMENT_BYTES, len(body) // 2, len(body) - 1):
        arriving = BodyCheck(sealed.head)
        changed = flip(body, at * 8)
        for start in range(0, len(body), 8192):
            arriving.update(changed[start : start + 8192])
        with pytest.raises(VerificationFailed):
            arriving.finish()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"kind": 4},
        {"network_id": b""},
        {"cable_id": bytes(17)},
        {"post": "ALL-POSTS"},
        {"terminal_id": b""},
        {"precedence": 0},
        {"expires_at": -1},
        {"size_seen": 0},
        {"padded_length": 4095},
        {"padded_length": 4097},
        {"padded_length": 1 << 40},
        {"cek_commit": bytes(31)},
        {"terminal_count": 0},
        {"terminal_count": 1025},
    ],
)
def test_an_outer_field_out_of_bounds_is_named(changes: dict[str, object]) -> None:
    outer = replace(read_outer(SEALED.head), **changes)  # type: ignore[arg-type]
    with pytest.raises(Malformed) as caught:
        read_outer(replace(SEALED.head, outer=CODEC.encode(outer)))
    assert caught.value.code == "bad-envelope"


def test_another_network_is_refused() -> None:
    with pytest.raises(VerificationFailed) as caught:
        check_head(SEALED.head, bytes(32), ORIGIN, DirectVerifier())
    assert caught.value.code == "wrong-network"


def test_the_originating_terminal_is_judged_at_s() -> None:
    def judge(**changes: object) -> None:
        check_head(SEALED.head, NETWORK_ID, replace(ORIGIN, **changes), DirectVerifier())  # type: ignore[arg-type]

    judge(retired_at=SIZE)
    judge(enrolled_at=SIZE - 1)
    for changes in ({"retired_at": SIZE - 1}, {"enrolled_at": SIZE}, {"post": "DEL"}, {"terminal_id": bytes(32)}):
        with pytest.raises(VerificationFailed) as caught:
            judge(**changes)
        assert caught.value.code == "unknown-terminal"
    with pytest.raises(VerificationFailed):
        check_head(SEALED.head, NETWORK_ID, None, DirectVerifier())


def test_a_signature_of_another_terminal_is_refused() -> None:
    other = WORLD.seats["dha2"].terminal
    with pytest.raises(VerificationFailed) as caught:
        check_head(SEALED.head, NETWORK_ID, replace(ORIGIN, key=other.key), DirectVerifier())
    assert caught.value.code == "bad-signature"


def test_an_envelope_id_covers_everything_that_relays_see() -> None:
    outer = read_outer(SEALED.head)
    assert CODEC.encode(outer) == SEALED.head.outer
    assert replace(SEALED.head, outer=CODEC.encode(replace(outer, expires_at=1))).envelope_id != SEALED.head.envelope_id


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_named_errors(data: bytes) -> None:
    for one in (data, SEALED.envelope.head[: len(data)] + data):
        with pytest.raises(DutabartaError):
            check(one)
    for outer in (Outer, Head):
        with pytest.raises(DutabartaError):
            CODEC.decode(outer, data + b"\xff", limit=MAX_HEAD)


def test_the_largest_network_fits(world: World) -> None:
    recipients = world.recipients(["DHA"], 1)
    more = [replace(recipients[0], terminal_id=world.random(32), bundle=None, n=0) for _ in range(1021)]
    sealed = world.seal(plain_draft(), "dha1", recipients=[*recipients, *more])
    check_head(decode_head(sealed.envelope.head), NETWORK_ID, world.seats["dha1"].terminal, DirectVerifier())
    most = split_head(sealed.head, [one.wrap.terminal_id for one in sealed.head.wraps[:-1]])
    assert len(encode_head(most)) < MAX_HEAD
    check_head(decode_head(encode_head(most)), NETWORK_ID, world.seats["dha1"].terminal, DirectVerifier())
