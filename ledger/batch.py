"""Batches: what posts do goes on the ledger only as a root over one slot's items (docs/protocol/ledger.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keys.purpose import Purpose
from ledger import bodies
from ledger.merkle import HASH_BYTES
from ledger.module import Authority, Context, Signatory
from ledger.posts import entry_key_of
from ledger.wire import CODEC
from protos.errors import Refused

CONFIDENTIAL = "confidential"
ATTESTATION = "attestation"
CONFIDENTIAL_COUNTS = (64, 256, 1024)
MAX_ATTESTATIONS = 256


class BatchModule:
    """The rules of "batch". The entry itself is the record: the state keeps nothing but the key's sequence."""

    name = "batch"
    kinds: Mapping[str, type[Any]] = {"batch": bodies.Batch}
    codec = CODEC

    def check(self, context: Context) -> Authority:
        """The post's entry key. Raises `Refused` "unknown-batch-kind", "bad-count", "bad-root"."""
        body: bodies.Batch = context.body
        if body.kind not in (CONFIDENTIAL, ATTESTATION):
            raise Refused("unknown-batch-kind", f"{body.kind!r} is no kind of batch")
        if not _is_count(body.kind, body.count):
            raise Refused("bad-count", f"a {body.kind} batch cannot hold {body.count} items", count=body.count)
        if len(body.root) != HASH_BYTES:
            raise Refused("bad-root", f"a root has {HASH_BYTES} bytes, not {len(body.root)}")
        post = context.state.active_post(body.post)
        return Authority(Signatory(entry_key_of(post), Purpose.ENTRY))

    def apply(self, context: Context) -> None:
        """Nothing: see the class."""


def _is_count(kind: str, count: int) -> bool:
    return count in CONFIDENTIAL_COUNTS if kind == CONFIDENTIAL else 1 <= count <= MAX_ATTESTATIONS
