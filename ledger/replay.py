"""Replaying a whole log: what an auditor does with an exported file (docs/protocol/log-file.md).

Levels, each with all before it: structure (every byte decodes, blocks are whole), hashes (posts and checkpoints meet
the leaves), signatures (every entry's, under keys found in the log), full (the machine re-executes every block, and
every checkpoint carries the quorum in force at its size).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain, compress

from keys.signing import Check, DirectVerifier, verify_many
from ledger.admission import MAX_POSTS
from ledger.block import MAX_BLOCK_ENTRIES, BadBlock, decode_record, is_record
from ledger.checkpoint import parse_checkpoint
from ledger.entry import ENTRY_PREFIX
from ledger.genesis import network_id_of
from ledger.logfile import LEAF, LogItem
from ledger.machine import LEDGER_MODULES, Machine
from ledger.module import Module
from ledger.network_policy import policy_of
from ledger.note import SignedNote
from ledger.preverify import KeyBook, PrimedVerifier
from ledger.rules import Rules
from ledger.shape import Shape
from protos.errors import DutabartaError, Malformed, VerificationFailed

MAX_PROBLEMS = 100
MAX_BLOCK_LEAVES = max(MAX_BLOCK_ENTRIES, MAX_POSTS + 1) + 1

_WINDOW_LEAVES = 2048
_TASK_CHECKS = 256
_WINDOWS_AHEAD = 3


class Level(IntEnum):
    """How much a replay checks."""

    STRUCTURE = 1
    HASHES = 2
    SIGNATURES = 3
    FULL = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a log index, as the error that names it."""

    index: int
    code: str
    text: str
    params: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Offence:
    """What the consensus engine proved against a validator; `index` is that of the block record."""

    index: int
    post: str
    offence: str
    height: int
    time: int


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. `entries` counts signed entries; `size` and `root` are those of the leaves that it took.

    `offences` are those of validators that blocks record, the first 100: the ledger is whole all the same.
    """

    ok: bool
    level: Level
    entries: int
    size: int
    root: bytes
    problems: tuple[Problem, ...]
    offences: tuple[Offence, ...] = ()


def replay(
    items: Iterable[LogItem], modules: Sequence[Module], level: Level = Level.FULL, executor: Executor | None = None
) -> ReplayReport:
    """Replay a log and report; nothing that a log holds makes it raise.

    `modules` are those beside the ledger's own. Signatures are checked a window of some 2,000 leaves at a time, before
    the machine takes it: by the executor, some windows ahead, or else here.
    """
    run = _Run(modules, level, executor)
    ahead: deque[_Window] = deque()
    unreadable: DutabartaError | None = None
    try:
        for parts in _windows(_parts(items)):
            ahead.append(run.prepare(parts))
            if len(ahead) > _WINDOWS_AHEAD:
                run.take(ahead.popleft())
    except DutabartaError as problem:
        unreadable = problem
    while ahead:
        run.take(ahead.popleft())
    return run.finish(unreadable)


@dataclass(frozen=True, slots=True)
class _Block:
    """The leaves of one block, its record last."""

    leaves: tuple[bytes, ...]


_Part = _Block | bytes  # bytes: a checkpoint


_Task = tuple[list[Check], Future[list[bool]] | None]


@dataclass(frozen=True, slots=True)
class _Window:
    """Some parts of the log; the checks of each leaf's signatures, as in `Asked`; the tasks that do all checks."""

    parts: list[_Part]
    signatures: list[list[Check] | None]
    tasks: list[_Task]


