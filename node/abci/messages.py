"""What CometBFT asks and gets to hear, as plain values. Heights count the engine's blocks; times are POSIX seconds."""

from __future__ import annotations

from dataclasses import dataclass

DUPLICATE_VOTE = 1
LIGHT_CLIENT_ATTACK = 2


@dataclass(frozen=True, slots=True)
class Offence:
    """Misbehaviour as the engine reports it: `kind` as above, `address` the first 20 bytes of SHA-256(key)."""

    kind: int
    address: bytes
    height: int
    time: int


@dataclass(frozen=True, slots=True)
class ValidatorKey:
    """A consensus key (Ed25519, 32 bytes) and its voting power; power 0 removes it."""

    key: bytes
    power: int


@dataclass(frozen=True, slots=True)
class Genesis:
    """What the engine's genesis file says, sent with InitChain."""

    chain_id: str
    initial_height: int
    validators: tuple[ValidatorKey, ...]
    app_state: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A block, proposed or decided."""

    height: int
    time: int
    txs: tuple[bytes, ...]
    offences: tuple[Offence, ...] = ()


@dataclass(frozen=True, slots=True)
class Info:
    """The durable height (0: no block yet) and the app hash, the log root after it."""

    height: int
    app_hash: bytes


@dataclass(frozen=True, slots=True)
class Initial:
    """The validators and the app hash that the chain begins with."""

    validators: tuple[ValidatorKey, ...]
    app_hash: bytes


@dataclass(frozen=True, slots=True)
class TxResult:
    """`code` "accepted" or the name of the refusal, and its text."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Finalized:
    """What a decided block does. Nothing of it is kept before Commit."""

    results: tuple[TxResult, ...]
    validators: tuple[ValidatorKey, ...]
    app_hash: bytes
