"""The ledger machine: total, deterministic, without clock, file or randomness (docs/protocol/ledger.md).

Any bytes in, a named result out. Everything is verified before anything changes, and a block changes a copy that
takes the place of the state at its end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from keys.signing import Verifier
from ledger import genesis, rules, validators
from ledger.batch import BatchModule
from ledger.block import (
    ACCEPTED,
    MAX_BLOCK_ENTRIES,
    BadBlock,
    BlockResult,
    Result,
    check_misbehaviour,
    decode_record,
    refusal,
)
from ledger.checkpoint import parse_checkpoint
from ledger.entry import encode_leaf
from ledger.genesis import Founding
from ledger.governance import GovernanceModule
from ledger.merkle import Tree, leaf_hash
from ledger.module import Anchor, Module
from ledger.note import SignedNote
from ledger.posts import PostsModule
from ledger.roster import RosterModule
from ledger.rules import Place, Rules
from ledger.shifts import ShiftModule
from ledger.state import State
from ledger.wire import BlockRecord, Misbehaviour, StateProof
from protos.errors import DutabartaError, Refused, Unavailable

GOVERNANCE = GovernanceModule()
LEDGER_MODULES: tuple[Module, ...] = (GOVERNANCE, PostsModule(), RosterModule(), ShiftModule(), BatchModule())
RETAINED_BLOCKS = 256


@dataclass(frozen=True, slots=True)
class Change:
    """A link of the trust chain: the governance entry at `index`, or validators that came into force at that size."""

    index: int
    is_entry: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """The state after the block that ends at `size`, and the leaf that closed it."""

    size: int
    state: State
    record: bytes


@dataclass(slots=True)
class _Block:
    """A block in the making, on a fork of the state; `place` is where its next entry stands."""

    place: Place
    leaves: list[bytes] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def settled(self) -> State:
        """The state after the block."""
        return self.place.state.settled()


class Machine:
    """One copy of the ledger: its tree, its state, and the rules that extend them. Made by `found`.

    `time` is the time of the newest block, `blocks` how many there are, `changes` the links of the trust chain.
    """

    def __init__(self, founding: Founding, all_rules: Rules, verifier: Verifier) -> None:
        self.genesis = founding.genesis
        self.network_id = founding.network_id
        self.origin = founding.origin
        self.verifier = verifier
        self.tree = Tree()
        self.state = founding.state
        self.time = founding.genesis.founded_at
        self.blocks = 0
        self.changes: tuple[Change, ...] = ()
        self._rules = all_rules
        self._settled: OrderedDict[int, Settled] = OrderedDict()

    @classmethod
    def found(cls, leaves: Sequence[bytes], modules: Sequence[Module], verifier: Verifier) -> Self:
        """The machine after the first block: genesis, posts, record.

        `modules` are those beside the ledger's own. Raises as `genesis.found`.
        """
        machine = cls(genesis.found(leaves, verifier), Rules((*LEDGER_MODULES, *modules)), verifier)
        machine._append(leaves, machine.state, machine.time, ())
        return machine

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.tree.size

    @property
    def root(self) -> bytes:
        """The log root: the app hash."""
        return self._anchor.root

    def fork(self) -> Machine:
        """An independent copy; the states are shared, because nothing changes them."""
        other = Machine(Founding(self.network_id, self.genesis, self.state), self._rules, self.verifier)
        other.tree = self.tree.copy()
        other.time, other.blocks, other.changes = self.time, self.blocks, self.changes
        other._anchor, other._settled = self._anchor, self._settled.copy()
        return other

    # --- entries and blocks ----------------------------------------------------------------------------

    def check(self, leaf: bytes) -> str:
        """ "accepted" if the entry could stand in the next block, else the code of its refusal. Never raises."""
        return self.check_result(leaf).code

    def check_result(self, leaf: bytes) -> Result:
        """As `check`, with the text of the refusal, and the index that the entry would get."""
        place = self._begin(self.time).place
        try:
            rules.verify(self._rules.judge(leaf, place), self.network_id, self.verifier)
        except DutabartaError as problem:
            return refusal(problem)
        return Result(ACCEPTED, "", place.index)

    def apply_block(self, leaves: Sequence[bytes], time: int, misbehaviour: Sequence[Misbehaviour] = ()) -> BlockResult:
        """Take what the sequencer ordered: the accepted entries and then a block record are appended.

        `time` is POSIX seconds; block time never goes back. Without an accepted entry or misbehaviour nothing
        changes at all. Raises `Malformed` for misbehaviour that no engine reports.
        """
        check_misbehaviour(misbehaviour)
        block = self._begin(max(time, self.time))
        results = tuple(self._try(leaf, block) for leaf in leaves)
        if not block.leaves and not misbehaviour:
            return BlockResult(results, (), self.size, self.root, self.state.root)
        state = block.settled()
        record = encode_leaf(BlockRecord(block.place.time, tuple(misbehaviour), state.root))
        appended = (*block.leaves, record)
        self._append(appended, state, block.place.time, block.changes)
        return BlockResult(results, appended, self.size, self.root, state.root)

    def replay_block(self, leaves: Sequence[bytes]) -> None:
        """Take a block of the log, its record last. Raises `BadBlock` unless these rules make exactly this block."""
        record = self._read_record(leaves)
        block = self._begin(record.time)
        for leaf in leaves[:-1]:
            result = self._try(leaf, block)
            if not result.is_accepted:
                raise BadBlock(result.code, result.text, block.place.index)
        state = block.settled()
        if state.root != record.state_root:
            text = "the block record names another state root"
            raise BadBlock("wrong-state-root", text, self.size + len(leaves) - 1)
        self._append(leaves, state, record.time, block.changes)

    def _read_record(self, leaves: Sequence[bytes]) -> BlockRecord:
        last = max(self.size, self.size + len(leaves) - 1)
        try:
            record = decode_record(leaves[-1] if leaves else b"")
        except DutabartaError as problem:
            raise BadBlock(problem.code, problem.text, last) from problem
        if record.time < self.time:
            raise BadBlock("time-goes-back", "the block's time is before that of the block before it", last)
        if len(leaves) == 1 and not record.misbehaviour:
            raise BadBlock("empty-block", "a block without an entry or misbehaviour has no record", last)
        return record

    def _begin(self, time: int) -> _Block:
        block = _Block(Place(self.state.fork(), self.size, time, self.blocks, self._anchor))
        if validators.bring_into_force(block.place.state, self.blocks, self.size):
            block.changes.append(Change(self.size, is_entry=False))
        return block

    def _try(self, leaf: bytes, block: _Block) -> Result:
        try:
            if len(block.leaves) >= MAX_BLOCK_ENTRIES:
                raise Refused("block-full", f"a block has at most {MAX_BLOCK_ENTRIES} entries", hint="Send it again.")
            judged = self._rules.judge(leaf, block.place)
            rules.verify(judged, self.network_id, self.verifier)
        except DutabartaError as problem:
            return refusal(problem)
        rules.apply(judged)
        index = block.place.index
        block.place.index += 1
        block.leaves.append(leaf)
        if judged.module is GOVERNANCE:
            block.changes.append(Change(index, is_entry=True))
        return Result(ACCEPTED, "", index)

    def _append(self, leaves: Sequence[bytes], state: State, time: int, changes: Sequence[Change]) -> None:
        for leaf in leaves:
            self.tree.append(leaf_hash(leaf))
        self.state, self.time = state, time
        self.blocks += 1
        self.changes += tuple(changes)
        self._anchor = Anchor(self.tree.size, self.tree.root(), state.root)
        self._settled[self.tree.size] = Settled(self.tree.size, state, leaves[-1])
        if len(self._settled) > RETAINED_BLOCKS:
            self._settled.popitem(last=False)

    # --- what was --------------------------------------------------------------------------------------

    def state_at(self, size: int) -> State:
        """The state after `size` leaves, the end of one of the last 256 blocks. Raises `Unavailable("old-size")`."""
        return self.settled_at(size).state

    def prove_state(self, keys: Sequence[bytes], checkpoint_note: bytes) -> StateProof:
        """The values of `keys`, present or absent, under a signed checkpoint of one of the last 256 blocks.

        Raises `Malformed` for the note, `Unavailable("old-size")` if its size is none of theirs.
        """
        checkpoint = parse_checkpoint(SignedNote.decode(checkpoint_note).text)
        return self.prove_settled(self.settled_at(checkpoint.size), keys, checkpoint_note)

    def prove_settled(self, settled: Settled, keys: Sequence[bytes], checkpoint_note: bytes) -> StateProof:
        """The values of `keys` after a block of this log, however old, under a signed checkpoint that covers it."""
        size = parse_checkpoint(SignedNote.decode(checkpoint_note).text).size
        path = self.tree.inclusion(settled.size - 1, size)
        values = tuple(settled.state.prove(key) for key in keys)
        return StateProof(checkpoint_note, settled.record, path, values, settled.size - 1)

    def has_settled(self, size: int) -> bool:
        """Whether one of the last 256 blocks ends at `size`."""
        return size in self._settled

    def settled_at(self, size: int) -> Settled:
        """As `state_at`, with the block record."""
        settled = self._settled.get(size)
        if settled is None:
            hint = "Take a newer checkpoint."
            raise Unavailable("old-size", f"size {size} is no end of one of the last blocks", hint=hint, size=size)
        return settled
