"""Bytes on the wire: a cable of 1 KB of real text, item by item, and what follows it.

Counted from the very messages that the nodes exchange; nothing is timed. The limit of a cable is what its primitives
make: the compressed text, one dual signature, the terminal's signature, and one HPKE wrap for each terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

from google.protobuf.message import Message
from zstandard import compress

from benchmarks.cable import AWAY, HOME, NETWORK_ID, SIZE, Network, Seat, recipient_of, seal_text
from benchmarks.harness import Row, count_row
from crypto_msg.content import DUAL_BYTES
from crypto_msg.envelope import encode_head, read_outer
from crypto_msg.receipt import ReceiptKind, make_receipt, seal_receipt
from crypto_msg.seal import Sealed
from crypto_msg.segments import ContentKeys, open_body
from crypto_msg.wire import Head, Receipt
from crypto_msg.wraps import SEALED_WRAP_BYTES, split_head
from keys.prekey import OVERHEAD_BYTES
from keys.public import SIGNATURE_BYTES, SUITE_ED25519, SUITE_MLDSA44
from keys.purpose import Purpose
from keys.signing import SoftwareSigner
from ledger import bodies
from ledger.batch import CONFIDENTIAL
from ledger.checkpoint import Checkpoint, make_note, origin_of, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.entry import encode_entry, encode_leaf, make_leaf, sign_entry
from ledger.merkle import Tree
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.proof import ItemProof, batch_tree, item_leaf, make_item_proof
from ledger.wire import BlockRecord
from node.courier import PART_BYTES, ItemKind, Verdict
from node.shell.frames import block_frames, note_frame
from node.shell.itemchecks import envelope_from, make_item, write_item
from node.store.log import StoredBlock
from protos import node_pb2 as pb

TEXT_BYTES = 1024
CABLES = Path(__file__).parents[1] / "cli" / "data" / "demo_cables.jsonl"
TERMINALS_OF_POST = 3
LOG_SIZE = 1 << 20
SLOT_ITEMS = 64
POSTS = 82
VALIDATORS = 7
NOW = 1_795_392_000

CARRIAGE_BYTES = 5 + 9 + 5 + 1 + 16
"""Of every message on a stream: gRPC prefix; HTTP/2 frame header; TLS 1.3 record header, content type and tag."""


def rows() -> Iterator[Row]:
    network = Network()
    sender, reader = network.add(HOME), network.add(AWAY)
    for count in (1, 3, 12):
        yield from _cable(sender, reader, count)
    yield from _two_officers(network.add(HOME), sender, reader)
    yield from _receipts(reader)
    yield from _ledger()


def _row(name: str, frames: Sequence[Message], limit: int, peer: str) -> Row:
    return count_row(name, sum(CARRIAGE_BYTES + one.ByteSize() for one in frames), limit, peer)


# --- a cable ---------------------------------------------------------------------------------------------


def _cable(sender: Seat, reader: Seat, count: int) -> Iterator[Row]:
    """One cable to `count` terminals, three of a post: all that travels to and from those posts until it is stored."""
    ids = sorted(sha256(b"terminal %d" % number).digest() for number in range(count))
    groups = [ids[at : at + TERMINALS_OF_POST] for at in range(0, count, TERMINALS_OF_POST)]
    recipients = [recipient_of(reader, reader.prekey, one) for one in (*ids, sender.terminal.terminal_id)]
    sealed = seal_text(sender, recipients, real_text())
    heads = [split_head(sealed.head, group) for group in groups]
    items = _items_of(sealed, heads)
    name = f"1 KB cable: terminals {count}, posts {len(groups)}"
    text = len(compress(real_text().encode()))
    limit = len(groups) * (text + DUAL_BYTES + SIGNATURE_BYTES[SUITE_ED25519]) + count * SEALED_WRAP_BYTES
    yield count_row(name, sum(items.values()), limit, "zstd of the text, signatures, wraps")
    for item, size in items.items():
        yield count_row(f"  {item}", size)


def _two_officers(drafter: Seat, sender: Seat, reader: Seat) -> Iterator[Row]:
    """The same to one terminal, drafted by one officer and released by another."""
    ids = [reader.terminal.terminal_id]
    recipients = [recipient_of(reader, reader.prekey, one) for one in (*ids, sender.terminal.terminal_id)]
    sealed = seal_text(sender, recipients, real_text(), drafter)
    items = _items_of(sealed, [split_head(sealed.head, ids)])
    yield count_row("1 KB by two officers to 1 terminal", sum(items.values()), 10_000, "the aim")


def _items_of(sealed: Sealed, heads: Sequence[Head]) -> dict[str, int]:
    """Where the bytes of a cable to some posts are."""
    body, posts = sealed.envelope.body, len(heads)
    stream = open_body(ContentKeys.from_cek(sealed.cek).body_key, sealed.head.envelope_id, body)
    compressed = int.from_bytes(stream[:4], "big")
    wraps = [placed for head in heads for placed in head.wraps]
    frames = [frame for head in heads for frame in _hop(sealed, head)]
    items = {
        "text and its header, compressed": posts * compressed,
        "releaser's dual signature": posts * DUAL_BYTES,
        "padding": posts * (len(stream) - 4 - compressed - DUAL_BYTES),
        "length and segment tags": posts * (4 + len(body) - len(stream)),
        "outer: ids, sizes, commitment": sum(len(head.outer) for head in heads),
        "roots and terminal's signature": sum(64 + len(head.signature) for head in heads),
        "wraps": sum(len(one.wrap.sealed) for one in wraps),
        "their terminal ids": sum(len(one.wrap.terminal_id) for one in wraps),
        "their paths": sum(len(step) for one in wraps for step in one.path),
    }
    items["offer, parts, answers"] = sum(frame.ByteSize() for frame in frames) - sum(items.values())
    items["framing: gRPC, HTTP/2, TLS"] = len(frames) * CARRIAGE_BYTES
    return items


def _hop(sealed: Sealed, head: Head) -> list[Message]:
    """Every frame, in both directions, that hands an envelope to the next node."""
    body, envelope = sealed.envelope.body, envelope_from(head, read_outer(head))
    item = make_item(ItemKind.ENVELOPE, AWAY, envelope, encode_head(head), HOME, SIZE, len(body))
    item_id = item.parcel.item_id
    frames: list[Message] = [pb.CarryFrame(offer=write_item(item)), _answer(item_id, Verdict.WANT, 0)]
    for at in range(0, len(body), PART_BYTES):
        data = body[at : at + PART_BYTES]
        end = at + len(data)
        frames.append(pb.CarryFrame(part=pb.Part(item_id=item_id, offset=at, data=bytes(data))))
        frames.append(_answer(item_id, Verdict.STORED if end == len(body) else Verdict.WANT, end))
    return frames


def _answer(item_id: bytes, verdict: Verdict, offset: int) -> Message:
    return pb.CarryFrame(answer=pb.Answer(item_id=item_id, verdict=verdict, offset=offset))


def real_text() -> str:
    """1 KB of real cables."""
    texts = [json.loads(line)["text"] for line in CABLES.read_text(encoding="utf-8").splitlines()]
    return " ".join(texts).encode()[:TEXT_BYTES].decode(errors="ignore")


# --- receipts --------------------------------------------------------------------------------------------


def _receipts(reader: Seat) -> Iterator[Row]:
    least = 3 * 32 + SIGNATURE_BYTES[SUITE_ED25519]
    delivered = _small(ItemKind.DELIVERED, _receipt(reader, ReceiptKind.DELIVERED))
    yield _row("receipt DELIVERED", delivered, least, "what it is about: three hashes, a signature")
    bundle = recipient_of(reader, reader.prekey, reader.terminal.terminal_id).bundle
    if bundle is None:
        raise RuntimeError("the reader has no bundle")
    sealed = _small(ItemKind.SEALED_RECEIPT, seal_receipt(_receipt(reader, ReceiptKind.READ), bundle))
    yield _row("receipt READ or ACKNOWLEDGED", sealed, least + OVERHEAD_BYTES, "the same, sealed by HPKE")


def _receipt(reader: Seat, kind: ReceiptKind) -> bytes:
    hashes = [token_bytes(32) for _ in range(4)]
    receipt = Receipt(
        kind, hashes[0], hashes[1], hashes[2], AWAY, reader.terminal.terminal_id, LOG_SIZE, hashes[3], NOW
    )
    return make_receipt(receipt, NETWORK_ID, reader.terminal_signer)


def _small(kind: ItemKind, content: bytes) -> list[Message]:
    """An item without a body: an offer, and the answer that it is stored."""
    message = pb.Item(
        item_id=token_bytes(32),
        kind=kind,
        origin=AWAY,
        destination=HOME,
        precedence=1,
        head=content,
        envelope_id=token_bytes(32),
    )
    return [pb.CarryFrame(offer=message), _answer(message.item_id, Verdict.STORED, 0)]


# --- the ledger ------------------------------------------------------------------------------------------


def _ledger() -> Iterator[Row]:
    signature = SIGNATURE_BYTES[SUITE_ED25519]
    leaves = [_batch() for _ in range(POSTS)]
    yield _row("ledger entry: a slot's batch", [pb.EntryBytes(leaf=leaves[0])], 32 + signature, "root and signature")
    note = _note()
    proof = _small(ItemKind.PROOF, _item_proof(leaves[0], note))
    cosignatures = (1 + DEFAULT_PARAMETERS.mission_quorum) * SIGNATURE_BYTES[SUITE_MLDSA44]
    least = cosignatures + signature + 32 * (6 + 20)
    yield _row("item proof, as it follows a cable", proof, least, "the quorum's signatures, two paths")
    record = encode_leaf(BlockRecord(NOW, (), token_bytes(32)))
    block = list(block_frames(StoredBlock(LOG_SIZE - POSTS - 1, (*leaves, record), token_bytes(32))))
    least = POSTS * (32 + signature) + 2 * 32
    yield _row(f"follower, a block of {POSTS} batches", block, least, "roots and signatures")
    one = list(block_frames(StoredBlock(LOG_SIZE - 2, (leaves[0], record), token_bytes(32))))
    yield _row("follower, a block of one batch", one, 3 * 32 + signature, "roots and signature")
    yield _row("follower, a checkpoint", [note_frame(note)], cosignatures + signature + 32, "the quorum's signatures")
    slot = [*block, *_finality(), pb.EntryBytes(leaf=leaves[0])]
    day = sum(CARRIAGE_BYTES + one.ByteSize() for one in slot) * 86_400 // DEFAULT_PARAMETERS.slot_seconds
    name = f"follower's day: {POSTS} posts, {VALIDATORS} validators, filled slots"
    yield count_row(name, day, unit="bytes/day")


def _finality() -> list[Message]:
    """What a slot's one block brings: checkpoints, final and under the policy, and the own line for every keeper."""
    quorum = VALIDATORS * 2 // 3 + 1
    note = _note(quorum)
    line = pb.CosignatureLine(post=HOME, size=LOG_SIZE, root=token_bytes(32), line=note.splitlines()[-1])
    both = [note_frame(note), note_frame(_note(quorum + DEFAULT_PARAMETERS.mission_quorum))]
    return [*both, *[line] * VALIDATORS]


