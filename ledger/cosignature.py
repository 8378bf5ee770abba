"""Timestamped ML-DSA-44 cosignatures of C2SP tlog-cosignature, type 0x06 (docs/protocol/cosignature.md).

A cosignature says: this node has re-executed the log up to here, and as of that second it has seen no larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from keys.public import SIGNATURE_BYTES, SUITE_MLDSA44
from keys.signing import NoteSigner, verify_note
from ledger.checkpoint import Checkpoint
from ledger.note import MLDSA44_COSIGNATURE, NoteSignature, VerifierKey, check_key_name, parse_vkey
from protos.errors import Malformed, Refused, VerificationFailed

MAX_TIMESTAMP = 2**63 - 1

_LABEL = b"subtree/v1\n\x00"
_SIGNATURE_BYTES = 8 + SIGNATURE_BYTES[SUITE_MLDSA44]


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A node's cosigner key: its name, and 1,312 bytes of ML-DSA-44 public key."""

    name: str
    public_key: bytes

    @property
    def vkey(self) -> str:
        """The key as a policy's `witness` line has it."""
        return self.verifier.text

    @property
    def verifier(self) -> VerifierKey:
        """The key that its signature lines name."""
        return VerifierKey(self.name, MLDSA44_COSIGNATURE, self.public_key)

    @classmethod
    def from_vkey(cls, text: str) -> Self:
        """Read a vkey of type 0x06. Raises `Malformed`."""
        key = parse_vkey(text)
        if key.kind != MLDSA44_COSIGNATURE:
            raise Malformed("bad-vkey", f"the key {key.name} is not an ML-DSA-44 cosigner key")
        return cls(key.name, key.key)


def cosigner_name(origin: str, post: str) -> str:
    """The key name of a post's cosigner key: `<origin>/<post code>`."""
    return f"{origin}/{post}"


def cosign(signer: NoteSigner, name: str, checkpoint: Checkpoint, timestamp: int) -> NoteSignature:
    """Cosign as `name` at `timestamp` (POSIX seconds, above 0). `signer` has an ML-DSA-44 key."""
    if signer.public_key.suite != SUITE_MLDSA44:
        raise Refused("wrong-suite", "a cosigner key is an ML-DSA-44 key", suite=signer.public_key.suite)
    if not 0 < timestamp <= MAX_TIMESTAMP:
        raise Refused("bad-timestamp", "a cosignature's time is above 0 and below 2**63", timestamp=timestamp)
    key = CosignerKey(name, signer.public_key.key).verifier
    signature = signer.sign_note(cosigned_message(name, checkpoint, timestamp))
    return NoteSignature(name, key.key_id, timestamp.to_bytes(8, "big") + signature)


def verify_cosignature(key: CosignerKey, checkpoint: Checkpoint, signature: NoteSignature) -> int:
    """Check the line against the checkpoint and return its timestamp. Raises `VerificationFailed`."""
    verifier = key.verifier
    if not verifier.made(signature):
        raise VerificationFailed("wrong-key", f"the signature line is not {key.name}'s", name=key.name)
    timestamp = int.from_bytes(signature.signature[:8], "big")
    if len(signature.signature) != _SIGNATURE_BYTES or not 0 < timestamp <= MAX_TIMESTAMP:
        raise VerificationFailed("bad-signature", f"the cosignature of {key.name} has no valid form", name=key.name)
    message = cosigned_message(key.name, checkpoint, timestamp)
    verify_note(verifier.public_key, message, signature.signature[8:])
    return timestamp


def cosigned_message(name: str, checkpoint: Checkpoint, timestamp: int) -> bytes:
    """The `cosigned_message` of tlog-cosignature over the whole tree, from leaf 0."""
    check_key_name(name)
    check_key_name(checkpoint.origin)
    numbers = (timestamp.to_bytes(8, "big"), (0).to_bytes(8, "big"), checkpoint.size.to_bytes(8, "big"))
    return b"".join(
        (_LABEL, _opaque(name), numbers[0], _opaque(checkpoint.origin), numbers[1], numbers[2], checkpoint.root)
    )


def _opaque(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data
