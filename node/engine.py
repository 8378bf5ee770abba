"""Where the consensus engine stands on the ledger: from which block on it orders, with which keys, how far it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from keys.signing import DirectVerifier, VerifiedBefore
from ledger.block import decode_record, is_record
from ledger.bodies import EngineChanged, NodeKeyChanged, PostAdmitted
from ledger.entry import decode_entry_leaf
from ledger.genesis import decode_founding_post
from ledger.machine import Machine
from ledger.state import State
from ledger.validators import COMET, SOLO
from ledger.wire import CODEC, MAX_LEAF_BYTES
from node.abci.messages import ValidatorKey
from node.chain import Chain
from node.modules import MODULES
from protos.errors import Malformed, Refused, VerificationFailed

ADDRESS_BYTES = 20
INITIAL_HEIGHT = 1
"""Heights count from 1 in every chain: CometBFT 0.38 cannot recover from a crash in a first block of another height."""

ENGINE_CHANGED = "engine-changed"
_BODIES = {"post-admitted": PostAdmitted, "node-key-changed": NodeKeyChanged, ENGINE_CHANGED: EngineChanged}
_Body = PostAdmitted | NodeKeyChanged | EngineChanged


def address_of(key: bytes) -> bytes:
    """CometBFT's address of a consensus key, and the id of its peer: the first 20 bytes of SHA-256."""
    return sha256(key).digest()[:ADDRESS_BYTES]


