"""The ledger as the application of a Byzantine consensus engine: what it answers to each ABCI call, without I/O.

It drives the same machine as `Solo`. Nothing is kept before Commit; a block is then one transaction, and is shown
when the shell has called `committed`. The engine may call anything again after a crash on either side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ledger.block import ACCEPTED, MAX_MISBEHAVIOUR, OFFENCES, BlockResult
from ledger.entry import MAX_SEQUENCE, decode_entry_leaf
from ledger.machine import Machine
from ledger.validators import COMET
from ledger.wire import Misbehaviour
from node.abci.limits import fitting, has_garbage
from node.abci.messages import (
    DUPLICATE_VOTE,
    LIGHT_CLIENT_ATTACK,
    Finalized,
    Genesis,
    Info,
    Initial,
    Proposal,
    TxResult,
)
from node.actions import Append
from node.chain import Chain
from node.engine import (
    ENGINE_CHANGED,
    INITIAL_HEIGHT,
    EngineStart,
    Position,
    contradiction,
    engine_keys,
    engine_start,
    key_changes,
    key_owners,
    machine_at,
)
from protos.errors import Refused

_OFFENCE_OF = {DUPLICATE_VOTE: OFFENCES[0], LIGHT_CLIENT_ATTACK: OFFENCES[1]}
_FILTER_ID = "/p2p/filter/id/"
_FILTER_ADDRESS = "/p2p/filter/addr/"
_OK = TxResult(ACCEPTED, "")


@dataclass(frozen=True, slots=True)
class CommitBlock:
    """In one transaction: append the block, if there is one, and store the engine's position. Then `committed()`.

    `time` is the header's, POSIX seconds, of empty blocks too.
    """

    append: Append | None
    position: Position
    time: int


@dataclass(frozen=True, slots=True)
class _Tried:
    """A block applied to a fork of the engine's machine."""

    proposal: Proposal
    machine: Machine
    result: BlockResult

    @property
    def is_clean(self) -> bool:
        """Whether every entry was accepted."""
        return all(one.is_accepted for one in self.result.results)


