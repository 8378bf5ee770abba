"""Re-executing a log, against the bare checks of its signatures: 82 posts, a batch of each in every block."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes

from nacl.bindings import crypto_sign_open

from benchmarks.harness import Row, compare, rate_row
from keys.possession import prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.purpose import Purpose, preimage
from keys.signing import DirectVerifier, SoftwareSigner
from ledger import bodies, genesis
from ledger.batch import CONFIDENTIAL
from ledger.entry import decode_entry_leaf, encode_entry, make_leaf, sign_entry
from ledger.machine import Machine
from ledger.parameters import DEFAULT_PARAMETERS

FOUNDED_AT = 1_750_000_000
POSTS = 82
BLOCKS = 12
AIM = 0.8


@dataclass(frozen=True, slots=True)
class Node:
    """A post's card and its node's entry key."""

    card: bodies.PostAdmitted
    signer: SoftwareSigner


def rows() -> Iterator[Row]:
    nodes = [_node(number) for number in range(POSTS)]
    machine = _found(nodes)
    blocks = _blocks(machine.fork(), nodes)
    checks = [check for leaves in blocks for leaf in leaves[:-1] for check in [_bare_check(leaf, machine, nodes)]]

    def replay() -> None:
        copy = machine.fork()
        for leaves in blocks:
            copy.replay_block(leaves)

    def bare() -> None:
        for signed, key in checks:
            crypto_sign_open(signed, key)

    gc.collect()
    found = compare(replay, bare, rounds=9)
    yield rate_row(
        "replay of batch entries, one core",
        "libsodium, the same signatures",
        found,
        items=len(checks),
        unit="entries/s",
        aim=AIM,
    )


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


def _found(nodes: Sequence[Node]) -> Machine:
    roots = [prove(SoftwareSigner.generate(SUITE_DUAL), "root") for _ in range(5)]
    cards, first = [node.card for node in nodes], nodes[0].card.code
    leaves = genesis.build("benchmark", True, FOUNDED_AT, DEFAULT_PARAMETERS, roots, cards, [first])
    return Machine.found(leaves, (), DirectVerifier())


def _blocks(machine: Machine, nodes: Sequence[Node]) -> list[tuple[bytes, ...]]:
    blocks = []
    for number in range(1, BLOCKS + 1):
        entries = [_batch(node, number, machine.network_id) for node in nodes]
        done = machine.apply_block(entries, FOUNDED_AT + number)
        if len(done.leaves) != len(entries) + 1:
            raise RuntimeError(f"the machine refused its own entries: {done.results}")
        blocks.append(done.leaves)
    return blocks


def _batch(node: Node, number: int, network_id: bytes) -> bytes:
    entry = encode_entry("batch", number, bodies.Batch(node.card.code, CONFIDENTIAL, token_bytes(32), 64))
    return make_leaf(entry, [sign_entry(entry, node.signer, network_id, Purpose.ENTRY)])


def _bare_check(leaf: bytes, machine: Machine, nodes: Sequence[Node]) -> tuple[bytes, bytes]:
    """The signature with its message, and the raw key, as libsodium takes them."""
    entry = decode_entry_leaf(leaf)
    (signature,) = entry.signatures
    key = next(node.signer.public_key for node in nodes if node.signer.public_key.key_id == signature.key_id)
    message = preimage(Purpose.ENTRY, machine.network_id, key.key_id, entry.signed)
    return signature.signature + message, key.key
