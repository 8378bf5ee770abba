"""Which transactions may stand in one block, before any rule of the ledger is asked."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.block import MAX_BLOCK_ENTRIES
from ledger.wire import MAX_LEAF_BYTES


def tx_bytes(tx: bytes) -> int:
    """What the engine counts for a transaction: a field of a protobuf message."""
    length = len(tx)
    return 1 + max(1, (length.bit_length() + 6) // 7) + length


def fitting(txs: Sequence[bytes], max_bytes: int) -> tuple[bytes, ...]:
    """In order, each once, what is not too large and fits into `max_bytes` as the engine counts."""
    kept: list[bytes] = []
    seen, left = set[bytes](), max_bytes
    for tx in txs:
        if len(kept) < MAX_BLOCK_ENTRIES and len(tx) <= MAX_LEAF_BYTES and tx not in seen and tx_bytes(tx) <= left:
            kept.append(tx)
            seen.add(tx)
            left -= tx_bytes(tx)
    return tuple(kept)


def has_garbage(txs: Sequence[bytes]) -> bool:
    """What no correct proposer sends: too many, one too large, or one twice."""
    if len(txs) > MAX_BLOCK_ENTRIES:
        return True
    return any(len(tx) > MAX_LEAF_BYTES for tx in txs) or len(set(txs)) != len(txs)
