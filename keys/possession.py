"""Proof that whoever brings a public key holds its secret (docs/protocol/keys.md).

Purpose "possession", zero network id, payload = the key's role in ASCII: a key proved for one role is none for another.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.public import PublicKey, check_key
from keys.purpose import ID_BYTES, Purpose
from keys.signing import Signer, Verifier
from protos.errors import Malformed, VerificationFailed

ROLES = frozenset({"root", "officer", "terminal", "entry", "cosigner", "log", "consensus"})
NO_NETWORK = bytes(ID_BYTES)


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """A public key with its proof of possession, as the ledger carries it."""

    key: PublicKey
    possession: bytes


def prove(signer: Signer, role: str) -> ProvenKey:
    """The signer's public key, proved for `role`. Raises `Malformed` for an unknown role."""
    return ProvenKey(signer.public_key, signer.sign(Purpose.POSSESSION, NO_NETWORK, _payload(role)))


def check_proven(proven: ProvenKey, role: str, suite: int, verifier: Verifier) -> None:
    """Raise `Malformed` for a bad key, `VerificationFailed` for another suite or a proof that does not hold."""
    check_key(proven.key)
    if proven.key.suite != suite:
        raise VerificationFailed("wrong-suite", f"a {role} key has suite {suite}, not {proven.key.suite}", role=role)
    verifier.verify(proven.key, Purpose.POSSESSION, NO_NETWORK, _payload(role), proven.possession)


def _payload(role: str) -> bytes:
    if role not in ROLES:
        raise Malformed("unknown-key-role", f"no key has the role {role!r}", role=role)
    return role.encode("ascii")
