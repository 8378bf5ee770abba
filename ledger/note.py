"""Signed notes and verifier keys of C2SP signed-note (docs/protocol/checkpoint.md).

Decoding accepts exactly the bytes that encoding makes: valid UTF-8, no control character but newline, canonical
base64, at most 64 signature lines and 256 KiB. A note says nothing until a policy has verified it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Self

from keys.public import KEY_BYTES, SUITE_ED25519, SUITE_MLDSA44, PublicKey, check_key
from protos.errors import Malformed

ED25519 = 0x01
MLDSA44_COSIGNATURE = 0x06

MAX_NOTE_BYTES = 256 * 1024
MAX_SIGNATURES = 64
MAX_NAME_BYTES = 255

_SUITE_OF = {ED25519: SUITE_ED25519, MLDSA44_COSIGNATURE: SUITE_MLDSA44}
_LINE_START = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\s+\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id, and what that key's type puts after it."""

    name: str
    key_id: bytes
    signature: bytes

    def encode(self) -> str:
        """The line with its newline."""
        return f"{_LINE_START}{self.name} {encode_base64(self.key_id + self.signature)}\n"

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read one line, newline included. Raises `Malformed`."""
        name, space, encoded = line.removeprefix(_LINE_START).removesuffix("\n").partition(" ")
        if not line.startswith(_LINE_START) or not line.endswith("\n") or not space:
            raise _malformed("a signature line is an em dash, a key name and base64")
        check_key_name(name)
        blob = decode_base64(encoded)
        if len(blob) <= 4:
            raise _malformed("a signature is longer than its key id")
        return cls(name, blob[:4], blob[4:])


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends in a newline, and its signatures in order."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(one.encode() for one in self.signatures)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a note, unverified. Raises `Malformed` for anything `encode` would not make of a valid note."""
        text, _, block = _note_text(data).rpartition("\n\n")
        lines = block.split("\n")
        if not text or lines.pop() or not 1 <= len(lines) <= MAX_SIGNATURES:
            raise _malformed(f"a note is a text, an empty line and 1 to {MAX_SIGNATURES} signature lines")
        return cls(text + "\n", tuple(NoteSignature.decode(line + "\n") for line in lines))

    def with_signatures(self, *more: NoteSignature) -> SignedNote:
        """The same text with more signatures at the end."""
        return SignedNote(self.text, self.signatures + more)


@dataclass(frozen=True)
class VerifierKey:
    """A key that verifies notes: its name, its C2SP signature type, its public key bytes."""

    name: str
    kind: int
    key: bytes

    @cached_property
    def key_id(self) -> bytes:
        """SHA-256(name || newline || type || key)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    @property
    def text(self) -> str:
        """The vkey: `<name>+<key id in hex>+<base64 of type || key>`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.key)}"

    @property
    def public_key(self) -> PublicKey:
        """The same key as `keys` has it."""
        return PublicKey(_SUITE_OF[self.kind], self.key)

    def made(self, signature: NoteSignature) -> bool:
        """Whether the line claims to be this key's; it still has to be verified."""
        return signature.key_id == self.key_id and signature.name == self.name


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey of type 0x01 (Ed25519) or 0x06 (ML-DSA-44 cosignature). Raises `Malformed`."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    check_key_name(name)
    blob = decode_base64(encoded)
    suite = _SUITE_OF.get(blob[0]) if blob else None
    if suite is None or len(blob) != 1 + KEY_BYTES[suite]:
        raise Malformed("bad-vkey", f"the key {name} is neither an Ed25519 log key nor an ML-DSA-44 cosigner key")
    key = VerifierKey(name, blob[0], blob[1:])
    check_key(key.public_key)
    if key_id != key.key_id.hex():
        raise Malformed("bad-vkey", f"the key id of {name} does not belong to its key")
    return key


def check_key_name(name: str) -> None:
    """Raise `Malformed` unless `name` can name a key: 1 to 255 bytes of UTF-8, no space, plus or control character."""
    size = len(name.encode(errors="surrogatepass"))
    if not 1 <= size <= MAX_NAME_BYTES or _NOT_IN_NAMES.search(name):
        raise Malformed("bad-key-name", "a key name is 1 to 255 bytes of UTF-8, without space, plus or control")


def encode_base64(data: bytes) -> str:
    """RFC 4648 section 4, padded."""
    return b64encode(data).decode()


def decode_base64(text: str) -> bytes:
    """The bytes of canonical base64. Raises `Malformed` for any other spelling of them."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise _malformed("not base64") from None
    if encode_base64(data) != text:
        raise _malformed("base64 that is not canonical")
    return data


def _note_text(data: bytes) -> str:
    if len(data) > MAX_NOTE_BYTES:
        size = len(data)
        raise Malformed("too-large", f"note of {size} bytes exceeds {MAX_NOTE_BYTES}", size=size, limit=MAX_NOTE_BYTES)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _malformed("a note is UTF-8") from None
    if _CONTROL.search(text):
        raise _malformed("a note has no control characters")
    return text


def _malformed(text: str) -> Malformed:
    return Malformed("malformed", text, what="signed note")
