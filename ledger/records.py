"""The values of the state map (docs/protocol/state.md). Every `*_at` is a log index, 0 for never."""

from __future__ import annotations

from dataclasses import dataclass

from keys.public import PublicKey
from ledger.roles import Role


@dataclass(frozen=True, slots=True)
class PendingValidators:
    """A set of validators that comes into force at the start of block number `block`."""

    block: int
    validators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """Who governs: roots in order, validators in force (sorted codes), the engine.

    `trust_head` (32 bytes) chains every governance change, so that a trust file can leave none out.
    """

    governance_number: int
    roots: tuple[PublicKey, ...]
    validators: tuple[str, ...]
    engine: str
    trust_head: bytes
    trust_count: int
    pending: tuple[PendingValidators, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """A post and its node's keys (raw public keys; empty if it has none).

    The former certificate is accepted until the block time `former_until`.
    """

    code: str
    headquarters: bool
    satellite: bool
    address: str
    entry_key: bytes
    cosigner_key: bytes
    log_key: bytes
    consensus_key: bytes
    certificate: bytes
    former_certificate: bytes
    former_until: int
    admitted_at: int
    retired_at: int

    @property
    def is_active(self) -> bool:
        """Not retired."""
        return self.retired_at == 0


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer of the roster. A first supervisor has no name commitment."""

    officer_id: bytes
    post: str
    key: PublicKey
    roles: tuple[int, ...]
    clearance: int
    name_commitment: bytes
    suspended: bool
    revoked_at: int
    compromised_since: int
    enrolled_at: int

    @property
    def is_active(self) -> bool:
        """Neither suspended nor revoked. (His post may still have been retired: `State.may_act` asks that too.)"""
        return not self.suspended and self.revoked_at == 0

    def has_role(self, role: Role) -> bool:
        """Does the roster give him this role?"""
        return role in self.roles


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal: its Ed25519 key (32 bytes), its officer and his post."""

    terminal_id: bytes
    key: bytes
    officer_id: bytes
    post: str
    certificate: bytes
    enrolled_at: int
    retired_at: int
    reason: str

    @property
    def is_active(self) -> bool:
        """Not retired."""
        return self.retired_at == 0


@dataclass(frozen=True, slots=True)
class Shift:
    """Who is on duty at a post since log index `since`, who handed over to him in person (empty: nobody), and the hash
    of what was pending then. He may have been suspended or revoked meanwhile."""

    post: str
    officer_id: bytes
    since: int
    former_id: bytes
    list_hash: bytes


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who may act for a post, sorted, so that a node cannot hide one of them."""

    officer_ids: tuple[bytes, ...]
    terminal_ids: tuple[bytes, ...]
