"""Offline proofs: C2SP tlog-proof of an entry, and of one item in a batch entry (docs/protocol/item-proof.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Self

import cbor2

from ledger.bodies import Batch
from ledger.checkpoint import Checkpoint, parse_decimal
from ledger.entry import decode_entry_leaf
from ledger.merkle import HASH_BYTES, MAX_SIZE, Path, Tree, leaf_hash, verify_inclusion
from ledger.names import is_code
from ledger.note import MAX_NOTE_BYTES, decode_base64, encode_base64
from ledger.policy import Policy, VerifiedCheckpoint
from ledger.wire import CODEC, MAX_LEAF_BYTES
from protos.errors import Malformed, VerificationFailed

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63
MAX_EXTRA_BYTES = 40 * 1024
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 64 * 1024

BATCH_OF = {
    "cable": "confidential",
    "receipt": "confidential",
    "added-wrap": "confidential",
    "archive": "confidential",
    "hotline": "confidential",
    "attestation": "attestation",
}
"""The kind of batch in which each kind of item stands."""

_ITEM_TYPES = {"entry": bytes, "index": int, "count": int, "path": list, "kind": str, "salt": bytes}
_ITEM = b"dutabarta/v1/item\x00"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That a leaf stands at `index` under a signed checkpoint. No signature covers `extra` (empty: none)."""

    index: int
    path: Path
    checkpoint_note: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """The text of a .tlog-proof file."""
        extra = [f"extra {encode_base64(self.extra)}"] if self.extra else []
        lines = [HEADER, *extra, f"index {self.index}", *(encode_base64(one) for one in self.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint_note

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a proof, unverified. Raises `Malformed` for anything `encode` would not make."""
        if len(data) > MAX_PROOF_BYTES:
            text = f"proof of {len(data)} bytes exceeds {MAX_PROOF_BYTES}"
            raise Malformed("too-large", text, size=len(data), limit=MAX_PROOF_BYTES)
        head, blank, note = data.partition(b"\n\n")
        header, *lines = head.decode("ascii", errors="replace").split("\n")
        if header != HEADER or not blank:
            raise _malformed("a proof begins with c2sp.org/tlog-proof@v1")
        extra = decode_base64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index ") or not 0 <= len(lines) - 1 <= MAX_PATH or extra == b"":
            raise _malformed("a proof is an index line, at most 63 hashes, an empty line and a checkpoint")
        path = tuple(decode_base64(line) for line in lines[1:])
        if any(len(one) != HASH_BYTES for one in path):
            raise _malformed("a hash has 32 bytes")
        return cls(parse_decimal(lines[0].removeprefix("index ")), path, note, extra or b"")

    def verify(self, leaf: bytes, policy: Policy) -> VerifiedCheckpoint:
        """Check that the log holds these leaf bytes. Raises `Malformed` or `VerificationFailed`."""
        verified = policy.verify(self.checkpoint_note)
        checkpoint = verified.checkpoint
        verify_inclusion(leaf_hash(leaf), self.index, checkpoint.size, self.path, checkpoint.root)
        return verified


@dataclass(frozen=True, slots=True)
class ItemProof:
    """From an item to the batch entry that holds it: the `extra` of a TlogProof, as deterministic CBOR.

    entry: the entry's leaf, 0x01 || SignedEntry. index, count, path: where the item leaf stands in the batch.
    kind: a key of BATCH_OF. salt: 32 bytes.
    """

    entry: bytes
    index: int
    count: int
    path: Path
    kind: str
    salt: bytes

    @classmethod
    def make(cls, entry: bytes, batch: Tree, index: int, kind: str, salt: bytes) -> Self:
        """The proof that item `index` stands in `batch` (`batch_tree`), whose root is in the entry leaf `entry`."""
        return cls(entry, index, batch.size, batch.inclusion(index, batch.size), kind, salt)

    def encode(self) -> bytes:
        """RFC 8949 section 4.2.1 deterministic CBOR of the map of these fields."""
        return cbor2.dumps(asdict(self) | {"path": list(self.path)}, canonical=True)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read `extra`, unverified. Raises `Malformed` for anything `encode` would not make."""
        fields = _cbor_map(data)
        if {name: type(value) for name, value in fields.items()} != _ITEM_TYPES:
            raise _malformed("an item proof has the fields entry, index, count, path, kind and salt")
        proof = cls(**fields | {"path": tuple(fields["path"])})
        if any(type(one) is not bytes for one in proof.path) or not 0 <= proof.index < proof.count <= MAX_SIZE:
            raise _malformed("the path of an item proof is hashes, its index below its count")
        if proof.kind not in BATCH_OF or proof.encode() != data:
            raise _malformed("an item proof is of a known kind and deterministic CBOR")
        return proof


@dataclass(frozen=True, slots=True)
class VerifiedItem:
    """What a verified item proof says: this post anchored it, in the log of this checkpoint, seen at these times."""

    post: str
    kind: str
    checkpoint: Checkpoint
    entry_index: int
    times: dict[str, int]


def item_leaf(network_id: bytes, post: str, kind: str, salt: bytes, item_hash: bytes) -> bytes:
    """The data of an item's leaf in its batch, 32 bytes. Raises `Malformed`.

    Unambiguous: a post code is three capitals, no kind begins another, everything else has 32 bytes.
    """
    if not is_code(post) or kind not in BATCH_OF or {len(network_id), len(salt), len(item_hash)} != {32}:
        raise _malformed("an item has a network id, post code, known kind, salt and hash")
    return sha256(_ITEM + network_id + post.encode() + kind.encode() + salt + item_hash).digest()


def batch_tree(item_leaves: Iterable[bytes]) -> Tree:
    """The tree whose root and size stand in the batch entry."""
    return Tree(leaf_hash(one) for one in item_leaves)


def make_item_proof(item: ItemProof, entry_index: int, entry_path: Path, checkpoint_note: bytes) -> TlogProof:
    """The proof of an item whose batch entry stands at `entry_index` of the log, under the checkpoint."""
    return TlogProof(entry_index, entry_path, checkpoint_note, item.encode())


def verify_item(proof: TlogProof, item_hash: bytes, network_id: bytes, policy: Policy) -> VerifiedItem:
    """Check that a post of this network anchored the item. Raises `Malformed` or `VerificationFailed`.

    The entry's own signature is not checked again: no leaf enters the log without it.
    """
    # 1. The extra is an item proof in its one encoding.
    item = ItemProof.decode(proof.extra)
    # 2. Its entry is a batch of items of this kind, and of this count.
    batch = _decode_batch(item.entry)
    if batch.kind != BATCH_OF[item.kind] or batch.count != item.count:
        raise VerificationFailed("wrong-batch", f"the batch holds no item of kind {item.kind}", kind=item.kind)
    # 3. The item's leaf stands in the batch.
    leaf = item_leaf(network_id, batch.post, item.kind, item.salt, item_hash)
    verify_inclusion(leaf_hash(leaf), item.index, item.count, item.path, batch.root)
    # 4. The policy accepts the checkpoint, and the entry stands under it.
    verified = proof.verify(item.entry, policy)
    # 5. The checkpoint is of the log of this network.
    if not verified.checkpoint.origin.endswith("/" + network_id[:16].hex()):
        raise VerificationFailed("wrong-network", f"{verified.checkpoint.origin} is another network's log")
    return VerifiedItem(batch.post, item.kind, verified.checkpoint, proof.index, verified.times)


def _decode_batch(leaf: bytes) -> Batch:
    entry = decode_entry_leaf(leaf).entry
    if entry.kind != "batch":
        raise VerificationFailed("wrong-batch", f"the entry is of kind {entry.kind}, not a batch", kind=entry.kind)
    return CODEC.decode(Batch, entry.payload, limit=MAX_LEAF_BYTES)


def _cbor_map(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_EXTRA_BYTES:
        text = f"extra of {len(data)} bytes exceeds {MAX_EXTRA_BYTES}"
        raise Malformed("too-large", text, size=len(data), limit=MAX_EXTRA_BYTES)
    try:
        fields = cbor2.loads(data, semantic_decoders={}, max_depth=3, allow_indefinite=False)
    except (cbor2.CBORDecodeError, ValueError) as problem:
        raise _malformed("the extra of an item proof is CBOR") from problem
    if type(fields) is not dict:
        raise _malformed("the extra of an item proof is a map")
    return fields


def _malformed(text: str) -> Malformed:
    return Malformed("malformed", text, what="item proof")
