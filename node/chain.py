"""The node's own copy of the ledger as its state machines see it: what is durable, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ledger.block import decode_record, is_record
from ledger.checkpoint import Checkpoint
from ledger.cosignature import CosignerKey, cosigner_name, verify_cosignature
from ledger.machine import Machine
from ledger.note import NoteSignature
from ledger.state import State
from protos.errors import Refused, Unavailable


class Log(Protocol):
    """The stored log."""

    def leaves(self, start: int, end: int) -> Iterable[bytes]:
        """The leaf bytes of [start, end), read from the store."""


class Chain:
    """The machine after the last durable block, and the stored leaves below it."""

    __slots__ = ("log", "machine")

    def __init__(self, machine: Machine, log: Log) -> None:
        self.machine = machine
        self.log = log

    @property
    def size(self) -> int:
        """The log size in leaves."""
        return self.machine.size

    def checkpoint(self, size: int) -> Checkpoint:
        """The own checkpoint at `size`."""
        return Checkpoint(self.machine.origin, size, self.machine.tree.root(size))

    def state_at(self, size: int) -> State:
        """The state at `size`; the newest one if the machine no longer keeps it (only after a start far behind)."""
        try:
            return self.machine.state_at(size)
        except Unavailable:
            return self.machine.state

    def is_block_end(self, size: int) -> bool:
        """Whether the log has a block that ends at `size`."""
        return 0 < size <= self.size and (self.machine.has_settled(size) or is_record(self._last_leaf(size)))

    def time_at(self, size: int) -> int:
        """The time of the block that ends at `size`. Raises `Refused` if none does."""
        if not self.is_block_end(size):
            raise Refused("no-block-end", f"no block ends at {size}", size=size)
        return decode_record(self._last_leaf(size)).time

    def _last_leaf(self, size: int) -> bytes:
        if self.machine.has_settled(size):
            return self.machine.settled_at(size).record
        return next(iter(self.log.leaves(size - 1, size)))


def cosigner_of(state: State, origin: str, code: str) -> CosignerKey | None:
    """The cosigner key in force of a post, or None for a post that has none or is retired."""
    post = state.post(code)
    if post is None or not post.is_active or not post.cosigner_key:
        return None
    return CosignerKey(cosigner_name(origin, code), post.cosigner_key)


def signer_of(state: State, checkpoint: Checkpoint, line: NoteSignature) -> str | None:
    """The post whose cosignature this line claims to be, or None. Raises `VerificationFailed` if it is not."""
    code = line.name.removeprefix(checkpoint.origin + "/")
    key = cosigner_of(state, checkpoint.origin, code)
    if key is None or not key.verifier.made(line):
        return None
    verify_cosignature(key, checkpoint, line)
    return code
