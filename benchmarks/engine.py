"""Entries under the consensus engine against CometBFT's own kvstore: four validators each, all on this machine.

Both networks run all the time, and the load goes to them by turns: the same engine, configuration, length of a
transaction, number of lanes. Ours goes through a node's door (gRPC over TLS) until the node answers that the entry is
accepted; the kvstore's through the engine's door until the application has committed its block.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

from nacl.bindings import crypto_sign, crypto_sign_keypair, crypto_sign_open

from benchmarks.council import VALIDATORS, Council, lacking
from benchmarks.harness import Row
from benchmarks.kvstore import PairDoors, start_kvstore
from benchmarks.load import Lane, LedgerDoors, Load, at_once, at_rate
from benchmarks.posts import opened_node
from benchmarks.processes import usage
from keys.public import PublicKey
from keys.purpose import Purpose, preimage
from ledger.entry import decode_entry_leaf
from node.comet.rpc import EngineRpc
from node.store import log

FOLLOWER = "PAR"
SIGNERS = 200
ENTRY_BYTES = 206
RATE = 100.0
CALM_RATE = 20.0
"""At this rate two cores are enough for eight engines and four nodes: nothing waits for a processor."""
ROUNDS = 3
WARM_SECONDS = 2.0
RATE_SECONDS = 8.0
FULL_SECONDS = 10.0
CHECKS = 10_000
AIM = 1.25

Pair = tuple[Load, Load]
"""Ours, and the kvstore's beside it."""
Measure = Callable[[Sequence[Lane]], Awaitable[Load]]


def rows() -> Iterator[Row]:
    if missing := list(lacking()):
        yield from missing
        return
    with tempfile.TemporaryDirectory() as folder, Council(Path(folder), (FOLLOWER,), SIGNERS) as council:
        council.start(*VALIDATORS)
        council.settle()
        engines = start_kvstore(council)
        before = _processor_seconds(council)
        yield from _latency_rows(RATE, AIM, asyncio.run(_measure(council, engines, _steady)))
        yield from _processor_rows(before, _processor_seconds(council))
        yield from _latency_rows(CALM_RATE, None, asyncio.run(_measure(council, engines, _calm)))
        yield from _saturation_rows(asyncio.run(_measure(council, engines, _full)))
        yield _catch_up_row(council)


async def _measure(council: Council, engines: Sequence[EngineRpc], how: Measure) -> list[Pair]:
    """Ours and the kvstore's by turns."""
    async with LedgerDoors(council, FOLLOWER) as ours, PairDoors(engines, SIGNERS, ENTRY_BYTES) as theirs:
        await at_rate(ours, RATE, WARM_SECONDS), await at_rate(theirs, RATE, WARM_SECONDS)
        return [(await how(ours), await how(theirs)) for _ in range(ROUNDS)]


async def _steady(lanes: Sequence[Lane]) -> Load:
    return await at_rate(lanes, RATE, RATE_SECONDS)


async def _calm(lanes: Sequence[Lane]) -> Load:
    return await at_rate(lanes, CALM_RATE, RATE_SECONDS)


async def _full(lanes: Sequence[Lane]) -> Load:
    return await at_once(lanes, FULL_SECONDS)


def _latency_rows(rate: float, aim: float | None, steady: Sequence[Pair]) -> Iterator[Row]:
    name = f"commit latency, {rate:.0f} entries/s from {SIGNERS} signers"
    both = {
        "median": [(ours.median, theirs.median) for ours, theirs in steady],
        "95 %": [(ours.most, theirs.most) for ours, theirs in steady],
    }
    for what, pairs in both.items():
        ratio, ours, theirs = _middle(pairs)
        yield Row(f"{name}: {what}", ours * 1000, theirs * 1000, "ms", "CometBFT's kvstore", ratio, aim)


def _processor_seconds(council: Council) -> tuple[float, float, float]:
    """Of a validator's node, of its engine, and of the engine that has the kvstore within."""
    code = VALIDATORS[0]
    processes = council.nodes[code].child.pid, council.engine_process(code), council.beside[0].child.pid
    node, engine, kvstore = (usage(one).seconds for one in processes)
    return node, engine, kvstore


def _processor_rows(before: Sequence[float], after: Sequence[float]) -> Iterator[Row]:
    """For one entry at the fixed load: hardly any other work of the machine shows in these."""
    entries = RATE * (WARM_SECONDS + ROUNDS * RATE_SECONDS)
    node, engine, kvstore = ((now - then) * 1000 / entries for then, now in zip(before, after, strict=True))
    yield Row("  processor time an entry, node", node, None, "ms", "", None)
    yield Row("  processor time an entry, engine", engine, kvstore, "ms", "engine and kvstore in one", engine / kvstore)


