"""Signatures of many leaves checked ahead of the machine, in other processes if need be.

The keys come from the log itself: a key id is a hash of its key, so a key found anywhere under that id is the right
one. What held is handed to the machine's verifier, keyed by exactly what was checked; all else it checks itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass

from keys.possession import ProvenKey
from keys.public import SUITE_DUAL, PublicKey
from keys.purpose import Purpose
from keys.signing import DirectVerifier, Verifier
from ledger.entry import ENTRY_PREFIX, GENESIS_PREFIX, EntryLeaf, decode_entry_leaf
from ledger.genesis import decode_genesis
from ledger.governance import GovernanceModule
from ledger.rules import Rules
from ledger.wire import MAX_LEAF_BYTES
from protos.errors import DutabartaError

Check = tuple[bytes, Purpose, bytes, bytes]  # public key, purpose, payload, signature

MAX_KEYS = 1_000_000


@dataclass(frozen=True, slots=True)
class Task:
    """Leaves to check and the public keys, by id, that have signed them: plain values, cheap to send."""

    network_id: bytes
    leaves: tuple[bytes, ...]
    keys: dict[bytes, tuple[int, bytes]]


class KeyBook:
    """Every public key that the log has shown so far."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._keys: dict[bytes, tuple[int, bytes]] = {}

    def task(self, network_id: bytes, leaves: Sequence[bytes]) -> Task:
        """The task of checking these leaves, in log order; learns the keys that they bring."""
        signers: set[bytes] = set()
        for leaf in leaves:
            if leaf[:1] == GENESIS_PREFIX:
                self._learn_genesis(leaf)
            read = _read(leaf)
            if read is None:
                continue
            signers.update(one.key_id for one in read.signatures)
            if self._rules.brings_keys(read.entry.kind):
                self._learn_entry(read)
        return Task(network_id, tuple(leaves), {one: self._keys[one] for one in sorted(signers) if one in self._keys})

    def _learn_genesis(self, leaf: bytes) -> None:
        with suppress(DutabartaError):  # the machine will refuse it by name
            self._learn(decode_genesis(leaf))

    def _learn_entry(self, read: EntryLeaf) -> None:
        with suppress(DutabartaError):  # the machine will refuse it by name
            self._learn(self._rules.decode_body(read)[1])

    def _learn(self, body: object) -> None:
        for key in _keys_in(body):
            if len(self._keys) < MAX_KEYS:
                self._keys[key.key_id] = (key.suite, key.key)


def verify_task(task: Task) -> bytes:
    """One byte a leaf: 1 if every signature holds under a key in `task.keys`. For worker processes; never raises."""
    return bytes(_holds(task, leaf) for leaf in task.leaves)


class PrimedVerifier:
    """Accepts once, unchecked, what was primed; asks `fallback` about everything else."""

    def __init__(self, fallback: Verifier) -> None:
        self._fallback = fallback
        self._network_id = b""
        self._held: set[Check] = set()

    def prime(self, task: Task, verdicts: bytes) -> None:
        """Remember what `verify_task` found to hold."""
        self._network_id = task.network_id
        for leaf, verdict in zip(task.leaves, verdicts, strict=True):
            read = _read(leaf) if verdict else None
            if read is not None:
                self._held.update(_checks(task, read))

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        check = (key.key, purpose, payload, signature)
        if network_id == self._network_id and check in self._held:
            self._held.discard(check)
            return
        self._fallback.verify(key, purpose, network_id, payload, signature)


def _holds(task: Task, leaf: bytes) -> bool:
    read = _read(leaf)
    if read is None or any(one.key_id not in task.keys for one in read.signatures):
        return False
    try:
        for (_, purpose, payload, signature), one in zip(_checks(task, read), read.signatures, strict=True):
            key = PublicKey(*task.keys[one.key_id])
            DirectVerifier().verify(key, purpose, task.network_id, payload, signature)
    except DutabartaError:
        return False
    return True


def _checks(task: Task, read: EntryLeaf) -> Iterator[Check]:
    for one in read.signatures:
        suite, key = task.keys[one.key_id]
        yield key, _purpose(read.entry.kind, suite), read.signed, one.signature


def _purpose(kind: str, suite: int) -> Purpose:
    """What a key of this suite signs an entry of this kind for. A wrong guess only costs the machine a check."""
    if suite != SUITE_DUAL:
        return Purpose.ENTRY
    return Purpose.GOVERNANCE if kind in GovernanceModule.kinds else Purpose.ENROLMENT


def _read(leaf: bytes) -> EntryLeaf | None:
    if len(leaf) > MAX_LEAF_BYTES or leaf[:1] != ENTRY_PREFIX:
        return None
    try:
        return decode_entry_leaf(leaf)
    except DutabartaError:
        return None


def _keys_in(value: object) -> Iterator[PublicKey]:
    if isinstance(value, ProvenKey):
        yield value.key
    elif isinstance(value, tuple):
        for one in value:
            yield from _keys_in(one)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _keys_in(getattr(value, one.name))
