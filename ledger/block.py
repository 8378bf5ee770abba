"""Blocks: the entries that were accepted together, closed by a block record (docs/protocol/ledger.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.entry import MAX_SEQUENCE, RECORD_PREFIX, decode_leaf
from ledger.names import check_code
from ledger.wire import BlockRecord, Misbehaviour
from protos.errors import DutabartaError, Malformed, VerificationFailed

ACCEPTED = "accepted"
MAX_BLOCK_ENTRIES = 4096
MAX_MISBEHAVIOUR = 256
OFFENCES = ("duplicate-vote", "light-client-attack")


class BadBlock(VerificationFailed):
    """A block of a log that these rules cannot have made. `index` is the log index of the leaf at fault."""

    def __init__(self, code: str, text: str, index: int) -> None:
        hint = "Do not rely on this log; fetch it from another post."
        super().__init__(code, text, hint=hint, index=index)
        self.index = index


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry: "accepted" and its log index, or the code of its refusal, a text, and -1."""

    code: str
    text: str
    index: int

    @property
    def is_accepted(self) -> bool:
        """Did the entry get into the log?"""
        return self.code == ACCEPTED


@dataclass(frozen=True, slots=True)
class BlockResult:
    """A result for each entry given; the leaves that the log got (none, or the accepted ones and the record).

    `size`, `root` and `state_root` are those of the log and the state after the block.
    """

    results: tuple[Result, ...]
    leaves: tuple[bytes, ...]
    size: int
    root: bytes
    state_root: bytes


def refusal(problem: DutabartaError) -> Result:
    """The result of an entry that a rule refused."""
    return Result(problem.code, problem.text, -1)


def is_record(leaf: bytes) -> bool:
    """Does this leaf close a block?"""
    return leaf[:1] == RECORD_PREFIX


def decode_record(leaf: bytes) -> BlockRecord:
    """A block record. Raises `Malformed`, also for times below 0, and misbehaviour that no engine reports."""
    record = decode_leaf(leaf)
    if not isinstance(record, BlockRecord):
        raise Malformed("not-a-record", "a block ends with a block record")
    check_misbehaviour(record.misbehaviour)
    if not 0 <= record.time <= MAX_SEQUENCE or len(record.state_root) != 32:
        raise Malformed("bad-record", "a block record has a time from 1970 on and a state root of 32 bytes")
    return record


def check_misbehaviour(misbehaviour: Sequence[Misbehaviour]) -> None:
    """Raises `Malformed("bad-misbehaviour")` unless the engine can have reported this."""
    if len(misbehaviour) > MAX_MISBEHAVIOUR:
        raise Malformed("bad-misbehaviour", f"a block reports at most {MAX_MISBEHAVIOUR} offences")
    for one in misbehaviour:
        check_code(one.validator)
        if one.offence not in OFFENCES or not 0 <= one.time <= MAX_SEQUENCE:
            raise Malformed("bad-misbehaviour", f"{one.offence!r} at {one.time} is no offence of a validator")