def _batch() -> bytes:
    entry = encode_entry("batch", 10_000, bodies.Batch(HOME, CONFIDENTIAL, token_bytes(32), SLOT_ITEMS))
    signer = SoftwareSigner.generate(SUITE_ED25519)
    return make_leaf(entry, [sign_entry(entry, signer, NETWORK_ID, Purpose.ENTRY)])


def _note(cosigners: int = 1 + DEFAULT_PARAMETERS.mission_quorum) -> bytes:
    """A checkpoint with a log line and cosignatures: of a quorum under solo, the sequencer and three missions."""
    origin = origin_of("benchmark", NETWORK_ID)
    checkpoint = Checkpoint(origin, LOG_SIZE, token_bytes(32))
    lines = [sign_checkpoint(SoftwareSigner.generate(SUITE_ED25519), checkpoint)]
    for number in range(cosigners):
        name = cosigner_name(origin, f"AA{chr(65 + number)}")
        lines.append(cosign(SoftwareSigner.generate(SUITE_MLDSA44), name, checkpoint, NOW))
    return make_note(checkpoint, *lines).encode()


def _item_proof(entry: bytes, note: bytes) -> bytes:
    salt, item = token_bytes(32), token_bytes(32)
    batch = batch_tree(item_leaf(NETWORK_ID, HOME, "cable", salt, item) for _ in range(SLOT_ITEMS))
    path = Tree(token_bytes(32) for _ in range(1024)).inclusion(1, 1024) * 2
    return make_item_proof(ItemProof.make(entry, batch, 5, "cable", salt), 1, path, note).encode()
