"""The engine's blocks in the node's store: leaves and position in one transaction, or neither."""

from __future__ import annotations

from node.consensus import CommitBlock
from node.engine import Position
from node.store import deposits, log
from node.store.database import Database
from node.store.log import StoredBlock

POSITION = "engine-position"


def load_position(database: Database) -> Position | None:
    """The engine's height and log size at the last Commit. Raises `StoreFailed`, `Malformed`."""
    with database.read() as tx:
        stored = log.meta(tx, POSITION)
    return None if stored is None else Position.decode(stored)


def store_commit(database: Database, commit: CommitBlock) -> None:
    """Durable when it returns. Raises `StoreFailed`."""
    with database.write() as tx:
        if commit.append is not None:
            block = commit.append
            log.append_block(tx, StoredBlock(block.start, block.leaves, block.root))
            deposits.settle_accepted(tx, block.leaves)
        log.set_meta(tx, POSITION, commit.position.encode())
