"""Signatures of many leaves checked ahead of the machine, in other processes if need be.

The keys come from the log itself: a key id is a hash of its key, so a key found anywhere under that id is the right
one. What held is handed to the machine's verifier, keyed by exactly what was checked; all else it checks itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256

from keys.possession import ProvenKey
from keys.public import SUITE_DUAL, PublicKey
from keys.purpose import Purpose
from keys.signing import DirectVerifier, Verifier
from ledger.entry import ENTRY_PREFIX, GENESIS_PREFIX, EntryLeaf, decode_entry_leaf
from ledger.genesis import decode_genesis
from ledger.governance import GovernanceModule
from ledger.rules import Rules
from ledger.wire import MAX_LEAF_BYTES, peek_entry
from protos.errors import DutabartaError

MAX_KEYS = 1_000_000


@dataclass(frozen=True, slots=True)
class Task:
    """Leaves to check and the public keys, by id, that have signed them: plain values, cheap to send."""

    network_id: bytes
    leaves: tuple[bytes, ...]
    keys: dict[bytes, tuple[int, bytes]]


Verdict = tuple[bool, tuple[bytes, ...]]
"""Of one leaf: whether all its signatures hold, and `digest_of` each that does."""


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
            peeked = peek_entry(leaf) if leaf[:1] == ENTRY_PREFIX else None
            if peeked is not None:
                kind, key_ids = peeked
                signers.update(key_ids)
                if self._rules.brings_keys(kind):
                    self._learn_entry(leaf)
        return Task(network_id, tuple(leaves), {one: self._keys[one] for one in sorted(signers) if one in self._keys})

    def _learn_genesis(self, leaf: bytes) -> None:
        with suppress(DutabartaError):  # the machine will refuse it by name
            self._learn(decode_genesis(leaf))

    def _learn_entry(self, leaf: bytes) -> None:
        with suppress(DutabartaError):  # the machine will refuse it by name
            self._learn(self._rules.decode_body(decode_entry_leaf(leaf))[1])

    def _learn(self, body: object) -> None:
        for key in _keys_in(body):
            if len(self._keys) < MAX_KEYS:
                self._keys[key.key_id] = (key.suite, key.key)


def verify_task(task: Task) -> list[Verdict]:
    """What holds of each leaf under `task.keys`. For worker processes; never raises."""
    return [_verdict(task, leaf) for leaf in task.leaves]


class PrimedVerifier:
    """Accepts once, unchecked, what was primed; asks `fallback` about everything else."""

    def __init__(self, fallback: Verifier) -> None:
        self._fallback = fallback
        self._held: set[bytes] = set()

    def prime(self, verdicts: Iterable[Verdict]) -> None:
        """Remember what `verify_task` found to hold."""
        for _, digests in verdicts:
            self._held.update(digests)

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        if self._held:
            digest = digest_of(key, purpose, network_id, payload, signature)
            if digest in self._held:
                self._held.discard(digest)
                return
        self._fallback.verify(key, purpose, network_id, payload, signature)


def digest_of(key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> bytes:
    """SHA-256 over exactly what a check is about: every part but the payload has a length that goes before it."""
    head = b"%s\x00%d\x00%d\x00" % (purpose.encode(), len(key.key), len(signature))
    return sha256(b"".join((head, key.key, signature, network_id, payload))).digest()


def _verdict(task: Task, leaf: bytes) -> Verdict:
    read = _read(leaf)
    if read is None or any(one.key_id not in task.keys for one in read.signatures):
        return False, ()
    digests = []
    verifier = DirectVerifier()
    try:
        for one in read.signatures:
            key = PublicKey(*task.keys[one.key_id])
            purpose = _purpose(read.entry.kind, key.suite)
            verifier.verify(key, purpose, task.network_id, read.signed, one.signature)
            digests.append(digest_of(key, purpose, task.network_id, read.signed, one.signature))
    except DutabartaError:
        return False, tuple(digests)
    return True, tuple(digests)


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
