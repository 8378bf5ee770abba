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
        raise Refused(
            "other-network",
            "the store belongs to another network than genesis.log",
            hint="give this post the genesis of its own network",
        )
    return known is not None


def _store_founding(database: Database, machine: Machine, leaves: tuple[bytes, ...]) -> None:
    with database.write() as tx:
        log.set_meta(tx, NETWORK, machine.network_id)
        log.append_block(tx, StoredBlock(0, leaves, machine.root))


class LogCheck:
    """Hashes the stored log block by block; the roots of all blocks and of the sign-state must come out."""

    def __init__(self, signed: SignState | None) -> None:
        self._signed = signed
        self._frontier = Frontier()
        self._is_met = signed is None

    @property
    def size(self) -> int:
        """The leaves that were found good."""
        return self._frontier.size

    def take(self, block: StoredBlock, hashes: Sequence[bytes]) -> None:
        """The next block, with the stored hashes of its leaves. Raises `VerificationFailed("log-damaged")`."""
        if block.start != self.size:
            raise _damaged(f"the block at {block.start} does not follow leaf {self.size - 1}")
        if len(hashes) != len(block.leaves):
            raise _damaged(f"the block at {block.start} lacks leaves")
        for index, (leaf, entry_hash) in enumerate(zip(block.leaves, hashes, strict=True), block.start):
            if leaf_hash(leaf) != entry_hash:
                raise _damaged(f"leaf {index} does not have its hash")
            self._frontier.append(entry_hash)
        if self._frontier.root() != block.root:
            raise _damaged(f"the leaves up to {self.size} do not give the stored root")
        signed, found = self._signed, (self._frontier.root(), self._frontier.encode())
        if signed is None or signed.size != self.size:
            return
        self._is_met = True
        if (signed.root, signed.frontier) != found:
            raise _damaged(f"the leaves up to {signed.size} do not give the root that this node has signed")

    def finish(self) -> int:
        """The log has ended. Returns the signed size. Raises `VerificationFailed("log-damaged")`."""
        if self._signed is None:
            return 0
        if not self._is_met:
            raise _damaged(f"no block ends at {self._signed.size}, which this node has signed")
        return self._signed.size


def _check_bytes(database: Database) -> int:
    """Hash every stored leaf. Returns the size that this node has signed."""
    with database.read() as tx:
        check = LogCheck(log.sign_state(tx, COSIGNER))
        for block in log.all_blocks(tx):
            check.take(block, log.hashes(tx, block.start, block.size))
    return check.finish()


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
    return VerificationFailed(
        "log-damaged",
        f"the stored log is damaged: {text}",
        hint="move node.db away and join again, or restore a backup",
    )
