"""Signatures of many leaves checked ahead of the machine, a window at a time and in other processes if need be.

The keys come from the log itself: a key id is a hash of its key, so a key found anywhere under that id is the right
one. What held is handed to the machine's verifier, for exactly what was checked; all else it checks itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple

from keys.possession import NO_NETWORK, ProvenKey
from keys.public import SUITE_DUAL, PublicKey
from keys.purpose import Purpose
from keys.signing import Check, Verifier
from ledger.bodies import NodeKeyChanged, TerminalEnrolled
from ledger.entry import ENTRY_PREFIX, GENESIS_PREFIX, MAX_SIGNATURES, decode_entry_leaf
from ledger.genesis import decode_genesis
from ledger.governance import GovernanceModule
from ledger.rules import Rules
from ledger.shifts import ShiftModule
from ledger.wire import Peeked, peek_entry
from protos.errors import DutabartaError

MAX_KEYS = 1_000_000

_ROLE_OF_FIELD = {
    "roots": "root",
    "new_key": "root",
    "entry_key": "entry",
    "cosigner_key": "cosigner",
    "log_key": "log",
    "consensus_key": "consensus",
    "supervisors": "officer",
}


_GOVERNANCE_KINDS = frozenset(kind.encode() for kind in GovernanceModule.kinds)
_SHIFT_KINDS = frozenset(kind.encode() for kind in ShiftModule.kinds)


class Asked(NamedTuple):
    """The checks that a leaf asks for: its signatures (None if not all can be checked), its proofs of possession.

    A purpose or role that is guessed wrong only costs the machine a check.
    """

    signatures: list[Check] | None
    proofs: list[Check]


class KeyBook:
    """Every public key that the log has shown so far."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._keys: dict[bytes, PublicKey] = {}

    def asked(self, network_id: bytes, leaf: bytes) -> Asked:
        """What the next leaf of the log asks for; learns the keys that it brings."""
        if leaf[:1] == GENESIS_PREFIX:
            return Asked([], self._brought(leaf))
        if leaf[:1] != ENTRY_PREFIX:
            return Asked([], [])
        peeked = peek_entry(leaf)
        if peeked is None:
            return Asked(None, [])
        proofs = self._brought(leaf) if self._rules.brings_keys(peeked.kind) else []
        return Asked(self._signatures(network_id, peeked), proofs)

    def _signatures(self, network_id: bytes, peeked: Peeked) -> list[Check] | None:
        if len(peeked.signatures) > MAX_SIGNATURES:
            return None
        checks: list[Check] = []
        for key_id, signature in peeked.signatures:
            key = self._keys.get(key_id)
            if key is None:
                return None
            checks.append((key, _purpose(peeked.kind, key.suite), network_id, peeked.signed, signature))
        return checks

    def _brought(self, leaf: bytes) -> list[Check]:
        checks: list[Check] = []
        with suppress(DutabartaError):  # the machine will refuse this leaf by name
            for proven, role in _proven_in(self._body_of(leaf)):
                self._learn(proven.key)
                checks.append((proven.key, Purpose.POSSESSION, NO_NETWORK, role.encode(), proven.possession))
        return checks

    def _body_of(self, leaf: bytes) -> object:
        if leaf[:1] == GENESIS_PREFIX:
            return decode_genesis(leaf)
        return self._rules.decode_body(decode_entry_leaf(leaf))[1]

    def _learn(self, key: PublicKey) -> None:
        if len(self._keys) < MAX_KEYS:
            with suppress(DutabartaError):  # a key of no known suite has no id
                self._keys[key.key_id] = key


class PrimedVerifier:
    """Accepts once, unchecked, what was primed; asks `fallback` about everything else."""

    def __init__(self, fallback: Verifier) -> None:
        self._fallback = fallback
        self._held: set[Check] = set()

    def prime(self, held: Iterable[Check]) -> None:
        """Remember checks that have held."""
        self._held.update(held)

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        try:
            self._held.remove((key, purpose, network_id, payload, signature))
        except KeyError:
            self._fallback.verify(key, purpose, network_id, payload, signature)


def _purpose(kind: bytes, suite: int) -> Purpose:
    if suite != SUITE_DUAL:
        return Purpose.ENTRY
    if kind in _SHIFT_KINDS:
        return Purpose.SHIFT
    return Purpose.GOVERNANCE if kind in _GOVERNANCE_KINDS else Purpose.ENROLMENT


def _proven_in(body: object, role: str = "officer") -> Iterator[tuple[ProvenKey, str]]:
    """Every proven key in a payload or genesis, with the role that its field stands for."""
    if isinstance(body, ProvenKey):
        yield body, role
    elif isinstance(body, tuple):
        for one in body:
            yield from _proven_in(one, role)
    elif is_dataclass(body):
        own = _role_of(body) or role
        for name in _names(body.__class__):
            yield from _proven_in(getattr(body, name), _ROLE_OF_FIELD.get(name, own))


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def _role_of(body: object) -> str | None:
    if isinstance(body, NodeKeyChanged):
        return body.role
    return "terminal" if isinstance(body, TerminalEnrolled) else None
