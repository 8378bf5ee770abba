"""Starting from what is stored: every leaf is hashed, compared and re-executed before the node says a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from keys.signing import DirectVerifier, VerifiedBefore, Verifier
from ledger.machine import Machine
from ledger.merkle import Frontier, leaf_hash
from node.modules import MODULES
from node.store import log
from node.store.database import Database
from node.store.log import SignState, StoredBlock
from protos.errors import DutabartaError, Refused, VerificationFailed

NETWORK = "network-id"
COSIGNER = "cosigner"


class StoredLog:
    """The leaves in the store, as node.chain.Log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def leaves(self, start: int, end: int) -> Iterable[bytes]:
        """The leaf bytes of [start, end), read in pieces."""
        for at in range(start, end, _PIECE):
            with self._database.read() as tx:
                found = log.leaves(tx, at, min(end, at + _PIECE))
            yield from found

    def index_of(self, entry_hash: bytes) -> int | None:
        """The log index of the leaf with this RFC 6962 leaf hash, or None."""
        with self._database.read() as tx:
            return log.index_of(tx, entry_hash)


_PIECE = 1024


def recover(database: Database, genesis: Sequence[bytes], verifier: Verifier) -> Machine:
    """The machine after the stored log; a new store begins with the founding block `genesis`.

    Signatures are not checked again up to the size that this node has signed, if the stored bytes give the signed root.
    Raises `Refused("other-network")`, `VerificationFailed("log-damaged")`.
    """
    machine = Machine.found(tuple(genesis), MODULES, DirectVerifier())
    if not _has_log(database, machine.network_id):
        _store_founding(database, machine, tuple(genesis))
    signed = _check_bytes(database)
    machine.verifier = VerifiedBefore()
    with database.read() as tx:
        _replay(machine, islice(log.all_blocks(tx), 1, None), signed, verifier)
    machine.verifier = verifier
    return machine


def _has_log(database: Database, network_id: bytes) -> bool:
    with database.read() as tx:
        known = log.meta(tx, NETWORK)
    if known is not None and known != network_id:
        raise Refused("other-network", "the store belongs to another network than genesis.log",
                      hint="give this post the genesis of its own network")
    return known is not None


def _store_founding(database: Database, machine: Machine, leaves: tuple[bytes, ...]) -> None:
    with database.write() as tx:
        log.set_meta(tx, NETWORK, machine.network_id)
        log.append_block(tx, StoredBlock(0, leaves, machine.root))


def _check_bytes(database: Database) -> int:
    """Hash every stored leaf; the roots of all blocks and of the sign-state must come out. Returns the signed size."""
    frontier = Frontier()
    with database.read() as tx:
        signed = log.sign_state(tx, COSIGNER)
        for block in log.all_blocks(tx):
            if block.start != frontier.size:
                raise _damaged(f"the block at {block.start} does not follow leaf {frontier.size - 1}")
            kept = log.hashes(tx, block.start, block.size)
            for index, (leaf, entry_hash) in enumerate(zip(block.leaves, kept, strict=True), block.start):
                if leaf_hash(leaf) != entry_hash:
                    raise _damaged(f"leaf {index} does not have its hash")
                frontier.append(entry_hash)
            if frontier.root() != block.root:
                raise _damaged(f"the leaves up to {frontier.size} do not give the stored root")
            if signed is not None and signed.size == frontier.size:
                _check_signed(signed, frontier)
    if signed is not None and signed.size > frontier.size:
        raise _damaged(f"the log ends at {frontier.size}, but this node has signed {signed.size}")
    return signed.size if signed else 0


def _check_signed(signed: SignState, frontier: Frontier) -> None:
    if signed.root != frontier.root() or signed.frontier != frontier.encode():
        raise _damaged(f"the leaves up to {signed.size} do not give the root that this node has signed")


def _replay(machine: Machine, blocks: Iterable[StoredBlock], signed: int, verifier: Verifier) -> None:
    for block in blocks:
        if block.size > signed:
            machine.verifier = verifier
        try:
            machine.replay_block(block.leaves)
        except DutabartaError as problem:
            raise _damaged(f"the block at {block.start} does not re-execute: {problem.text}") from problem
        if machine.root != block.root:
            raise _damaged(f"the block at {block.start} gives another root")


def _damaged(text: str) -> VerificationFailed:
    return VerificationFailed("log-damaged", f"the stored log is damaged: {text}",
                              hint="move node.db away and join again, or restore a backup")
