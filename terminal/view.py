"""Verified state: what the ledger says, judged under the terminal's own policy and never older than what it has seen.

The node is not trusted. It can be slow or silent, but it cannot show another root for a size this terminal has
verified, nor an older state, nor a value that is not under the root. What held at an earlier size is proved under a
newest checkpoint as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.merkle import verify_consistency
from ledger.note import SignedNote
from ledger.policy import Policy
from ledger.records import Post
from ledger.state import NETWORK, State, post_key
from ledger.state_proof import ProvenState, decode_state_proof, verify_state_proof, verify_state_proof_at
from ledger.wire import StateProof
from protos.errors import Malformed, Refused, Unavailable, VerificationFailed
from terminal.desk import Desk
from terminal.folder import Folder

T = TypeVar("T")

MOVES = 20
"""How often the node may show a newer checkpoint while one question is answered."""
MAX_KEYS = 500
"""Keys in one request; the node takes 512."""
PAST_STATES = 16
"""Earlier states whose proved values are kept."""

_HINT = "Stop using this node. Keep the terminal's folder: it holds the evidence. Tell HQ by another way."


class DoubtfulNode(VerificationFailed):
    """What the node said does not hold: the node's fault, never that of the item that led to the question."""


class Moved(Exception):
    """The node answered under a newer checkpoint: the question starts again there."""