def _middle(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The round with the median ratio: ratio, ours, theirs."""
    return sorted((ours / theirs, ours, theirs) for ours, theirs in pairs)[len(pairs) // 2]


def _saturation_rows(full: Sequence[Pair]) -> Iterator[Row]:
    _, ours, theirs = _middle([(one.rate, other.rate) for one, other in full])
    name, bound = f"saturation, {len(VALIDATORS)} validators", _signature_bound()
    yield Row(name, ours, theirs, "entries/s", "CometBFT's kvstore", ours / theirs)
    peer = f"Ed25519 checks by {len(VALIDATORS)} on {_cores()} cores"
    yield Row(name, ours, bound, "entries/s", peer, ours / bound)


def _signature_bound() -> float:
    """Entries a second if all cores did nothing but check each entry's signature once for every validator."""
    with ProcessPoolExecutor(_cores(), mp_context=get_context("spawn")) as pool:
        list(pool.map(_check, [1] * _cores()))  # started
        start = time.perf_counter()
        list(pool.map(_check, [CHECKS] * _cores()))
        return _cores() * CHECKS / (time.perf_counter() - start) / len(VALIDATORS)


def _check(count: int) -> None:
    public, secret = crypto_sign_keypair()
    signed = crypto_sign(bytes(ENTRY_BYTES), secret)
    for _ in range(count):
        crypto_sign_open(signed, public)


def _cores() -> int:
    return cpu_count() or 1


# --- catching up -------------------------------------------------------------------------------------------


def _catch_up_row(council: Council) -> Row:
    """A follower's node in this process takes the whole log from a validator; no other load runs."""
    end = council.status(VALIDATORS[0]).log_size
    blocks, seconds = asyncio.run(_catch_up(council, end))
    entries = sum(len(block) for block in blocks)
    bare = _bare(blocks, council)
    peer = "bare Ed25519 checks and a commit a block"
    return Row("follower catches up, durable", entries / seconds, entries / bare, "entries/s", peer, bare / seconds)


async def _catch_up(council: Council, end: int) -> tuple[list[tuple[bytes, ...]], float]:
    async with opened_node(council.home(FOLLOWER)) as node:
        ledger = node.ledger
        for code in VALIDATORS:  # they know nothing of this node: it may cosign
            ledger.perform(ledger.witness.own_newest(code, 0, b""))
        begun = ledger.chain.size
        start = time.perf_counter()
        await node.peers.fetch(VALIDATORS[1], begun, end)
        seconds = time.perf_counter() - start
        if ledger.chain.size < end:
            raise RuntimeError(f"the follower stands at {ledger.chain.size}, not at {end}")
        with ledger.database.read() as tx:
            blocks = [block.leaves for block in log.all_blocks(tx) if block.start >= begun]
    return blocks, seconds


def _bare(blocks: Sequence[tuple[bytes, ...]], council: Council) -> float:
    """Seconds for the same signatures checked once, the same leaves stored in one commit a block."""
    keys = {one.key.public_key.key_id: one.key.public_key for one in council.signers}
    network_id = council.status(VALIDATORS[0]).network_id
    checks = [[_check_of(leaf, network_id, keys) for leaf in leaves[:-1]] for leaves in blocks]
    database = sqlite3.connect(council.folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE leaves (data BLOB)")
    start = time.perf_counter()
    for leaves, signed in zip(blocks, checks, strict=True):
        for message, key in filter(None, signed):
            crypto_sign_open(message, key)
        database.execute("BEGIN")
        database.executemany("INSERT INTO leaves VALUES (?)", [(leaf,) for leaf in leaves])
        database.execute("COMMIT")
    seconds = time.perf_counter() - start
    database.close()
    return seconds


def _check_of(leaf: bytes, network_id: bytes, keys: dict[bytes, PublicKey]) -> tuple[bytes, bytes] | None:
    """The one signature of a signer's batch; None for the few entries of the founding's supervisors."""
    read = decode_entry_leaf(leaf)
    key = keys.get(read.signatures[0].key_id)
    if key is None:
        return None
    return read.signatures[0].signature + preimage(Purpose.ENTRY, network_id, key.key_id, read.signed), key.key
