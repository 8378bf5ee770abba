"""The .cable file: a sealed envelope on its own, for keeping and proving (docs/protocol/cable-file.md).

"dutabarta/v1/cable\\n" || u32 big-endian length of the head || head (canonical Head) || body.
"""

from __future__ import annotations

from crypto_msg.anchor import cable_item_hash
from crypto_msg.envelope import MAX_HEAD, Envelope, decode_head, verify_body
from crypto_msg.wire import Head
from protos.errors import Malformed

MAGIC = b"dutabarta/v1/cable\n"
_START = len(MAGIC) + 4


def encode_cable_file(envelope: Envelope) -> bytes:
    """The bytes of the file."""
    return MAGIC + len(envelope.head).to_bytes(4, "big") + envelope.head + envelope.body


def decode_cable_file(data: bytes) -> tuple[Head, Envelope]:
    """The head, checked in form, and the envelope; nobody's signature is checked. Raises `Malformed`."""
    length = int.from_bytes(data[len(MAGIC) : _START], "big")
    if not data.startswith(MAGIC) or length > MAX_HEAD or len(data) < _START + length:
        raise Malformed(
            "not-a-cable-file", "this is not a sealed cable file", hint="give the .cable file of `cable proof`"
        )
    envelope = Envelope(data[_START : _START + length], data[_START + length :])
    return decode_head(envelope.head), envelope


def proved_hash(head: Head, envelope: Envelope) -> bytes:
    """The item hash that a proof of this cable is about. Raises `VerificationFailed` if head and body disagree."""
    verify_body(head, envelope.body)
    return cable_item_hash(head.envelope_id, head.body_root)