class ProvedState(State):
    """The state after `size` leaves, proved under a verified `checkpoint` of that size or a larger one.

    `state_root` and `time`, the block time, are those of its record. A value is fetched when first asked for.
    """

    __slots__ = ("_fetch", "_values", "checkpoint", "size", "state_root", "time")

    def __init__(self, proven: ProvenState, fetch: Callable[[ProvedState, list[bytes]], None]) -> None:
        super().__init__()
        self.checkpoint = proven.checkpoint
        self.size = proven.size
        self.time = proven.record.time
        self.state_root = proven.record.state_root
        self._fetch = fetch
        self._values: dict[bytes, bytes | None] = {}

    def posts(self) -> tuple[Post, ...]:
        """Every post ever admitted, by code, in one request."""
        self.prefetch(map(post_key, self.codes()))
        return super().posts()

    def get(self, key: bytes) -> bytes | None:
        """The proved value of `key`, None if its absence is proved."""
        self.prefetch([key])
        return self._values[key]

    def prefetch(self, keys: Iterable[bytes]) -> None:
        """Fetch what is not known yet in one request."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._values]
        if missing:
            self._fetch(self, missing)

    def learn(self, keys: Iterable[bytes], proven: ProvenState) -> None:
        """Take what was proved about `keys` at this size. Raises `Unavailable("not-proved")`."""
        self._values.update({key: proven.get(key) for key in keys})


class View:
    """One terminal's sight of the ledger."""

    def __init__(self, desk: Desk, policy: Policy, network_id: bytes, folder: Folder) -> None:
        self._desk = desk
        self._policy = policy
        self._origin_end = f"/{network_id[:16].hex()}"
        self._folder = folder
        note = folder.load_seen()
        self._seen = None if note is None else parse_checkpoint(SignedNote.decode(note).text)
        self._state: ProvedState | None = None
        self._past: OrderedDict[int, ProvedState] = OrderedDict()
        self._asked: dict[bytes, None] = {}

    @property
    def seen(self) -> Checkpoint | None:
        """The newest checkpoint this terminal has ever verified."""
        return self._seen

    def judge(self, question: Callable[[ProvedState], T], at_least: int = 0) -> T:
        """Answer `question` from values that all stand under one verified checkpoint of at least this size.

        `question` may run several times and changes nothing. Raises `VerificationFailed` when the node lies.
        """
        self._asked = {}
        self._advance(at_least)
        for _ in range(MOVES):
            assert self._state is not None
            try:
                return question(self._state)
            except Moved:
                continue
        raise Unavailable("unsteady", "the ledger grew faster than it could be read", hint="try again")

    def newest(self, at_least: int = 0) -> ProvedState:
        """The state at the newest checkpoint; values fetched later may raise `Moved`: use `judge` for those."""
        return self.judge(lambda state: state, at_least)

    def at(self, size: int, keys: Sequence[bytes] = ()) -> ProvedState:
        """The state after exactly `size` leaves, with `keys` fetched; the ledger may grow meanwhile.

        `Unavailable` as long as the node cannot prove it: it has not got there, says that no block ends there
        ("no-such-size"), or is making an old state again ("state-under-way"). `VerificationFailed` when it lies.
        """
        if self._seen is None or self._seen.size < size:
            self._advance(size)
        if size not in self._past:
            self._past[size] = ProvedState(self._ask([NETWORK], size, exactly=size), self._fetch_past)
            if len(self._past) > PAST_STATES:
                self._past.popitem(last=False)
        state = self._past[size]
        state.prefetch(keys)
        return state

    def size_before(self, time: int) -> int:
        """The size after the last block whose time is before `time` (POSIX seconds).

        A lying node can name an earlier block, never one of that time or later. Raises `Unavailable`
        ("before-the-ledger") if there is none.
        """
        floor = self.newest().checkpoint.size
        answer = _answered(lambda: self._desk.block_before(time, floor))
        proven = self._prove(answer, lambda proof: verify_state_proof_at(proof, self._policy, proof.index + 1))
        if proven.record.time >= time:
            raise DoubtfulNode("wrong-block", "the node names a block that is not before that time", hint=_HINT)
        return proven.size

    def contradicts(self, size: int, root: bytes) -> bool:
        """Whether a log with `root` at `size` is another one than this terminal's; False beyond what it has seen."""
        seen = self._seen
        if seen is None or size > seen.size:
            return False
        try:
            path = () if size == seen.size else self._desk.consistency(size, seen.size)
            verify_consistency(size, root, seen.size, seen.root, path)
        except (Malformed, VerificationFailed):
            return True
        return False

    def _fetch_past(self, state: ProvedState, keys: list[bytes]) -> None:
        for some in _batches(keys):
            state.learn(some, self._ask(some, state.size, exactly=state.size))

    def _fetch(self, state: ProvedState, keys: list[bytes]) -> None:
        """Ask for `keys`. If the ledger has grown, take the newer state with all keys asked so far, and start again."""
        self._asked.update(dict.fromkeys(keys))
        for some in _batches(keys):
            self._fetch_some(state, some)

    def _fetch_some(self, state: ProvedState, keys: list[bytes]) -> None:
        proven = self._ask(keys, state.size)
        if proven.checkpoint == state.checkpoint:
            state.learn(keys, proven)
            return
        self._advance(proven.checkpoint.size, list(self._asked)[:MAX_KEYS])
        raise Moved

    def _advance(self, at_least: int, keys: Sequence[bytes] = (NETWORK,)) -> None:
        proven = self._ask(keys, at_least)
        if self._state is None or self._state.checkpoint != proven.checkpoint:
            self._state = ProvedState(proven, self._fetch)
        self._state.learn(keys, proven)

    def _ask(self, keys: Sequence[bytes], at_least: int, exactly: int = 0) -> ProvenState:
        """One answer, proved under the policy and consistent with what was seen: current, or after `exactly` leaves."""
        floor = max(at_least, self._seen.size if self._seen else 0)
        answer = _answered(lambda: self._desk.state(keys, floor, exactly))

        def verify(proof: StateProof) -> ProvenState:
            if exactly:
                return verify_state_proof_at(proof, self._policy, exactly)
            return verify_state_proof(proof, self._policy)

        proven = self._prove(answer, verify)
        if proven.checkpoint.size < at_least:
            raise Unavailable("not-yet", f"the node has not reached size {at_least}", hint="wait a moment")
        return proven

    def _prove(self, answer: bytes, verify: Callable[[StateProof], ProvenState]) -> ProvenState:
        """What the answer proves, its checkpoint accepted. Raises `DoubtfulNode`."""
        try:
            proof = decode_state_proof(answer)
            proven = verify(proof)
            self._accept(proven.checkpoint, proof.checkpoint)
        except (Malformed, VerificationFailed) as problem:
            raise DoubtfulNode(problem.code, problem.text, hint=problem.hint, **problem.params) from problem
        return proven

    def _accept(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Refuse what goes back or sideways from the newest checkpoint seen; else remember it durably."""
        if not checkpoint.origin.endswith(self._origin_end):
            raise VerificationFailed("wrong-network", f"{checkpoint.origin} is another network's log", hint=_HINT)
        seen = self._seen
        if seen == checkpoint:
            return
        if seen is not None and checkpoint.size < seen.size:
            raise VerificationFailed(
                "older-state",
                f"the node answers as of size {checkpoint.size}; this terminal has seen {seen.size}",
                hint="the node may be catching up; if it stays so, tell HQ by another way",
                size=checkpoint.size,
                seen=seen.size,
            )
        if seen is not None:
            self._check_consistent(seen, checkpoint, note)
        self._folder.save_seen(note)
        self._seen = checkpoint

    def _check_consistent(self, seen: Checkpoint, checkpoint: Checkpoint, note: bytes) -> None:
        try:
            same = seen.size == checkpoint.size
            path = () if same else self._desk.consistency(seen.size, checkpoint.size)
            verify_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, path)
        except VerificationFailed as problem:
            self._folder.keep_evidence(checkpoint.size, note)
            raise VerificationFailed(
                "split-view",
                f"the node shows a log of size {checkpoint.size} that does not continue the one seen at {seen.size}",
                hint=_HINT,
                size=checkpoint.size,
                seen=seen.size,
            ) from problem


def _answered(ask: Callable[[], bytes]) -> bytes:
    """What the node says. That it refuses to answer proves nothing about what is to be judged."""
    try:
        return ask()
    except Refused as problem:
        raise Unavailable(problem.code, problem.text, hint=problem.hint, **problem.params) from problem


def _batches(keys: list[bytes]) -> Iterable[list[bytes]]:
    """As many as one request takes."""
    return (keys[start : start + MAX_KEYS] for start in range(0, len(keys), MAX_KEYS))


def check_fresh(state: ProvedState, now: int, accept_stale: bool) -> None:
    """Raise `Refused("stale-state")` if the newest block is older than `stale_seconds`, unless the officer agrees."""
    age = now - state.time
    if age > state.parameters().stale_seconds and not accept_stale:
        raise Refused(
            "stale-state",
            f"the newest state of the ledger is {age // 3600} hours old",
            hint="check the node's links; to send all the same, confirm with --accept-stale",
            hours=age // 3600,
        )
