"""The ledger machine: total, deterministic, without clock, file or randomness (docs/protocol/ledger.md).

Any bytes in, a named result out. Everything is verified before anything changes, and a block changes a copy that
takes the place of the state at its end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from keys.signing import Verifier
from ledger import genesis, validators
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
from ledger.entering import check_new, enter_keys, verify_entering
from ledger.entry import EntryLeaf, decode_entry_leaf, encode_leaf
from ledger.genesis import Founding
from ledger.governance import GovernanceModule
from ledger.merkle import Tree, leaf_hash
from ledger.module import Anchor, Authority, Context, Module
from ledger.note import SignedNote
from ledger.posts import PostsModule
from ledger.roster import RosterModule
from ledger.state import State
from ledger.wire import MAX_LEAF_BYTES, BlockRecord, Misbehaviour, StateProof
from protos.errors import DutabartaError, Malformed, Refused, Unavailable

LEDGER_MODULES: tuple[Module, ...] = (GovernanceModule(), PostsModule(), RosterModule(), BatchModule())
RETAINED_BLOCKS = 256


@dataclass(frozen=True, slots=True)
class Settled:
    """The state after a block, and the leaf that closed it."""

    state: State
    record: bytes


@dataclass(slots=True)
class _Block:
    """A block in the making, on a fork of the state."""

    state: State
    start: Anchor
    time: int
    number: int
    leaves: list[bytes]

    @property
    def index(self) -> int:
        """The log index of the next leaf."""
        return self.start.size + len(self.leaves)


class Machine:
    """One copy of the ledger: its tree, its state, and the rules that extend them.

    `modules` are those beside the ledger's own; each entry kind belongs to one. Made by `found`.
    """

    def __init__(self, founding: Founding, modules: Sequence[Module], verifier: Verifier) -> None:
        self.genesis = founding.genesis
        self.network_id = founding.network_id
        self.origin = founding.origin
        self.verifier = verifier
        self.tree = Tree()
        self.state = founding.state
        self.time = founding.genesis.founded_at
        self.blocks = 0
        self._modules = tuple(modules)
        self._rules = rules_of(modules)
        self._settled: OrderedDict[int, Settled] = OrderedDict()

    @classmethod
    def found(cls, leaves: Sequence[bytes], modules: Sequence[Module], verifier: Verifier) -> Self:
        """The machine after the first block: genesis, posts, record. Raises as `genesis.found`."""
        machine = cls(genesis.found(leaves, verifier), modules, verifier)
        machine._swap(leaves, machine.state, machine.time)
        return machine

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.tree.size

    @property
    def root(self) -> bytes:
        """The log root: the app hash."""
        return self.tree.root()

    def fork(self) -> Machine:
        """An independent copy; the states are shared, because nothing changes them."""
        other = Machine(Founding(self.network_id, self.genesis, self.state), self._modules, self.verifier)
        other.tree = self.tree.copy()
        other.time, other.blocks = self.time, self.blocks
        other._settled = self._settled.copy()
        return other

    # --- entries -------------------------------------------------------------------------------------

    def check(self, leaf: bytes) -> str:
        """"accepted" if the entry could stand in the next block, else the code of its refusal. Never raises."""
        return self.check_result(leaf).code

    def check_result(self, leaf: bytes) -> Result:
        """As `check`, with the text of the refusal and the index that the entry would get."""
        block = self._begin(self.time)
        try:
            self._verify(*self._judge(leaf, block)[:2])
        except DutabartaError as problem:
            return refusal(problem)
        return Result(ACCEPTED, "", block.index)

    def apply_block(
        self, leaves: Sequence[bytes], time: int, misbehaviour: Sequence[Misbehaviour] = ()
    ) -> BlockResult:
        """Take what the sequencer ordered: accepted entries, then a block record, are appended.

        `time` is POSIX seconds; block time never goes back. Without an accepted entry or misbehaviour nothing
        changes at all. Raises `Malformed` for misbehaviour that no engine reports.
        """
        check_misbehaviour(misbehaviour)
        block = self._begin(max(time, self.time))
        results = tuple(self._try(leaf, block) for leaf in leaves)
        if not block.leaves and not misbehaviour:
            return BlockResult(results, (), self.size, self.root, self.state.root)
        state = block.state.settled()
        record = encode_leaf(BlockRecord(block.time, tuple(misbehaviour), state.root))
        appended = (*block.leaves, record)
        self._swap(appended, state, block.time)
        return BlockResult(results, appended, self.size, self.root, state.root)

    def replay_block(self, leaves: Sequence[bytes]) -> None:
        """Take a block of the log, its record last. Raises `BadBlock` unless these rules make exactly this block."""
        if not leaves:
            raise BadBlock("bad-block", "a block has at least its record", self.size)
        last = self.size + len(leaves) - 1
        try:
            record = decode_record(leaves[-1])
        except DutabartaError as problem:
            raise BadBlock(problem.code, problem.text, last) from problem
        if record.time < self.time or (len(leaves) == 1 and not record.misbehaviour):
            raise BadBlock("bad-block", "the block is empty, or its time goes back", last)
        block = self._begin(record.time)
        for leaf in leaves[:-1]:
            result = self._try(leaf, block)
            if not result.is_accepted:
                raise BadBlock(result.code, result.text, block.index)
        state = block.state.settled()
        if state.root != record.state_root:
            raise BadBlock("wrong-state-root", "the block record names another state root", last)
        self._swap(leaves, state, block.time)

    def _begin(self, time: int) -> _Block:
        state = self.state.fork()
        validators.bring_into_force(state, self.blocks, self.size)
        return _Block(state, Anchor(self.size, self.root, self.state.root), time, self.blocks, [])

    def _try(self, leaf: bytes, block: _Block) -> Result:
        index = block.index
        try:
            if len(block.leaves) >= MAX_BLOCK_ENTRIES:
                raise Refused("block-full", f"a block has at most {MAX_BLOCK_ENTRIES} entries", hint="Send it again.")
            read, authority, module, context = self._judge(leaf, block)
            self._verify(read, authority)
        except DutabartaError as problem:
            return refusal(problem)
        _apply(module, context, authority)
        block.leaves.append(leaf)
        return Result(ACCEPTED, "", index)

    def _judge(self, leaf: bytes, block: _Block) -> tuple[EntryLeaf, Authority, Module, Context]:
        """Everything but the signatures, the cheapest first."""
        if len(leaf) > MAX_LEAF_BYTES:
            raise Malformed("too-large", f"an entry has at most {MAX_LEAF_BYTES} bytes", limit=MAX_LEAF_BYTES)
        read = decode_entry_leaf(leaf)
        context, module = self._context(read, leaf, block)
        authority = module.check(context)
        _check_signers(read, authority)
        _check_sequence(context, authority)
        check_new(block.state, authority.entering)
        return read, authority, module, context

    def _context(self, read: EntryLeaf, leaf: bytes, block: _Block) -> tuple[Context, Module]:
        rule = self._rules.get(read.entry.kind)
        if rule is None:
            raise Refused("unknown-kind", f"no rules for entries of kind {read.entry.kind[:40]!r}")
        module, kind = rule
        context = Context(
            state=block.state,
            entry=read.entry,
            body=module.codec.decode(kind, read.entry.payload, limit=MAX_LEAF_BYTES),
            signers=tuple(one.key_id for one in read.signatures),
            leaf=leaf,
            index=block.index,
            time=block.time,
            block=block.number,
            start=block.start,
        )
        return context, module

    def _verify(self, read: EntryLeaf, authority: Authority) -> None:
        signatories = {one.key.key_id: one for one in _signatories(authority)}
        for signature in read.signatures:
            by = signatories[signature.key_id]
            self.verifier.verify(by.key, by.purpose, self.network_id, read.signed, signature.signature)
        verify_entering(authority.entering, self.verifier)

    def _swap(self, leaves: Sequence[bytes], state: State, time: int) -> None:
        for leaf in leaves:
            self.tree.append(leaf_hash(leaf))
        self.state, self.time = state, time
        self.blocks += 1
        self._settled[self.size] = Settled(state, leaves[-1])
        if len(self._settled) > RETAINED_BLOCKS:
            self._settled.popitem(last=False)

    # --- what was ------------------------------------------------------------------------------------

    def state_at(self, size: int) -> State:
        """The state after `size` leaves, the end of one of the last 256 blocks. Raises `Unavailable("old-size")`."""
        return self._settled_at(size).state

    def prove_state(self, keys: Sequence[bytes], checkpoint_note: bytes) -> StateProof:
        """The values of `keys`, present or absent, under a signed checkpoint of one of the last 256 blocks.

        Raises `Malformed` for the note, `Unavailable("old-size")` if its size is none of theirs.
        """
        checkpoint = parse_checkpoint(SignedNote.decode(checkpoint_note).text)
        settled = self._settled_at(checkpoint.size)
        path = self.tree.inclusion(checkpoint.size - 1, checkpoint.size)
        values = tuple(settled.state.prove(key) for key in keys)
        return StateProof(checkpoint_note, settled.record, path, values)

    def _settled_at(self, size: int) -> Settled:
        settled = self._settled.get(size)
        if settled is None:
            hint = "Take a newer checkpoint."
            raise Unavailable("old-size", f"size {size} is no end of one of the last blocks", hint=hint, size=size)
        return settled


def rules_of(modules: Sequence[Module]) -> dict[str, tuple[Module, type[Any]]]:
    """Each entry kind, its Module and the type of its payload; the ledger's own Modules come first."""
    rules: dict[str, tuple[Module, type[Any]]] = {}
    for module in (*LEDGER_MODULES, *modules):
        for kind, body in module.kinds.items():
            if kind in rules:
                raise ValueError(f"two modules claim entries of kind {kind}")
            rules[kind] = (module, body)
    return rules


