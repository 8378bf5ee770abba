"""Entries ordered into blocks by the sequencer, each block durable, against bare signature checks and SQLite commits.

81 missions enter a batch each in every block. Ours checks, applies, stores, cosigns and offers the checkpoint.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nacl.bindings import crypto_sign_open

from benchmarks.harness import Row
from keys.possession import prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.purpose import Purpose, preimage
from keys.signing import CachingVerifier, DirectVerifier, SoftwareSigner
from ledger import bodies, genesis
from ledger.batch import CONFIDENTIAL
from ledger.entry import decode_entry_leaf, encode_entry, make_leaf, sign_entry
from ledger.machine import Machine
from ledger.parameters import EXERCISE_PARAMETERS
from node.actions import Action
from node.api.door import Door
from node.api.tls import make_identity
from node.secrets import NodeKeys
from node.shell.ledger import LedgerShell
from node.shell.recovery import recover
from node.store.database import Database

POSTS = 82  # HQ orders, the others enter
BLOCKS = 8
CODES = [f"{a}{b}X" for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJ"][:POSTS]


def rows() -> Iterator[Row]:
    keys = {code: _keys() for code in CODES}
    leaves = _founding(keys)
    with tempfile.TemporaryDirectory() as folder:
        shell = _shell(Path(folder) / "node.db", keys, leaves)
        blocks = [_block(shell.chain.machine.network_id, keys, sequence) for sequence in range(1, BLOCKS + 1)]
        ours = _ordered(shell, blocks)
        bare = _bare(Path(folder) / "bare.db", blocks, shell.chain.machine.network_id, keys)
    entries = BLOCKS * (POSTS - 1)
    yield Row(
        "entries ordered by the sequencer, durable",
        entries / ours,
        entries / bare,
        "entries/s",
        "bare Ed25519 checks and a commit a block",
        bare / ours,
    )


class _NoLinks:
    """No other post runs: what would go over a link is dropped."""

    def send(self, action: Action) -> None:
        """See Outbox."""


def _keys() -> NodeKeys:
    return NodeKeys(
        SoftwareSigner.generate(SUITE_ED25519),
        SoftwareSigner.generate(SUITE_MLDSA44),
        SoftwareSigner.generate(SUITE_ED25519),
        make_identity(),
    )


def _founding(keys: dict[str, NodeKeys]) -> tuple[bytes, ...]:
    roots = [prove(SoftwareSigner.generate(SUITE_DUAL), "root") for _ in range(3)]
    return genesis.build(
        "bench",
        True,
        int(time.time()),
        EXERCISE_PARAMETERS,
        roots,
        [_card(code, one) for code, one in keys.items()],
        CODES[:1],
    )


def _card(code: str, keys: NodeKeys) -> bodies.PostAdmitted:
    supervisors = tuple(
        bodies.Supervisor(os.urandom(16), prove(SoftwareSigner.generate(SUITE_DUAL), "officer")) for _ in range(2)
    )
    return bodies.PostAdmitted(
        code,
        code == CODES[0],
        False,
        "127.0.0.1:7400",
        keys.proven("entry"),
        keys.proven("cosigner"),
        keys.proven("log"),
        None,
        keys.tls.certificate,
        supervisors,
    )


def _shell(path: Path, keys: dict[str, NodeKeys], leaves: Sequence[bytes]) -> LedgerShell:
    database, verifier = Database.open_file(path), CachingVerifier(DirectVerifier(), 16_384)

    def rebuild() -> Machine:
        return recover(database, leaves, verifier)

    own = keys[CODES[0]]
    door = Door(CODES[0], own.tls.certificate)
    shell = LedgerShell(CODES[0], own, database, rebuild(), door, lambda: int(time.time()), rebuild)
    shell.start(_NoLinks())
    for code in CODES[1:3]:  # two others say that they know nothing of this node: it may begin
        shell.perform(shell.witness.own_newest(code, 0, b""))
    return shell


def _block(network_id: bytes, keys: dict[str, NodeKeys], sequence: int) -> list[bytes]:
    made = []
    for code, one in list(keys.items())[1:]:
        entry = encode_entry("batch", sequence, bodies.Batch(code, CONFIDENTIAL, os.urandom(32), 64))
        made.append(
            make_leaf(entry, [sign_entry(entry, one.entry, network_id, Purpose.ENTRY)], one.entry.public_key.key_id)
        )
    return made


def _ordered(shell: LedgerShell, blocks: list[list[bytes]]) -> float:
    start = time.perf_counter()
    for number, block in enumerate(blocks, start=1):
        for leaf in block:
            shell.submit(leaf)
        shell.tick()
        if shell.chain.machine.blocks != number + 1:
            raise RuntimeError("the sequencer made no block")
    return time.perf_counter() - start


def _bare(path: Path, blocks: list[list[bytes]], network_id: bytes, keys: dict[str, NodeKeys]) -> float:
    """The same signatures checked once, the same leaves stored in one commit a block."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE leaves (data BLOB)")
    checks = [
        [_check_of(leaf, network_id, keys[code]) for code, leaf in zip(CODES[1:], block, strict=True)]
        for block in blocks
    ]
    start = time.perf_counter()
    for block, signed in zip(blocks, checks, strict=True):
        for message, key in signed:
            crypto_sign_open(message, key)
        database.execute("BEGIN")
        database.executemany("INSERT INTO leaves VALUES (?)", [(leaf,) for leaf in block])
        database.execute("COMMIT")
    seconds = time.perf_counter() - start
    database.close()
    return seconds


def _check_of(leaf: bytes, network_id: bytes, keys: NodeKeys) -> tuple[bytes, bytes]:
    read, key = decode_entry_leaf(leaf), keys.entry.public_key
    message = preimage(Purpose.ENTRY, network_id, key.key_id, read.signed)
    return read.signatures[0].signature + message, key.key
