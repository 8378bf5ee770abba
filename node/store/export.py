"""The log of a node as a file, and its trust file, each read in one view while the node may be running."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, select

from keys.signing import DirectVerifier, VerifiedBefore
from ledger.logfile import CHECKPOINT, LEAF, LogItem, write_log
from ledger.machine import Machine
from ledger.trust import Trust, make_trust, verify_trust
from node.config import DATABASE_FILE, NodeConfig
from node.modules import MODULES
from node.store.database import Database, sqlite_url
from node.store.log import POLICY, all_blocks, leaves, log_size, newest_note
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


def make_trust_file(database: Database) -> tuple[bytes, Trust]:
    """The trust file as of the newest checkpoint under the policy, and what it says once verified.

    Raises `Unavailable("no-checkpoint")` before the first, `VerificationFailed` if the stored log does not hold.
    """
    with database.read() as tx:
        newest = newest_note(tx, POLICY)
        if newest is None:
            hint = "let the node run until it is ready: see `dutabarta node status`"
            raise Unavailable("no-checkpoint", "this node holds no checkpoint under the policy yet", hint=hint)
        size, note = newest
        machine = _replay(tx, size)
        data = make_trust(machine, lambda index: leaves(tx, index, index + 1)[0], note)
    return data, verify_trust(data, machine.network_id)


def _replay(tx: Connection, size: int) -> Machine:
    """The machine after `size` leaves. Signatures were checked when the node took them in."""
    blocks = all_blocks(tx)
    machine = Machine.found(next(blocks).leaves, MODULES, DirectVerifier())
    machine.verifier = VerifiedBefore()
    while machine.size < size:
        machine.replay_block(next(blocks).leaves)
    return machine


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