def _signatories(authority: Authority) -> tuple[Any, ...]:
    return authority.others if authority.author is None else (authority.author, *authority.others)


def _check_signers(read: EntryLeaf, authority: Authority) -> None:
    others = sorted(one.key.key_id for one in authority.others)
    wanted = others if authority.author is None else [authority.author.key.key_id, *others]
    found = [one.key_id for one in read.signatures]
    if found == wanted:
        return
    hint = "The entry needs exactly the signatures that its kind demands."
    if set(wanted) - set(found):
        raise Refused("missing-signature", "a signature that the entry needs is missing", hint=hint)
    if set(found) - set(wanted):
        raise Refused("extra-signature", "the entry has a signature that it must not have", hint=hint)
    hint = "The author's signature stands first, the others by key id."
    raise Refused("signature-order", "the signatures are not in their one order", hint=hint)


def _check_sequence(context: Context, authority: Authority) -> None:
    if authority.author is None:
        return
    last = context.state.sequence(authority.author.key.key_id)
    if context.entry.sequence != last + 1:
        raise Refused(
            "wrong-sequence",
            f"the author's next entry is number {last + 1}, not {context.entry.sequence}",
            hint="Sign it again with the next number. A number used twice is a sign of a copied key.",
            expected=last + 1,
        )


def _apply(module: Module, context: Context, authority: Authority) -> None:
    module.apply(context)
    if authority.author is not None:
        context.state.set_sequence(authority.author.key.key_id, context.entry.sequence)
    enter_keys(context.state, authority.entering)
