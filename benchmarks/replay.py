"""Replaying a log in full, against the bare checks of the same signatures: 82 posts, a batch of each in every block.

The founding brings 82 posts with all their proofs of possession; behind it come a minute's batches after another, each
signed with Ed25519 alone. A full replay decodes, judges and applies every entry and recomputes log and state roots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from multiprocessing import get_context
from os import cpu_count
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PublicKey
from nacl.bindings import crypto_sign_open

from benchmarks.harness import Row, compare, rate_row
from keys.possession import NO_NETWORK, ProvenKey, prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44, PublicKey
from keys.purpose import Purpose, preimage
from keys.signing import DirectVerifier, SoftwareSigner
from ledger import bodies, genesis
from ledger.batch import CONFIDENTIAL
from ledger.entry import decode_entry_leaf, encode_entry, make_leaf, sign_entry
from ledger.logfile import LEAF, LogItem
from ledger.machine import Machine
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.replay import replay

FOUNDED_AT = 1_750_000_000
POSTS = 82
BLOCKS = 60
AIM = 0.8

Check = Callable[[], object]

_checks: list[Check] = []
"""What the bare workers check: they are forked after it is filled, so nothing is sent to them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A post's card, and its node's entry key."""

    card: bodies.PostAdmitted
    signer: SoftwareSigner


def rows() -> Iterator[Row]:
    nodes = [_node(number) for number in range(POSTS)]
    roots = [prove(SoftwareSigner.generate(SUITE_DUAL), "root") for _ in range(5)]
    founding = _founding(roots, nodes)
    machine = Machine.found(founding, (), DirectVerifier())
    blocks = _blocks(machine, nodes)
    items = [LogItem(LEAF, leaf) for leaf in chain(founding, *blocks)]
    _checks[:] = [*_founding_checks(roots, nodes), *_entry_checks(blocks, machine.network_id, nodes)]
    yield _row("full replay, one core", items, None, lambda: _check_part(0, 1))
    cores = cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("fork")) as pool:
        parts = [cores] * cores
        yield _row(f"full replay, {cores} cores", items, pool, lambda: list(pool.map(_check_part, range(cores), parts)))


def _row(name: str, items: Sequence[LogItem], pool: ProcessPoolExecutor | None, bare: Callable[[], object]) -> Row:
    def run() -> None:
        report = replay(items, (), executor=pool)
        if not report.ok:
            raise RuntimeError(f"the replay found {report.problems}")

    found = compare(run, bare, rounds=5)
    peer = "libsodium and OpenSSL, the same signatures"
    return rate_row(name, peer, found, items=POSTS * (BLOCKS + 1), unit="entries/s", aim=AIM)


def _check_part(part: int, parts: int) -> None:
    for check in _checks[part::parts]:
        check()


# --- a log -----------------------------------------------------------------------------------------------


def _node(number: int) -> Node:
    code = "".join(chr(65 + number // base % 26) for base in (676, 26, 1))
    signer = SoftwareSigner.generate(SUITE_ED25519)
    supervisors = tuple(
        bodies.Supervisor(token_bytes(16), prove(SoftwareSigner.generate(SUITE_DUAL), "officer")) for _ in range(2)
    )
    card = bodies.PostAdmitted(
        code=code,
        headquarters=number == 0,
        satellite=False,
        address=f"{code.lower()}.example:4443",
        entry_key=prove(signer, "entry"),
        cosigner_key=prove(SoftwareSigner.generate(SUITE_MLDSA44), "cosigner"),
        log_key=prove(SoftwareSigner.generate(SUITE_ED25519), "log"),
        consensus_key=None,
        certificate=sha256(code.encode()).digest() * 10,
        supervisors=supervisors,
    )
    return Node(card, signer)


def _founding(roots: Sequence[ProvenKey], nodes: Sequence[Node]) -> tuple[bytes, ...]:
    cards = [node.card for node in nodes]
    return genesis.build("benchmark", True, FOUNDED_AT, DEFAULT_PARAMETERS, roots, cards, [cards[0].code])


def _blocks(machine: Machine, nodes: Sequence[Node]) -> list[tuple[bytes, ...]]:
    blocks = []
    for number in range(1, BLOCKS + 1):
        done = machine.apply_block([_batch(node, number, machine.network_id) for node in nodes], FOUNDED_AT + number)
        if len(done.leaves) != len(nodes) + 1:
            raise RuntimeError(f"the machine refused its own entries: {done.results}")
        blocks.append(done.leaves)
    return blocks


def _batch(node: Node, number: int, network_id: bytes) -> bytes:
    entry = encode_entry("batch", number, bodies.Batch(node.card.code, CONFIDENTIAL, token_bytes(32), 64))
    return make_leaf(entry, [sign_entry(entry, node.signer, network_id, Purpose.ENTRY)])


# --- its signatures, checked by the libraries alone --------------------------------------------------------


def _founding_checks(roots: Sequence[ProvenKey], nodes: Sequence[Node]) -> Iterator[Check]:
    for root in roots:
        yield from _possession(root, b"root")
    for card in (node.card for node in nodes):
        yield from _possession(card.entry_key, b"entry")
        yield from _possession(card.cosigner_key, b"cosigner")
        for supervisor in card.supervisors:
            yield from _possession(supervisor.key, b"officer")
        if card.log_key is not None:
            yield from _possession(card.log_key, b"log")


def _possession(proven: ProvenKey, role: bytes) -> Iterator[Check]:
    message = preimage(Purpose.POSSESSION, NO_NETWORK, proven.key.key_id, role)
    return _library_checks(proven.key, message, proven.possession)


def _entry_checks(blocks: Sequence[Sequence[bytes]], network_id: bytes, nodes: Sequence[Node]) -> Iterator[Check]:
    keys = {node.signer.public_key.key_id: node.signer.public_key for node in nodes}
    for leaf in chain.from_iterable(leaves[:-1] for leaves in blocks):
        entry = decode_entry_leaf(leaf)
        for one in entry.signatures:
            message = preimage(Purpose.ENTRY, network_id, one.key_id, entry.signed)
            yield from _library_checks(keys[one.key_id], message, one.signature)


def _library_checks(key: PublicKey, message: bytes, signature: bytes) -> Iterator[Check]:
    if key.suite == SUITE_MLDSA44:
        mldsa44 = MLDSA44PublicKey.from_public_bytes(key.key)
        yield lambda: mldsa44.verify(signature, message)
        return
    signed, ed25519 = signature[:64] + message, key.key[:32]
    yield lambda: crypto_sign_open(signed, ed25519)
    if key.suite == SUITE_DUAL:
        mldsa65 = MLDSA65PublicKey.from_public_bytes(key.key[32:])
        yield lambda: mldsa65.verify(signature[64:], message)
