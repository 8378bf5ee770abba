"""What a Byzantine proposer, or anybody at all, may send: transactions that must never stand on the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from ledger.block import MAX_BLOCK_ENTRIES
from ledger.wire import MAX_LEAF_BYTES

Recipe = Callable[[Random, Sequence[bytes], Sequence[bytes]], list[bytes]]


def bad_transactions(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    """Transactions of which at least one must be refused, some good ones (`txs`) among them.

    `leaves` stand on the log already.
    """
    good = random.sample(txs, random.randint(0, len(txs)))
    bad = random.choice(_RECIPES)(random, txs, leaves)
    at = random.randint(0, len(good))
    return [*good[:at], *bad, *good[at:]]


def odd_transactions(random: Random, txs: Sequence[bytes]) -> list[bytes]:
    """Some of the good ones, in any order: a block may be made of them or not."""
    return random.sample(txs, random.randint(0, len(txs)))


def _noise(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    return [random.randbytes(random.choice((1, 40, 4000)))]


def _nothing(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    return [b""]


def _too_large(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    return [b"\x01" + bytes(MAX_LEAF_BYTES)]


def _too_many(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(MAX_BLOCK_ENTRIES + 1)]


def _twice(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    one = random.choice(txs or leaves)
    return [one, one]


def _stands_already(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    return [random.choice(leaves)]


def _damaged(random: Random, txs: Sequence[bytes], leaves: Sequence[bytes]) -> list[bytes]:
    one = bytearray(random.choice(txs or leaves))
    one[random.randrange(len(one))] ^= 1 << random.randrange(8)
    return [bytes(one)]


_RECIPES: tuple[Recipe, ...] = (_noise, _nothing, _too_large, _too_many, _twice, _stands_already, _damaged)