class _Run:
    """One replay: takes windows in order."""

    def __init__(self, modules: Sequence[Module], level: Level, executor: Executor | None) -> None:
        rules = Rules((*LEDGER_MODULES, *modules))
        self._modules = modules
        self._level = level
        self._executor = executor
        self._book = KeyBook(rules)
        self._network_id: bytes | None = None
        self._verifier = PrimedVerifier(DirectVerifier())
        self._shape = Shape(rules, with_hashes=level >= Level.HASHES, report=self._report)
        self._machine: Machine | None = None
        self._problems: list[Problem] = []
        self._offences: list[Offence] = []
        self._entries = 0
        self._is_broken = False

    def prepare(self, parts: list[_Part]) -> _Window:
        """Find out which checks a window asks for, and hand them to the executor."""
        leaves = [leaf for part in parts if isinstance(part, _Block) for leaf in part.leaves]
        if self._network_id is None and leaves:
            self._network_id = network_id_of(leaves[0])
        if self._level < Level.SIGNATURES or self._network_id is None:
            return _Window(parts, [], [])
        asked = [self._book.asked(self._network_id, leaf) for leaf in leaves]
        checks = [check for one in asked for check in chain(one.signatures or (), one.proofs)]
        chunks = [checks[at : at + _TASK_CHECKS] for at in range(0, len(checks), _TASK_CHECKS)]
        return _Window(parts, [one.signatures for one in asked], [self._task(chunk) for chunk in chunks])

    def _task(self, checks: list[Check]) -> _Task:
        return checks, None if self._executor is None else self._executor.submit(verify_many, checks)

    def take(self, window: _Window) -> None:
        """Check a window. After a block that the machine refuses nothing more can be judged."""
        self._take_signatures(window)
        for part in window.parts:
            if self._is_broken:
                return
            if isinstance(part, _Block):
                self._take_block(part.leaves)
            elif self._level == Level.FULL:
                self._take_checkpoint(part)
            else:
                self._shape.take_checkpoint(part)

    def finish(self, unreadable: DutabartaError | None) -> ReplayReport:
        """The report."""
        log: Machine | Shape = self._machine or self._shape
        if unreadable is not None and not self._is_broken:
            self._report(log.size, unreadable)
        elif log.size == 0 and not self._problems:
            self._report(0, Malformed("empty-log", "the log has no founding block"))
        problems = tuple(self._problems)
        return ReplayReport(
            not problems, self._level, self._entries, log.size, log.root, problems, tuple(self._offences)
        )

    def _take_signatures(self, window: _Window) -> None:
        results = ((checks, future.result() if future else verify_many(checks)) for checks, future in window.tasks)
        held = chain.from_iterable(compress(checks, holds) for checks, holds in results)
        if self._level == Level.FULL:
            self._verifier.prime(held)
            return
        known = set(held)
        for index, signatures in enumerate(window.signatures, self._shape.size):
            if signatures is None or not known.issuperset(signatures):
                text = "a signature does not hold, or its key is not in the log"
                self._report(index, VerificationFailed("bad-signature", text))

    def _take_block(self, leaves: tuple[bytes, ...]) -> None:
        if self._level < Level.FULL:
            self._shape.take_block(leaves)
        elif not self._execute(leaves):
            return
        self._entries += sum(leaf[:1] == ENTRY_PREFIX for leaf in leaves)
        self._note_offences(leaves[-1])

    def _note_offences(self, record: bytes) -> None:
        if len(self._offences) >= MAX_PROBLEMS:
            return
        index = (self._machine or self._shape).size - 1
        with suppress(DutabartaError):  # at the lower levels a record that does not decode is a problem already
            found = decode_record(record).misbehaviour
            self._offences += [Offence(index, one.validator, one.offence, one.height, one.time) for one in found]

    def _execute(self, leaves: tuple[bytes, ...]) -> bool:
        try:
            if self._machine is None:
                self._machine = Machine.found(leaves, self._modules, self._verifier)
            else:
                self._machine.replay_block(leaves)
        except DutabartaError as problem:
            self._is_broken = True
            self._report(problem.index if isinstance(problem, BadBlock) else 0, problem)
        return not self._is_broken

    def _take_checkpoint(self, data: bytes) -> None:
        machine = self._machine
        if machine is None:
            self._report(0, Malformed("misplaced-checkpoint", "a checkpoint stands before the founding block"))
            return
        try:
            checkpoint = parse_checkpoint(SignedNote.decode(data).text)
            if checkpoint.size != machine.size:
                text = f"a checkpoint of size {checkpoint.size} stands at {machine.size}"
                raise Malformed("misplaced-checkpoint", text)
            if checkpoint.root != machine.root or checkpoint.origin != machine.origin:
                raise VerificationFailed("wrong-checkpoint", "the checkpoint is not of this log")
            policy_of(machine.state, machine.origin).verify(data)
        except DutabartaError as problem:
            self._report(machine.size, problem)

    def _report(self, index: int, problem: DutabartaError) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(index, problem.code, problem.text, problem.params))


def _parts(items: Iterable[LogItem]) -> Iterator[_Part]:
    """Whole blocks and checkpoints. Raises `Malformed` for a block that is too long or does not end."""
    leaves: list[bytes] = []
    for item in items:
        if item.kind != LEAF:
            if leaves:
                raise Malformed("misplaced-checkpoint", "a checkpoint stands within a block")
            yield item.data
            continue
        leaves.append(item.data)
        if is_record(item.data):
            yield _Block(tuple(leaves))
            leaves = []
        elif len(leaves) >= MAX_BLOCK_LEAVES:
            raise Malformed("long-block", f"a block has at most {MAX_BLOCK_LEAVES} leaves")
    if leaves:
        raise Malformed("unfinished-block", "the log ends within a block")


def _windows(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    window: list[_Part] = []
    count = 0
    try:
        for part in parts:
            window.append(part)
            count += len(part.leaves) if isinstance(part, _Block) else 1
            if count >= _WINDOW_LEAVES:
                yield window
                window, count = [], 0
    except DutabartaError:
        if window:
            yield window
        raise
    if window:
        yield window
