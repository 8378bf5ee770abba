"""Messages of a secretstream come in order, once, unchanged; anything else leaves the stream where it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.secretstream import HEADER_BYTES, OVERHEAD_BYTES, PAD_BYTES, Puller, Pusher, Tag
from protos.errors import VerificationFailed

KEY = b"k" * 32


@given(st.lists(st.tuples(st.binary(max_size=300), st.sampled_from([Tag.MESSAGE, Tag.REKEY])), max_size=20))
def test_what_is_pushed_is_pulled(messages: list[tuple[bytes, Tag]]) -> None:
    pusher = Pusher(KEY)
    puller = Puller(KEY, pusher.header)
    for plaintext, tag in [*messages, (b"the end", Tag.FINAL)]:
        sealed = pusher.push(plaintext, b"bound", tag)
        assert len(sealed) == (len(plaintext) // PAD_BYTES + 1) * PAD_BYTES + OVERHEAD_BYTES
        assert puller.pull(sealed, b"bound") == (plaintext, tag)


@given(st.integers(0, 10_000))
def test_whatever_is_not_the_next_message_changes_nothing(bit: int) -> None:
    pusher = Pusher(KEY)
    first, second = (pusher.push(text, b"bound", Tag.REKEY) for text in (b"one", b"two"))
    puller = Puller(KEY, pusher.header)
    at = bit % (len(first) * 8)
    changed = bytearray(first)
    changed[at // 8] ^= 1 << at % 8
    for wrong, bound in (
        (second, b"bound"),
        (bytes(changed), b"bound"),
        (first, b"other"),
        (first[:-1], b"bound"),
        (b"", b"bound"),
    ):
        with pytest.raises(VerificationFailed) as refused:
            puller.pull(wrong, bound)
        assert refused.value.code == "not-next"
    assert puller.pull(first, b"bound")[0] == b"one"
    with pytest.raises(VerificationFailed):
        puller.pull(first, b"bound")
    assert puller.pull(second, b"bound")[0] == b"two"


def test_another_key_or_header_opens_nothing() -> None:
    pusher = Pusher(KEY)
    sealed = pusher.push(b"text", b"", Tag.MESSAGE)
    for puller in (Puller(b"x" * 32, pusher.header), Puller(KEY, bytes(HEADER_BYTES))):
        with pytest.raises(VerificationFailed):
            puller.pull(sealed, b"")
    with pytest.raises(VerificationFailed):
        Puller(KEY, pusher.header[:-1])
