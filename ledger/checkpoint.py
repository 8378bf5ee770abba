"""Checkpoints of C2SP tlog-checkpoint and their log signatures (docs/protocol/checkpoint.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from keys.public import SUITE_ED25519
from keys.purpose import DOMAIN
from keys.signing import NoteSigner, verify_note
from ledger.merkle import HASH_BYTES, MAX_SIZE, empty_root
from ledger.note import (
    ED25519,
    NoteSignature,
    SignedNote,
    VerifierKey,
    check_key_name,
    decode_base64,
    encode_base64,
    parse_vkey,
)
from protos.errors import Malformed, Refused, VerificationFailed


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head: its origin, its size in leaves, its RFC 6962 root (32 bytes). No extension lines."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def origin_of(name: str, network_id: bytes) -> str:
    """`<name>/<first 16 bytes of the network id in hex>`. Raises `Malformed` if that cannot name a log."""
    origin = f"{name}/{network_id[:16].hex()}"
    check_key_name(origin)
    if origin.encode().startswith(DOMAIN):  # a checkpoint would read like one of our own signature preimages
        raise Malformed("bad-key-name", f"no network can be named {name}", hint="Choose another name.", name=name)
    return origin


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note's text. Raises `Malformed`, also for extension lines: no ML-DSA cosignature covers them."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise _malformed("a checkpoint is three lines: origin, size and root")
    origin, size, root = lines[0], parse_decimal(lines[1]), decode_base64(lines[2])
    check_key_name(origin)
    if len(root) != HASH_BYTES or (size == 0) != (root == empty_root()):
        raise _malformed("the root of a checkpoint is 32 bytes, and that of the empty tree only at size 0")
    return Checkpoint(origin, size, root)


def parse_decimal(text: str) -> int:
    """A number of at most 2**63 - 1 in ASCII decimal without leading zeros. Raises `Malformed`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (text[0] == "0" and text != "0"):
        raise _malformed("a number is ASCII decimal without leading zeros")
    if int(text) > MAX_SIZE:
        raise _malformed("a number of leaves is below 2**63")
    return int(text)


@dataclass(frozen=True, slots=True)
class LogKey:
    """A validator's log key: Ed25519 (type 0x01), its key name is the origin."""

    origin: str
    public_key: bytes

    @property
    def vkey(self) -> str:
        """The key as a policy's `log` line has it."""
        return self.verifier.text

    @property
    def verifier(self) -> VerifierKey:
        """The key that its signature lines name."""
        return VerifierKey(self.origin, ED25519, self.public_key)

    @classmethod
    def from_vkey(cls, text: str) -> Self:
        """Read a vkey of type 0x01. Raises `Malformed`."""
        key = parse_vkey(text)
        if key.kind != ED25519:
            raise Malformed("bad-vkey", f"the key {key.name} is not an Ed25519 log key")
        return cls(key.name, key.key)


def sign_checkpoint(signer: NoteSigner, checkpoint: Checkpoint) -> NoteSignature:
    """The log signature of a validator: it identifies the log and is never enough. `signer` has an Ed25519 key."""
    if signer.public_key.suite != SUITE_ED25519:
        raise Refused("wrong-suite", "a log key is an Ed25519 key", suite=signer.public_key.suite)
    key = LogKey(checkpoint.origin, signer.public_key.key).verifier
    return NoteSignature(key.name, key.key_id, signer.sign_note(checkpoint.text.encode()))


def verify_log_signature(key: LogKey, checkpoint: Checkpoint, signature: NoteSignature) -> None:
    """Check that the line is this key's over the checkpoint. Raises `VerificationFailed`."""
    verifier = key.verifier
    if not verifier.made(signature) or checkpoint.origin != key.origin:
        raise VerificationFailed("wrong-key", "the signature line is not this log key's")
    verify_note(verifier.public_key, checkpoint.text.encode(), signature.signature)


def make_note(checkpoint: Checkpoint, *signatures: NoteSignature) -> SignedNote:
    """The checkpoint as a signed note."""
    return SignedNote(checkpoint.text, signatures)


def _malformed(text: str) -> Malformed:
    return Malformed("malformed", text, what="checkpoint")
