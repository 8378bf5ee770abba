"""The one canonical encoding of a message (docs/protocol/encoding.md).

Proto3 bytes with fields in ascending number, no default written out, no unknown field, minimal varints and
packed repeated scalars. Other bytes that mean the same are refused, so nobody can give one signature two
leaves. Messages use no map, float, `optional` or scalar oneof: what is left has exactly one encoding.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from protos.errors import Malformed

M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """The canonical bytes of `message`."""
    return message.SerializeToString(deterministic=True)


def decode(kind: type[M], data: bytes, *, limit: int) -> M:
    """Decode canonical bytes of at most `limit` bytes. Raises `Malformed` for any other bytes."""
    if len(data) > limit:
        text = f"{kind.__name__} of {len(data)} bytes exceeds {limit}"
        raise Malformed("too-large", text, size=len(data), limit=limit)
    try:
        message = kind.FromString(data)
        message.DiscardUnknownFields()
        again = encode(message)
    except (DecodeError, ValueError, RecursionError) as problem:
        raise Malformed("malformed", f"not a {kind.__name__}", what=kind.__name__) from problem
    if again != data:
        raise Malformed("not-canonical", f"{kind.__name__} is not in its canonical encoding", what=kind.__name__)
    return message
