"""What filled slots cost: every post's batch entry in every slot, at every post that follows the log."""

from __future__ import annotations

from keys.public import SIGNATURE_BYTES, SUITE_ED25519
from ledger.batch import CONFIDENTIAL, CONFIDENTIAL_COUNTS
from ledger.bodies import Batch
from ledger.entry import encode_entry, make_leaf
from ledger.merkle import HASH_BYTES
from ledger.state import State
from ledger.wire import Signature

DAY_SECONDS = 86_400
SEQUENCE = 1 << 14
"""Of some months: the number's length changes the leaf's by a byte."""


def filled_slot_bytes(state: State) -> int:
    """Bytes of batch entries in a day, about: posts in force x slots x one leaf; 0 if slots are not filled.

    They are random, so they do not compress. Block records and checkpoints come besides, and depend on the engine.
    """
    parameters = state.parameters()
    if not parameters.filled_slots:
        return 0
    posts = sum(one.is_active for one in state.posts())
    return posts * DAY_SECONDS * batch_leaf_bytes() // parameters.slot_seconds


def batch_leaf_bytes() -> int:
    """Of the entry of an ordinary slot, signed."""
    entry = encode_entry("batch", SEQUENCE, Batch("DHA", CONFIDENTIAL, bytes(HASH_BYTES), CONFIDENTIAL_COUNTS[0]))
    return len(make_leaf(entry, [Signature(bytes(32), bytes(SIGNATURE_BYTES[SUITE_ED25519]))]))
