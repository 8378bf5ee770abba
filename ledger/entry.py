"""Leaves of the log and the signatures on entries (docs/protocol/ledger.md).

A leaf is 0x00 || Genesis, 0x01 || SignedEntry or 0x02 || BlockRecord, each in canonical encoding, at most 32 KiB
(the genesis 64 KiB, a block record 1 MiB). Signatures cover the bytes of the Entry exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keys.purpose import Purpose
from keys.signing import Signer
from ledger.wire import (
    CODEC,
    MAX_GENESIS_BYTES,
    MAX_LEAF_BYTES,
    MAX_RECORD_BYTES,
    BlockRecord,
    Entry,
    Genesis,
    Signature,
    SignedEntry,
)
from protos.codec import Codec
from protos.errors import Malformed, Refused

GENESIS_PREFIX = b"\x00"
ENTRY_PREFIX = b"\x01"
RECORD_PREFIX = b"\x02"

MAX_SIGNATURES = 16
MAX_SEQUENCE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EntryLeaf:
    """An entry with its exact signed bytes, and its signatures as listed."""

    signed: bytes
    entry: Entry
    signatures: tuple[Signature, ...]


Leaf = Genesis | EntryLeaf | BlockRecord


def encode_entry(kind: str, sequence: int, body: object, codec: Codec = CODEC) -> bytes:
    """The bytes that are signed: the canonical Entry of `body`."""
    return CODEC.encode(Entry(kind, sequence, codec.encode(body)))


def decode_entry(data: bytes) -> Entry:
    """An entry from the bytes that are signed. Raises `Malformed`."""
    return CODEC.decode(Entry, data, limit=MAX_LEAF_BYTES)


def sign_entry(entry: bytes, signer: Signer, network_id: bytes, purpose: Purpose) -> Signature:
    """One signature over the bytes of an entry."""
    return Signature(signer.public_key.key_id, signer.sign(purpose, network_id, entry))


def make_leaf(entry: bytes, signatures: Iterable[Signature], author: bytes | None = None) -> bytes:
    """The leaf of a signed entry: the signature of the key id `author` first, the others by key id.

    Without `author` all go by key id, as governance demands. Raises `Refused("entry-too-large")` over 32 KiB.
    """
    order = sorted(signatures, key=lambda one: (one.key_id != author, one.key_id))
    leaf = ENTRY_PREFIX + CODEC.encode(SignedEntry(entry, tuple(order)))
    if len(leaf) > MAX_LEAF_BYTES:
        raise Refused("entry-too-large", f"an entry of {len(leaf)} bytes exceeds {MAX_LEAF_BYTES}")
    return leaf


def encode_leaf(leaf: Leaf) -> bytes:
    """The leaf's bytes."""
    if isinstance(leaf, EntryLeaf):
        return ENTRY_PREFIX + CODEC.encode(SignedEntry(leaf.signed, leaf.signatures))
    return (GENESIS_PREFIX if isinstance(leaf, Genesis) else RECORD_PREFIX) + CODEC.encode(leaf)


def decode_leaf(leaf: bytes) -> Leaf:
    """Read any leaf, unverified. Raises `Malformed`."""
    prefix = leaf[:1]
    if prefix == ENTRY_PREFIX:
        return decode_entry_leaf(leaf)
    if prefix == RECORD_PREFIX:
        return CODEC.decode(BlockRecord, leaf[1:], limit=MAX_RECORD_BYTES)
    if prefix == GENESIS_PREFIX:
        return CODEC.decode(Genesis, leaf[1:], limit=MAX_GENESIS_BYTES - 1)
    raise Malformed("unknown-leaf", "a leaf begins with 0x00, 0x01 or 0x02", what="leaf")


def decode_entry_leaf(leaf: bytes) -> EntryLeaf:
    """Read the leaf of a signed entry, unverified. Raises `Malformed`."""
    if leaf[:1] != ENTRY_PREFIX:
        raise Malformed("not-an-entry", "the leaf of an entry begins with 0x01", what="leaf")
    signed = CODEC.decode(SignedEntry, leaf[1:], limit=MAX_LEAF_BYTES - 1)
    _check_signatures(signed.signatures)
    entry = decode_entry(signed.entry)
    if not 1 <= entry.sequence <= MAX_SEQUENCE:
        raise Malformed("bad-sequence", "a sequence number is at least 1 and below 2**63")
    return EntryLeaf(signed.entry, entry, signed.signatures)


def _check_signatures(signatures: tuple[Signature, ...]) -> None:
    if len(signatures) > MAX_SIGNATURES:
        raise Malformed("too-many-signatures", f"{len(signatures)} signatures; an entry has at most {MAX_SIGNATURES}")
    if len(signatures) > 1 and len({one.key_id for one in signatures}) != len(signatures):
        raise Malformed("repeated-signature", "a key has signed twice")
