"""A small network's log keys, cosigner keys, policy and notes, all from fixed seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from keys.public import SUITE_ED25519, SUITE_MLDSA44
from keys.signing import SoftwareSigner
from ledger.checkpoint import Checkpoint, LogKey, make_note, origin_of, sign_checkpoint
from ledger.cosignature import CosignerKey, cosign, cosigner_name
from ledger.merkle import Tree, leaf_hash
from ledger.note import NoteSignature, SignedNote
from ledger.policy import Policy, build_policy, parse_policy
from ledger.proof import ItemProof, TlogProof, batch_tree, item_leaf, make_item_proof
from protos import canonical, ledger_pb2

COSIGNED_AT = 1_790_000_000


def seed(text: str) -> bytes:
    """32 bytes that everybody can compute."""
    return sha256(text.encode()).digest()


@dataclass(frozen=True)
class Witnesses:
    """The keys of `validators` and `missions` (post codes), and what they sign."""

    validators: tuple[str, ...] = ("DHA",)
    missions: tuple[str, ...] = ("DEL", "LON", "WAS")
    mission_quorum: int = 3

    @property
    def network_id(self) -> bytes:
        return seed("network")

    @property
    def origin(self) -> str:
        return origin_of("dutabarta.example", self.network_id)

    @cached_property
    def cosigners(self) -> dict[str, SoftwareSigner]:
        posts = (*self.validators, *self.missions)
        return {code: SoftwareSigner.from_secret(SUITE_MLDSA44, seed(f"cosigner {code}")) for code in posts}

    def log_signer(self, code: str) -> SoftwareSigner:
        return SoftwareSigner.from_secret(SUITE_ED25519, seed(f"log {code}"))

    def log_key(self, code: str) -> LogKey:
        return LogKey(self.origin, self.log_signer(code).public_key.key)

    def cosigner_key(self, code: str) -> CosignerKey:
        return CosignerKey(cosigner_name(self.origin, code), self.cosigners[code].public_key.key)

    @cached_property
    def policy_text(self) -> str:
        return build_policy(
            [self.log_key(code) for code in self.validators],
            {code: self.cosigner_key(code) for code in self.validators},
            {code: self.cosigner_key(code) for code in self.missions},
            self.mission_quorum,
        )

    @cached_property
    def policy(self) -> Policy:
        return parse_policy(self.policy_text)

    def checkpoint(self, tree: Tree) -> Checkpoint:
        return Checkpoint(self.origin, tree.size, tree.root())

    def log_line(self, code: str, checkpoint: Checkpoint) -> NoteSignature:
        return sign_checkpoint(self.log_signer(code), checkpoint)

    def cosignature(self, code: str, checkpoint: Checkpoint, at: int = COSIGNED_AT) -> NoteSignature:
        return cosign(self.cosigners[code], cosigner_name(self.origin, code), checkpoint, at)

    def note(self, checkpoint: Checkpoint, logs: Sequence[str] = ("DHA",), posts: Sequence[str] = ()) -> SignedNote:
        """The checkpoint signed by these logs and cosigned by these posts (default: all)."""
        lines = [self.log_line(code, checkpoint) for code in logs]
        lines += [self.cosignature(code, checkpoint) for code in posts or self.cosigners]
        return make_note(checkpoint, *lines)


@dataclass(frozen=True)
class AnchoredItem:
    """One cable of DEL in a batch of 64, the batch entry as leaf 5 of a log of 7, and everything to prove it."""

    witnesses: Witnesses
    index: int = 7
    count: int = 64

    @property
    def item_hash(self) -> bytes:
        return seed(f"item {self.index}")

    @cached_property
    def batch(self) -> Tree:
        def leaves() -> Iterator[bytes]:
            for at in range(self.count):
                yield item_leaf(self.witnesses.network_id, "DEL", "cable", seed(f"salt {at}"), seed(f"item {at}"))

        return batch_tree(leaves())

    @cached_property
    def entry(self) -> bytes:
        """The leaf of the batch entry; its signature is not what these proofs check."""
        body = ledger_pb2.Batch(post="DEL", kind="confidential", root=self.batch.root(), count=self.count)
        return batch_entry(canonical.encode(body))

    @cached_property
    def tree(self) -> Tree:
        leaves = [b"leaf %d" % at for at in range(5)] + [self.entry, b"record"]
        return Tree(leaf_hash(one) for one in leaves)

    def proof(self, note: SignedNote | None = None, kind: str = "cable") -> TlogProof:
        if note is None:
            note = self.witnesses.policy.minimal(self.witnesses.note(self.witnesses.checkpoint(self.tree)))
        item = ItemProof.make(self.entry, self.batch, self.index, kind, seed(f"salt {self.index}"))
        return make_item_proof(item, 5, self.tree.inclusion(5, self.tree.size), note.encode())


def batch_entry(payload: bytes, kind: str = "batch") -> bytes:
    """The leaf of an entry of `kind` with this payload."""
    entry = canonical.encode(ledger_pb2.Entry(kind=kind, sequence=3, payload=payload))
    signature = ledger_pb2.Signature(key_id=seed("key id"), signature=bytes(64))
    return b"\x01" + canonical.encode(ledger_pb2.SignedEntry(entry=entry, signatures=[signature]))


def bit_flips(data: bytes) -> Iterator[bytes]:
    """Every variant of `data` with one bit changed."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