@dataclass(frozen=True, slots=True)
class EngineStart:
    """The block after which the engine orders: the founding block, or the one with the newest `engine-changed`.

    `size`, `root`, `state_root` and `time` are those after that block; `validators` maps post codes to consensus keys.
    """

    network_id: bytes
    size: int
    root: bytes
    state_root: bytes
    time: int
    validators: tuple[tuple[str, bytes], ...]

    @property
    def chain_id(self) -> str:
        """At most 50 characters, another one for every start, so that no vote of one chain counts in another."""
        return f"dutabarta-{self.network_id[:12].hex()}-{self.size}"

    @property
    def app_state(self) -> bytes:
        """What the engine's genesis carries, and InitChain brings back: JSON in one form."""
        fields = {
            "network_id": self.network_id.hex(),
            "root": self.root.hex(),
            "size": self.size,
            "state_root": self.state_root.hex(),
            "validators": {code: key.hex() for code, key in self.validators},
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def validator_keys(self) -> tuple[ValidatorKey, ...]:
        """The first validators as the engine knows them, by key."""
        return keys_of({key: code for code, key in self.validators})


@dataclass(frozen=True, slots=True)
class Position:
    """How far the engine has come on this chain: stored in the transaction of every Commit."""

    chain_id: str
    height: int
    size: int

    def encode(self) -> bytes:
        """u64 height || u64 size || chain id in ASCII."""
        return self.height.to_bytes(8, "big") + self.size.to_bytes(8, "big") + self.chain_id.encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote. Raises `Malformed`."""
        chain_id = data[16:]
        if not chain_id or not chain_id.isascii():
            raise Malformed("bad-engine-position", "the stored height of the engine cannot be read")
        return cls(chain_id.decode("ascii"), int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big"))


def engine_start(chain: Chain) -> EngineStart:
    """Where the engine in force began. Raises `Refused("not-comet")` on a network under another engine."""
    machine = chain.machine
    if machine.state.network().engine != COMET:
        raise Refused("not-comet", "the ledger does not put this network under the comet engine")
    size, validators = machine.genesis.post_count + 2, machine.genesis.validators
    for index, body in _key_entries(chain):
        if isinstance(body, EngineChanged):
            size, validators = _block_end(chain, index), body.validators
    record = decode_record(next(iter(chain.log.leaves(size - 1, size))))
    keys = consensus_keys(chain, size)
    return EngineStart(
        machine.network_id,
        size,
        machine.tree.root(size),
        record.state_root,
        record.time,
        tuple((code, keys[code]) for code in validators),
    )


def consensus_keys(chain: Chain, size: int) -> dict[str, bytes]:
    """The consensus key of each post that has one, after the first `size` leaves."""
    return {code: key for index, code, key in _keys(chain) if index < size}


def key_owners(chain: Chain) -> dict[bytes, str]:
    """Engine address to post code, of every consensus key that ever stood on the log."""
    return {address_of(key): code for _, code, key in _keys(chain)}


def engine_keys(state: State) -> dict[bytes, str]:
    """The consensus keys that the engine shall have: of the coming validators where a change is pending.

    CometBFT lets a change act two heights after its block, the ledger two blocks with entries after it: never sooner.
    """
    network = state.network()
    codes = network.pending[-1].validators if network.pending else network.validators
    posts = [post for post in map(state.post, codes) if post is not None]
    return {post.consensus_key: post.code for post in posts}


def runs_engine(state: State, post: str) -> bool:
    """Whether this post is a validator under comet, or a coming one."""
    network = state.network()
    return network.engine == COMET and (post in network.validators or post in engine_keys(state).values())


def keys_of(keys: dict[bytes, str]) -> tuple[ValidatorKey, ...]:
    """One vote each, sorted by key."""
    return tuple(ValidatorKey(key, 1) for key in sorted(keys))


def key_changes(old: dict[bytes, str], new: dict[bytes, str]) -> tuple[ValidatorKey, ...]:
    """What makes the engine's set `new` from `old`, sorted by key: never an unknown or a double one."""
    changed = sorted(old.keys() ^ new.keys())
    return tuple(ValidatorKey(key, 1 if key in new else 0) for key in changed)


def decided_size(chain: Chain, post: str, final: int, position: Position | None) -> int:
    """So much of the log, under this engine, is this post's own word: what its engine has committed, and what it
    ordered alone before the engine began. `final` is its final size.

    What lies beyond came over streams: it may be made up until it is final.
    """
    before = chain.state_at(final).network()
    alone = engine_start(chain).size if (before.engine, before.validators) == (SOLO, (post,)) else 0
    return max(alone, position.size if position is not None else 0)


def machine_at(chain: Chain, size: int) -> Machine:
    """The machine after the first `size` leaves, a block end of the stored log; read again where it is not the newest.

    Raises `VerificationFailed("contradicting-log")` if the log is shorter, or no block ends there.
    """
    if size == chain.size:
        return chain.machine
    if size > chain.size:
        raise contradiction(size)
    block: list[bytes] = []
    machine: Machine | None = None
    for leaf in chain.log.leaves(0, size):
        block.append(leaf)
        if is_record(leaf):
            machine = _extend(machine, tuple(block))
            block.clear()
    if machine is None or block:
        raise contradiction(size)
    machine.verifier = chain.machine.verifier
    return machine


def _extend(machine: Machine | None, block: tuple[bytes, ...]) -> Machine:
    if machine is None:
        machine = Machine.found(block, MODULES, DirectVerifier())
        machine.verifier = VerifiedBefore()
    else:
        machine.replay_block(block)
    return machine


def contradiction(size: int) -> VerificationFailed:
    """The engine and the own log do not agree from `size` on."""
    text = f"the engine's blocks and the own log part at {size}"
    hint = "Do not start it again: keep both and tell HQ. One of them is damaged, or validators have forked the log."
    return VerificationFailed("contradicting-log", text, hint=hint, size=size)


def _keys(chain: Chain) -> Iterator[tuple[int, str, bytes]]:
    """(log index, post code, consensus key), in the order of the log."""
    for index, body in _key_entries(chain):
        if isinstance(body, PostAdmitted) and body.consensus_key is not None:
            yield index, body.code, body.consensus_key.key.key
        elif isinstance(body, NodeKeyChanged) and body.role == "consensus":
            yield index, body.code, body.key.key.key


def _key_entries(chain: Chain) -> Iterator[tuple[int, _Body]]:
    """Founding posts, then the governance entries that may concern the engine."""
    machine = chain.machine
    founding = chain.log.leaves(1, machine.genesis.post_count + 1)
    for index, leaf in enumerate(founding, 1):
        yield index, decode_founding_post(leaf, index)
    for change in machine.changes:
        if not change.is_entry:
            continue
        entry = decode_entry_leaf(next(iter(chain.log.leaves(change.index, change.index + 1)))).entry
        if entry.kind in _BODIES:
            body: _Body = CODEC.decode(_BODIES[entry.kind], entry.payload, limit=MAX_LEAF_BYTES)
            yield change.index, body


def _block_end(chain: Chain, index: int) -> int:
    """The log size after the block that holds this leaf."""
    for at, leaf in enumerate(chain.log.leaves(index, chain.size), index):
        if is_record(leaf):
            return at + 1
    raise VerificationFailed(
        "log-damaged", f"the block of leaf {index} has no end", hint="restore a backup or join again"
    )
