"""The payload of each of the ledger's own entry kinds (protos/ledger.proto, docs/protocol/ledger.md).

Codes are three capitals, officer ids 16 bytes, key and terminal ids 32, certificates DER of at most 600 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.possession import ProvenKey


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a network may set for itself; every `*_seconds` is a duration in block time.

    `answer_seconds`: by when a cable is to be answered, ROUTINE first, FLASH last, by the terminal's clock; or empty.
    """

    rules_version: int
    root_threshold: int
    mission_quorum: int
    slot_seconds: int
    filled_slots: bool
    cosign_seconds: int
    satellite_cosign_seconds: int
    stale_seconds: int
    answer_seconds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Supervisor:
    """One of the two first supervisors of a post."""

    officer_id: bytes
    key: ProvenKey


@dataclass(frozen=True, slots=True)
class PostAdmitted:
    """A new post. `log_key` is absent unless it may become a validator, `consensus_key` outside the comet engine."""

    code: str
    headquarters: bool
    satellite: bool
    address: str
    entry_key: ProvenKey
    cosigner_key: ProvenKey
    log_key: ProvenKey | None
    consensus_key: ProvenKey | None
    certificate: bytes
    supervisors: tuple[Supervisor, ...]


@dataclass(frozen=True, slots=True)
class PostRetired:
    """A post leaves: its officers and terminals act no more."""

    code: str


@dataclass(frozen=True, slots=True)
class ValidatorsChanged:
    """The whole new set of validators, sorted; in force two blocks later."""

    validators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootChanged:
    """One root key takes the place of another."""

    old_key_id: bytes
    new_key: ProvenKey


@dataclass(frozen=True, slots=True)
class NodeKeyChanged:
    """A new cosigner, log or consensus key of a post."""

    code: str
    role: str
    key: ProvenKey


@dataclass(frozen=True, slots=True)
class ParametersChanged:
    """The whole new set of parameters."""

    parameters: Parameters


@dataclass(frozen=True, slots=True)
class EngineChanged:
    """The log goes on under another engine, from exactly this size, root and state root."""

    engine: str
    size: int
    root: bytes
    state_root: bytes
    validators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PostChanged:
    """A post's own new entry key, certificate or address; what is absent or empty stays."""

    code: str
    entry_key: ProvenKey | None
    certificate: bytes
    address: str


@dataclass(frozen=True, slots=True)
class OfficerEnrolled:
    """A new officer; `roles` strictly ascending, `name_commitment` as keys.name makes it."""

    officer_id: bytes
    post: str
    key: ProvenKey
    roles: tuple[int, ...]
    clearance: int
    name_commitment: bytes


@dataclass(frozen=True, slots=True)
class OfficerChanged:
    """An officer's whole new roles and clearance."""

    officer_id: bytes
    roles: tuple[int, ...]
    clearance: int


@dataclass(frozen=True, slots=True)
class OfficerSuspended:
    """An officer may sign nothing until he is reinstated."""

    officer_id: bytes
    reinstated: bool


@dataclass(frozen=True, slots=True)
class OfficerRevoked:
    """An officer leaves for ever. `compromised_since` is a log index, 0 if his key was not compromised."""

    officer_id: bytes
    compromised_since: int


@dataclass(frozen=True, slots=True)
class OfficerRotated:
    """An officer's new key."""

    officer_id: bytes
    key: ProvenKey


@dataclass(frozen=True, slots=True)
class TerminalEnrolled:
    """A new terminal of an officer; its id is the key id of `key`."""

    officer_id: bytes
    key: ProvenKey
    certificate: bytes


@dataclass(frozen=True, slots=True)
class TerminalRetired:
    """A terminal leaves: `reason` is replaced, lost or zeroized."""

    terminal_id: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class ShiftChanged:
    """The officer `incoming` is on duty at the post. `outgoing` hands over what is pending, by the hash of its list;
    both are empty where the shift is taken with a supervisor's signature."""

    post: str
    outgoing: bytes
    incoming: bytes
    list_hash: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """The root over one post's items of one slot (`kind` confidential or attestation)."""

    post: str
    kind: str
    root: bytes
    count: int
