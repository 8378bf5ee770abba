"""The shape and the hashes of a log, without its rules: the cheaper levels of a replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.block import decode_record
from ledger.checkpoint import origin_of, parse_checkpoint
from ledger.entry import decode_entry_leaf
from ledger.genesis import decode_founding_post, decode_genesis, network_id_of
from ledger.merkle import Frontier, leaf_hash, root_of
from ledger.note import SignedNote
from ledger.rules import Rules
from ledger.wire import MAX_LEAF_BYTES
from protos.errors import DutabartaError, Malformed, Refused, VerificationFailed

Report = Callable[[int, DutabartaError], None]


class Shape:
    """Takes blocks and checkpoints in order and reports what is wrong, going on after it.

    `with_hashes` compares roots; without, everything is only decoded.
    """

    def __init__(self, rules: Rules, *, with_hashes: bool, report: Report) -> None:
        self._rules = rules
        self._with_hashes = with_hashes
        self._report = report
        self._frontier = Frontier()
        self._origin = ""
        self._time = 0

    @property
    def size(self) -> int:
        """The number of leaves taken."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """The root over them."""
        return self._frontier.root()

    def take_block(self, leaves: Sequence[bytes]) -> None:
        """Check the leaves of a block, the record last."""
        start = self.size
        if start == 0:
            self._try(0, lambda: self._founding(leaves[:-1]))
        else:
            for index, leaf in enumerate(leaves[:-1], start):
                self._try(index, lambda leaf=leaf: self._entry(leaf))  # type: ignore[misc]
        self._try(start + len(leaves) - 1, lambda: self._record(leaves))
        for leaf in leaves:
            self._frontier.append(leaf_hash(leaf))

    def take_checkpoint(self, data: bytes) -> None:
        """Check a signed note that stands directly after the block that it closes."""
        self._try(self.size, lambda: self._checkpoint(data))

    def _try(self, index: int, check: Callable[[], None]) -> None:
        try:
            check()
        except DutabartaError as problem:
            self._report(index, problem)

    def _founding(self, leaves: Sequence[bytes]) -> None:
        genesis = decode_genesis(leaves[0] if leaves else b"")
        self._origin = origin_of(genesis.name, network_id_of(leaves[0]))
        self._time = genesis.founded_at
        for number, leaf in enumerate(leaves[1:], 1):
            decode_founding_post(leaf, number)
        if len(leaves) - 1 != genesis.post_count:
            raise Malformed("wrong-posts", f"the genesis names {genesis.post_count} posts, not {len(leaves) - 1}")
        if self._with_hashes and root_of(map(leaf_hash, leaves[1:])) != genesis.posts_root:
            raise VerificationFailed("wrong-posts", "the posts are not those that the genesis names")

    def _entry(self, leaf: bytes) -> None:
        if len(leaf) > MAX_LEAF_BYTES:
            raise Malformed("too-large", f"an entry has at most {MAX_LEAF_BYTES} bytes", limit=MAX_LEAF_BYTES)
        read = decode_entry_leaf(leaf)
        self._rules.decode_body(read)
        if not read.signatures:
            raise Refused("missing-signature", "the entry is not signed")

    def _record(self, leaves: Sequence[bytes]) -> None:
        record = decode_record(leaves[-1])
        if record.time < self._time:
            raise Malformed("time-goes-back", "the block's time is before that of the block before it")
        self._time = record.time
        if len(leaves) == 1 and not record.misbehaviour:
            raise Malformed("empty-block", "a block without an entry or misbehaviour has no record")

    def _checkpoint(self, data: bytes) -> None:
        checkpoint = parse_checkpoint(SignedNote.decode(data).text)
        if checkpoint.size != self.size:
            raise Malformed("misplaced-checkpoint", f"a checkpoint of size {checkpoint.size} stands at {self.size}")
        if self._with_hashes and (checkpoint.root != self.root or checkpoint.origin != self._origin):
            raise VerificationFailed("wrong-checkpoint", "the checkpoint is not of this log")
