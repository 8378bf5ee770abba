"""Signatures of many leaves checked ahead of the machine, in other processes if need be.

The keys come from the log itself: a key id is a hash of its key, so a key found anywhere under that id is the right
one. What held is handed to the machine's verifier, keyed by exactly what was checked; all else it checks itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256

from keys.possession import ProvenKey, check_proven
from keys.public import SUITE_DUAL, PublicKey
from keys.purpose import Purpose
from keys.signing import DirectVerifier, Verifier
from ledger.bodies import NodeKeyChanged, TerminalEnrolled
from ledger.entry import ENTRY_PREFIX, GENESIS_PREFIX, EntryLeaf, decode_entry_leaf
from ledger.genesis import decode_genesis
from ledger.governance import GovernanceModule
from ledger.rules import Rules
from ledger.wire import MAX_LEAF_BYTES, peek_entry
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


@dataclass(frozen=True, slots=True)
class Task:
    """Leaves to check; the public keys, by id, that have signed them; the new keys that they bring, with their roles.

    Plain values, cheap to send. A role that is guessed wrong only costs the machine a check.
    """

    network_id: bytes
    leaves: tuple[bytes, ...]
    keys: dict[bytes, tuple[int, bytes]]
    proofs: tuple[tuple[int, bytes, str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`holds`: for each leaf a byte, 1 if all its signatures hold. `digests`: `digest_of` every check that held."""

    holds: bytes
    digests: tuple[bytes, ...]


class KeyBook:
    """Every public key that the log has shown so far."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._keys: dict[bytes, tuple[int, bytes]] = {}

    def task(self, network_id: bytes, leaves: Sequence[bytes]) -> Task:
        """The task of checking these leaves, in log order; learns the keys that they bring."""
        signers: set[bytes] = set()
        brought: list[tuple[ProvenKey, str]] = []
        for leaf in leaves:
            peeked = peek_entry(leaf) if leaf[:1] == ENTRY_PREFIX else None
            if peeked is not None:
                signers.update(peeked[1])
            if leaf[:1] == GENESIS_PREFIX or (peeked is not None and self._rules.brings_keys(peeked[0])):
                with suppress(DutabartaError):  # the machine will refuse this leaf by name
                    brought += _proven_in(self._body_of(leaf))
        self._learn(one.key for one, _ in brought)
        keys = {one: self._keys[one] for one in sorted(signers) if one in self._keys}
        proofs = tuple((one.key.suite, one.key.key, role, one.possession) for one, role in brought)
        return Task(network_id, tuple(leaves), keys, proofs)

    def _body_of(self, leaf: bytes) -> object:
        if leaf[:1] == GENESIS_PREFIX:
            return decode_genesis(leaf)
        return self._rules.decode_body(decode_entry_leaf(leaf))[1]

    def _learn(self, keys: Iterable[PublicKey]) -> None:
        for key in keys:
            if len(self._keys) < MAX_KEYS:
                with suppress(DutabartaError):  # a key of no known suite has no id
                    self._keys[key.key_id] = (key.suite, key.key)


def verify_task(task: Task) -> Outcome:
    """What holds of the task, under its keys. For worker processes; never raises."""
    verifier = _Noting()
    holds = bytes(_leaf_holds(task, leaf, verifier) for leaf in task.leaves)
    for suite, key, role, possession in task.proofs:
        with suppress(DutabartaError):
            check_proven(ProvenKey(PublicKey(suite, key), possession), role, suite, verifier)
    return Outcome(holds, tuple(verifier.digests))


class PrimedVerifier:
    """Accepts once, unchecked, what was primed; asks `fallback` about everything else."""

    def __init__(self, fallback: Verifier) -> None:
        self._fallback = fallback
        self._held: set[bytes] = set()

    def prime(self, outcome: Outcome) -> None:
        """Remember what `verify_task` found to hold."""
        self._held.update(outcome.digests)

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


class _Noting:
    """Checks, and notes the digest of what held."""

    def __init__(self) -> None:
        self._direct = DirectVerifier()
        self.digests: list[bytes] = []

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        self._direct.verify(key, purpose, network_id, payload, signature)
        self.digests.append(digest_of(key, purpose, network_id, payload, signature))


def _leaf_holds(task: Task, leaf: bytes, verifier: Verifier) -> bool:
    read = _read(leaf)
    if read is None or any(one.key_id not in task.keys for one in read.signatures):
        return False
    try:
        for one in read.signatures:
            key = PublicKey(*task.keys[one.key_id])
            purpose = _purpose(read.entry.kind, key.suite)
            verifier.verify(key, purpose, task.network_id, read.signed, one.signature)
    except DutabartaError:
        return False
    return True


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


def _proven_in(body: object, role: str = "officer") -> Iterator[tuple[ProvenKey, str]]:
    """Every proven key in a payload or genesis, with the role that its field stands for."""
    if isinstance(body, ProvenKey):
        yield body, role
    elif isinstance(body, tuple):
        for one in body:
            yield from _proven_in(one, role)
    elif is_dataclass(body):
        own = _role_of(body) or role
        for one in fields(body):
            yield from _proven_in(getattr(body, one.name), _ROLE_OF_FIELD.get(one.name, own))


def _role_of(body: object) -> str | None:
    if isinstance(body, NodeKeyChanged):
        return body.role
    return "terminal" if isinstance(body, TerminalEnrolled) else None
