"""What a signature is for, and the one preimage of them all (docs/protocol/signature.md)."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha512

from keys.public import KEY_BYTES, SUITE_DUAL, SUITE_ED25519
from protos.errors import Malformed

DOMAIN = b"dutabarta/v1/"
ID_BYTES = 32


class Purpose(StrEnum):
    """A signature made for one purpose says nothing under another."""

    GOVERNANCE = "governance"
    ENROLMENT = "enrolment"
    SHIFT = "shift"
    DRAFT = "draft"
    CLEAR = "clear"
    CO_RELEASE = "co-release"
    RELEASE = "release"
    BUNDLE = "bundle"
    ENTRY = "entry"
    BUNDLE_TERMINAL = "bundle-terminal"
    ENVELOPE = "envelope"
    RECEIPT = "receipt"
    EXPIRED = "expired"
    NAK = "nak"
    REWRAP = "rewrap"
    ADDED_WRAP = "added-wrap"
    ESCALATION = "escalation"
    PEER = "peer"
    HOTLINE_RING = "hotline-ring"
    HOTLINE_ANSWER = "hotline-answer"
    HOTLINE_CONFIRM = "hotline-confirm"
    HOTLINE_END = "hotline-end"
    POSSESSION = "possession"


SUITE_OF: dict[Purpose, int] = {
    Purpose.GOVERNANCE: SUITE_DUAL,
    Purpose.ENROLMENT: SUITE_DUAL,
    Purpose.SHIFT: SUITE_DUAL,
    Purpose.DRAFT: SUITE_DUAL,
    Purpose.CLEAR: SUITE_DUAL,
    Purpose.CO_RELEASE: SUITE_DUAL,
    Purpose.RELEASE: SUITE_DUAL,
    Purpose.BUNDLE: SUITE_DUAL,
    Purpose.ADDED_WRAP: SUITE_DUAL,
    Purpose.ENTRY: SUITE_ED25519,
    Purpose.BUNDLE_TERMINAL: SUITE_ED25519,
    Purpose.ENVELOPE: SUITE_ED25519,
    Purpose.RECEIPT: SUITE_ED25519,
    Purpose.EXPIRED: SUITE_ED25519,
    Purpose.NAK: SUITE_ED25519,
    Purpose.REWRAP: SUITE_ED25519,
    Purpose.ESCALATION: SUITE_ED25519,
    Purpose.PEER: SUITE_ED25519,
    Purpose.HOTLINE_RING: SUITE_ED25519,
    Purpose.HOTLINE_ANSWER: SUITE_ED25519,
    Purpose.HOTLINE_CONFIRM: SUITE_ED25519,
    Purpose.HOTLINE_END: SUITE_ED25519,
}
"""The suite a purpose demands. POSSESSION is absent: it takes the suite of the key that it proves."""


_PREFIX = {purpose: DOMAIN + purpose.encode("ascii") + b"\x00" for purpose in Purpose}


def is_allowed(purpose: Purpose, suite: int) -> bool:
    """Whether a key of `suite` may sign for `purpose`."""
    return suite in KEY_BYTES and SUITE_OF.get(purpose, suite) == suite


def preimage(purpose: Purpose, network_id: bytes, key_id: bytes, payload: bytes) -> bytes:
    """The bytes signed: "dutabarta/v1/" || purpose || 0x00 || network id (32) || key id (32) || SHA-512(payload).

    Fixed lengths behind the 0x00 leave one reading only. Raises `Malformed` if an id has another length.
    """
    if len(network_id) != ID_BYTES or len(key_id) != ID_BYTES:
        raise Malformed("id-length", "a network id and a key id have 32 bytes")
    return b"".join((_PREFIX[purpose], network_id, key_id, sha512(payload).digest()))
