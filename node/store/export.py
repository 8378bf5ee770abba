"""The whole log of a node as an engine-neutral file, read in one consistent view while the node may be running."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, select

from ledger.logfile import CHECKPOINT, LEAF, LogItem, write_log
from node.config import DATABASE_FILE, NodeConfig
from node.store.database import Database, sqlite_url
from node.store.log import POLICY, all_blocks, log_size
from node.store.tables import NOTES
from protos.errors import Unavailable


def open_existing(folder: Path, config: NodeConfig) -> Database:
    """The store of the node in `folder` (H/node). Raises `Unavailable` ("no-ledger") where it has none yet."""
    path = folder / DATABASE_FILE
    if not config.database and not path.exists():
        raise Unavailable(
            "no-ledger", f"{path} does not exist", hint="start the node once: `dutabarta node run`", path=path
        )
    return Database(config.database or sqlite_url(path))


def export_log(database: Database, out: Path, progress: Callable[[int, int], None]) -> int:
    """Write the log with its kept checkpoints to `out`, whole or not at all; the number of leaves.

    `progress(done, total)` is called for every block.
    """
    temporary = out.with_name(f"{out.name}.part")
    try:
        with database.read() as tx, temporary.open("wb") as stream:
            total = log_size(tx)
            write_log(stream, _items(tx, total, progress))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return total


def _items(tx: Connection, total: int, progress: Callable[[int, int], None]) -> Iterator[LogItem]:
    notes = _notes(tx)
    for block in all_blocks(tx):
        yield from (LogItem(LEAF, leaf) for leaf in block.leaves)
        if block.size in notes:
            yield LogItem(CHECKPOINT, notes[block.size])
        progress(block.size, total)


def _notes(tx: Connection) -> dict[int, bytes]:
    """By size, the notes that meet the policy: what an auditor can judge."""
    query = select(NOTES.c.size, NOTES.c.note).where(NOTES.c.kind == POLICY)
    return {row.size: row.note for row in tx.execute(query)}
