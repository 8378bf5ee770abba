"""Item hashes: what a post's batch on the ledger says about a cable or a receipt (docs/protocol/cable.md §9)."""

from __future__ import annotations

from hashlib import sha256


def cable_item_hash(envelope_id: bytes, body_root: bytes) -> bytes:
    """SHA-256(envelope id || body root), 32 bytes."""
    return sha256(envelope_id + body_root).digest()


def receipt_item_hash(signed_receipt: bytes) -> bytes:
    """SHA-256 of a canonical SignedReceipt, 32 bytes."""
    return sha256(signed_receipt).digest()
