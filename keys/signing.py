"""Signing and verifying for a purpose (docs/protocol/signature.md)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol

from keys import algorithms
from keys.algorithms import SecretKey
from keys.public import SUITE_DUAL, PublicKey
from keys.purpose import DOMAIN, Purpose, is_allowed, preimage
from protos.errors import Refused, VerificationFailed

Check = tuple[PublicKey, Purpose, bytes, bytes, bytes]
"""The arguments of `Verifier.verify`: key, purpose, network id, payload, signature."""


class Signer(Protocol):
    """Signs with a key that may never leave its token: there is no way to ask for the secret."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, purpose: Purpose, network_id: bytes, payload: bytes) -> bytes: ...


class NoteSigner(Protocol):
    """Signs the messages of C2SP notes, with a log or cosigner key that signs nothing else but its own possession."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign_note(self, message: bytes) -> bytes: ...


class Verifier(Protocol):
    """Where signatures are checked; replay, simulator and re-reading differ only in this object."""

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        """Raise `VerificationFailed` unless `signature` holds."""


def bytes_to_sign(key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes) -> bytes:
    """The preimage that `key` signs. Raises `Refused` ("wrong-suite") if the purpose demands another suite."""
    if not is_allowed(purpose, key.suite):
        raise Refused("wrong-suite", f"a key of suite {key.suite} cannot sign for {purpose}", purpose=purpose)
    return preimage(purpose, network_id, key.key_id, payload)


class SoftwareSigner:
    """A Signer and NoteSigner whose secret is in this process's memory. Its repr never shows it."""

    __slots__ = ("_secret_key",)

    def __init__(self, secret_key: SecretKey) -> None:
        self._secret_key = secret_key

    @classmethod
    def generate(cls, suite: int) -> SoftwareSigner:
        """A signer with a new key."""
        return cls(SecretKey.generate(suite))

    @classmethod
    def from_secret(cls, suite: int, secret: bytes) -> SoftwareSigner:
        """The signer whose `.secret` this is. Raises `Malformed` for another length."""
        return cls(SecretKey(suite, secret))

    @property
    def public_key(self) -> PublicKey:
        return self._secret_key.public_key

    @property
    def secret(self) -> bytes:
        """The seeds, 32 bytes each, for a keystore or a 0600 key file."""
        return self._secret_key.secret

    def sign(self, purpose: Purpose, network_id: bytes, payload: bytes) -> bytes:
        """Sign `payload` for `purpose`. Raises `Refused` if the purpose demands another suite."""
        return self._secret_key.sign(bytes_to_sign(self.public_key, purpose, network_id, payload))

    def sign_note(self, message: bytes) -> bytes:
        """Sign `message` as it is, as C2SP demands. Raises `Refused` for a dual key, or what could be a preimage."""
        if self.public_key.suite == SUITE_DUAL or message.startswith(DOMAIN):
            raise Refused("not-a-note", "a note is signed by a log or cosigner key, and is no signature preimage")
        return self._secret_key.sign(message)

    def __repr__(self) -> str:
        return f"<SoftwareSigner of {self._secret_key!r}>"


def verify_note(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Raise `VerificationFailed` unless `signature` is `key`'s over the message of a C2SP note."""
    if key.suite == SUITE_DUAL or message.startswith(DOMAIN):
        raise VerificationFailed("not-a-note", "no note is signed by a dual key, or is a signature preimage")
    algorithms.verify(key, message, signature)


class DirectVerifier:
    """Computes every check."""

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        _check_suite(key, purpose)
        algorithms.verify(key, preimage(purpose, network_id, key.key_id, payload), signature)


class CachingVerifier:
    """Remembers the newest `limit` checks that held, so that many nodes in one process pay once."""

    def __init__(self, verifier: Verifier, limit: int) -> None:
        self._verifier = verifier
        self._limit = limit
        self._held: OrderedDict[bytes, None] = OrderedDict()

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        _check_suite(key, purpose)
        check = sha256(key.key_id + preimage(purpose, network_id, key.key_id, payload) + signature).digest()
        if check in self._held:
            self._held.move_to_end(check)
            return
        self._verifier.verify(key, purpose, network_id, payload, signature)
        self._held[check] = None
        if len(self._held) > self._limit:
            self._held.popitem(last=False)


class VerifiedBefore:
    """Accepts all: only for re-reading a log whose signatures this process, or its own store, has checked."""

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        return None


def verify_many(checks: Iterable[Check]) -> list[bool]:
    """Whether each signature holds, in order; also for worker processes."""
    verifier = DirectVerifier()
    return [_holds(verifier, check) for check in checks]


def _holds(verifier: Verifier, check: Check) -> bool:
    try:
        verifier.verify(*check)
    except VerificationFailed:
        return False
    return True


def _check_suite(key: PublicKey, purpose: Purpose) -> None:
    if not is_allowed(purpose, key.suite):
        raise VerificationFailed("wrong-suite", f"no key of suite {key.suite} signs for {purpose}", purpose=purpose)
