"""A hotline call set up between two seats of the small world."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_msg.hotkeys import (
    CallKeys,
    call_keys,
    open_answer_secret,
    open_ring_secret,
    seal_answer_secret,
    seal_ring_secret,
)
from crypto_msg.hotline import make_answer, make_ring, signed_hash
from crypto_msg.hotline_wire import Answer, Ring
from support.cables import NETWORK_ID, SIZE, Seat, small_world

WORLD = small_world()
CALLER, CALLED, THIRD = WORLD.seats["dha1"], WORLD.seats["del1"], WORLD.seats["dha2"]
CALL_ID = b"c" * 16
CALLER_SECRET, CALLED_SECRET = b"1" * 32, b"2" * 32
AT = 1_800_000_000


@dataclass(frozen=True)
class SetUp:
    """Ring and answer as they travel, and what they say."""

    ring: Ring
    ring_bytes: bytes
    answer: Answer
    answer_bytes: bytes

    @property
    def ring_hash(self) -> bytes:
        return signed_hash(self.ring_bytes)

    @property
    def answer_hash(self) -> bytes:
        return signed_hash(self.answer_bytes)


def ring_of(caller: Seat = CALLER, called: Seat = CALLED, classification: int = 4) -> Ring:
    own = caller.terminal.terminal_id
    sealed = seal_ring_secret(CALLER_SECRET, CALL_ID, own, called.bundle)
    return Ring(
        1, NETWORK_ID, CALL_ID, caller.terminal.post, own, called.terminal.post, called.terminal.terminal_id,
        classification, SIZE, AT, called.bundle.bundle_hash, sealed,
    )  # fmt: skip


def set_up() -> SetUp:
    ring = ring_of()
    ring_bytes = make_ring(ring, CALLER.terminal_signer)
    own = CALLED.terminal.terminal_id
    sealed = seal_answer_secret(CALLED_SECRET, signed_hash(ring_bytes), own, CALLER.bundle)
    answer = Answer(signed_hash(ring_bytes), own, SIZE, AT + 5, CALLER.bundle.bundle_hash, sealed)
    return SetUp(ring, ring_bytes, answer, make_answer(answer, NETWORK_ID, CALLED.terminal_signer))


def keys_of_caller(call: SetUp) -> CallKeys:
    """As the caller derives them: his own secret, and the one he opens."""
    opened = open_answer_secret(call.answer, {CALLER.bundle.bundle_hash: CALLER.prekey})
    return call_keys(NETWORK_ID, call.ring_hash, call.answer_hash, CALLER_SECRET, opened)


def keys_of_called(call: SetUp) -> CallKeys:
    opened = open_ring_secret(call.ring, {CALLED.bundle.bundle_hash: CALLED.prekey})
    return call_keys(NETWORK_ID, call.ring_hash, call.answer_hash, opened, CALLED_SECRET)
