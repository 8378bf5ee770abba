"""Duty lists: what one duty officer hands over to the next (docs/protocol/shift.md).

The list itself goes from hand to hand at the post; the ledger names its hash. The salt keeps whoever reads the ledger
from trying out lists, an empty one above all.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from protos import duty_pb2 as pb
from protos.codec import Codec
from protos.errors import Malformed, VerificationFailed

SALT_BYTES, ID_BYTES = 32, 32
MAX_ITEMS = 1500
MAX_LIST = 96 * 1024


@dataclass(frozen=True, slots=True)
class DutyAlarm:
    """An alarm that stands: its code and the envelope id of the cable that it is about, empty if none."""

    code: str
    envelope_id: bytes


@dataclass(frozen=True, slots=True)
class DutyList:
    """What is pending at a post, by envelope ids: cables to it that nobody has acknowledged here, drafts that await
    release, alarms. `at`: POSIX seconds, the clock of the outgoing officer's terminal."""

    post: str
    at: int
    unacknowledged: tuple[bytes, ...]
    drafts: tuple[bytes, ...]
    alarms: tuple[DutyAlarm, ...]
    salt: bytes


CODEC = Codec({DutyAlarm: pb.DutyAlarm, DutyList: pb.DutyList})


def encode_list(duty: DutyList) -> bytes:
    """The canonical bytes. Raises `Malformed("bad-duty-list")`."""
    _check(duty)
    return CODEC.encode(duty)


def decode_list(data: bytes) -> DutyList:
    """Raises `Malformed`, among others "bad-duty-list"."""
    duty = CODEC.decode(DutyList, data, limit=MAX_LIST)
    _check(duty)
    return duty


def list_hash(data: bytes) -> bytes:
    """What the ledger names: SHA-256("dutabarta/v1/duty-list" || 0x00 || canonical bytes)."""
    return sha256(b"dutabarta/v1/duty-list\x00" + data).digest()


def verify_list(data: bytes, named: bytes) -> DutyList:
    """The list that a hand-over names. Raises `VerificationFailed("other-duty-list")`, `Malformed`."""
    if list_hash(data) != named:
        hint = "Ask the outgoing officer for the file again."
        raise VerificationFailed("other-duty-list", "the list is not the one that was signed", hint=hint)
    return decode_list(data)


def _check(duty: DutyList) -> None:
    ids = (*duty.unacknowledged, *duty.drafts, *(one.envelope_id for one in duty.alarms if one.envelope_id))
    items = len(duty.unacknowledged) + len(duty.drafts) + len(duty.alarms)
    whole = len(duty.salt) == SALT_BYTES and all(len(one) == ID_BYTES for one in ids)
    if not whole or items > MAX_ITEMS:
        raise Malformed("bad-duty-list", f"a duty list has at most {MAX_ITEMS} items, each with the id of a cable")