class Application:
    """One node's side of ABCI. `position` is the stored one, None before the first Commit.

    The engine may be behind the log: a follower that became a validator is taken through the blocks that its own log
    holds, and each must come out as it stands there.
    """

    def __init__(self, chain: Chain, position: Position | None = None) -> None:
        self._chain = chain
        self.start: EngineStart = engine_start(chain)
        begun = position is not None and position.chain_id == self.start.chain_id
        self._position = position if begun and position else Position(self.start.chain_id, 0, self.start.size)
        self._machine = machine_at(chain, self._position.size)
        self._owners = key_owners(chain)
        self._tried: _Tried | None = None
        self._decided: _Tried | None = None
        self.is_over = False
        """Whether the ledger has put the network under another engine, or under this one anew: nothing more is done."""
        self.is_caught_up = False
        """Set by whoever watches the engine: unknown peers are refused from then on."""

    # --- query and mempool -----------------------------------------------------------------------------------

    def info(self) -> Info:
        """The durable height, and the log root there. Height 0 until the first Commit: InitChain will come."""
        return Info(self._position.height, self._machine.root)

    def check_tx(self, tx: bytes) -> TxResult:
        """Whether the entry could stand in the next block."""
        result = self._machine.check_result(tx)
        return TxResult(result.code, result.text)

    def query(self, path: str) -> TxResult:
        """The engine asks whether to talk to a peer. Nothing else can be asked here."""
        if path.startswith(_FILTER_ADDRESS):
            return _OK  # an address says nothing; the id, proved in the handshake, does
        if path.startswith(_FILTER_ID):
            return self._filter(path.removeprefix(_FILTER_ID))
        return TxResult("unknown-path", "the ledger answers only filters of peers here; ask the node")

    def _filter(self, peer_id: str) -> TxResult:
        try:
            code = self._owners.get(bytes.fromhex(peer_id))
        except ValueError:
            return TxResult("unknown-peer", "that is no id of a peer")
        if code is None:
            if self.is_caught_up:
                return TxResult("unknown-peer", "the ledger knows no post with this key")
            return _OK
        post = self._chain.machine.state.post(code)
        if post is None or not post.is_active:
            return TxResult("retired-post", f"post {code} is retired")
        return _OK

    # --- consensus -------------------------------------------------------------------------------------------

    def init_chain(self, genesis: Genesis) -> Initial:
        """Begin at the block that the genesis names, if it is the own log's. May come again before the first Commit.

        Raises `Refused("wrong-engine-genesis")`.
        """
        start = self.start
        if self._position.height:
            raise _wrong_genesis(f"this node has committed height {self._position.height} already")
        if (genesis.chain_id, genesis.initial_height) != (start.chain_id, INITIAL_HEIGHT):
            raise _wrong_genesis(f"it is for {genesis.chain_id!r} from height {genesis.initial_height} on")
        if not _same_json(genesis.app_state, start.app_state):
            raise _wrong_genesis("its app_state is not where the own log says that the engine begins")
        if tuple(sorted(genesis.validators, key=lambda one: one.key)) != start.validator_keys:
            raise _wrong_genesis("its validators are not those of the own log")
        self._tried = self._decided = None
        return Initial(start.validator_keys, start.root)

    def prepare(self, proposal: Proposal, max_bytes: int) -> tuple[bytes, ...]:
        """The transactions to propose: in order, what will be accepted, within `max_bytes` as the engine counts."""
        if self.is_over:
            return ()
        txs = fitting(proposal.txs, max_bytes)
        tried = self._apply(Proposal(proposal.height, proposal.time, txs, proposal.offences))
        kept = tuple(tx for tx, one in zip(txs, tried.result.results, strict=True) if one.is_accepted)
        if kept == txs:
            self._tried = tried
        return kept

    def process(self, proposal: Proposal) -> bool:
        """Whether to vote for the block: every entry must be accepted, as `prepare` at an honest proposer sees to.

        The answer follows from the state and the proposal alone, so all correct validators give the same.
        """
        if self.is_over or has_garbage(proposal.txs):
            return False
        self._tried = self._try(proposal)
        return self._tried.is_clean

    def finalize(self, proposal: Proposal) -> Finalized:
        """Apply the decided block to a copy. Raises `Refused` "wrong-height", "engine-over"."""
        expected = self._position.height + 1
        if proposal.height != expected:
            raise Refused("wrong-height", f"the engine decided height {proposal.height}, the next one is {expected}")
        if self.is_over:
            raise Refused("engine-over", "the ledger has put the network under another engine since")
        self._decided = tried = self._try(proposal)
        results = tuple(TxResult(one.code, one.text) for one in tried.result.results)
        changes = key_changes(engine_keys(self._machine.state), engine_keys(tried.machine.state))
        return Finalized(results, () if _ends_engine(tried) else changes, tried.result.root)

    def commit(self) -> CommitBlock:
        """What to store for the block of the last `finalize`. Raises `Refused("nothing-decided")`.

        Raises `VerificationFailed("contradicting-log")` if the own log goes on otherwise.
        """
        if self._decided is None:
            raise Refused("nothing-decided", "Commit came without FinalizeBlock")
        proposal, result = self._decided.proposal, self._decided.result
        position = Position(self.start.chain_id, proposal.height, result.size)
        if result.size <= self._chain.size:
            self._check_own_log(result)
            return CommitBlock(None, position, proposal.time)
        start = result.size - len(result.leaves)
        if start != self._chain.size:
            raise contradiction(start)
        append = Append(start, result.leaves, result.size, result.root, self._decided.machine.time)
        return CommitBlock(append, position, proposal.time)

    def committed(self) -> None:
        """The block is durable: show it."""
        if self._decided is None:
            return
        decided, self._decided, self._tried = self._decided, None, None
        self._position = Position(self.start.chain_id, decided.proposal.height, decided.result.size)
        if decided.result.leaves:
            self._show(decided.machine)

    # --- within ----------------------------------------------------------------------------------------------

    def _show(self, machine: Machine) -> None:
        """The engine's machine is the chain's, unless the engine is still behind the log."""
        has_changes = len(machine.changes) != len(self._machine.changes)
        if machine.size > self._chain.size:
            self._chain.machine = machine
        self._machine = self._chain.machine if machine.size == self._chain.size else machine
        if has_changes and machine is self._chain.machine:
            self._owners = key_owners(self._chain)
            self.is_over = not is_in_force(self._chain, self.start)

    def _try(self, proposal: Proposal) -> _Tried:
        """The block applied; the last one is remembered, since a block is proposed before it is decided."""
        if self._tried is not None and self._tried.proposal == proposal:
            return self._tried
        return self._apply(proposal)

    def _apply(self, proposal: Proposal) -> _Tried:
        machine = self._machine.fork()
        result = machine.apply_block(proposal.txs, max(0, proposal.time), self._misbehaviour(proposal))
        return _Tried(proposal, machine, result)

    def _misbehaviour(self, proposal: Proposal) -> tuple[Misbehaviour, ...]:
        """The offences by post code, in the engine's order. All consensus keys ever come from the log itself."""
        found = []
        for one in proposal.offences:
            code, offence = self._owners.get(one.address), _OFFENCE_OF.get(one.kind)
            if code is not None and offence is not None:
                at = min(max(0, one.time), MAX_SEQUENCE)
                found.append(Misbehaviour(code, offence, max(0, one.height), at))
        return tuple(found[:MAX_MISBEHAVIOUR])

    def _check_own_log(self, result: BlockResult) -> None:
        own = self._chain.machine.tree
        if own.root(result.size) != result.root:
            raise contradiction(result.size)


def is_in_force(chain: Chain, start: EngineStart) -> bool:
    """Whether the engine that began at `start` still orders."""
    return chain.machine.state.network().engine == COMET and engine_start(chain).size == start.size


def _ends_engine(tried: _Tried) -> bool:
    results = zip(tried.proposal.txs, tried.result.results, strict=True)
    return any(one.is_accepted and decode_entry_leaf(tx).entry.kind == ENGINE_CHANGED for tx, one in results)


def _same_json(one: bytes, other: bytes) -> bool:
    """The engine keeps app_state as JSON and may set it otherwise."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def _wrong_genesis(text: str) -> Refused:
    hint = "The engine's folder belongs to another network, or to an engine before a change: move it away."
    return Refused("wrong-engine-genesis", f"the engine's genesis does not fit the own log: {text}", hint=hint)
