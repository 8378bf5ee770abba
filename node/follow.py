"""The follower: takes blocks from any peer, re-executes them, and decides what is final (docs/protocol/follow.md)."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.machine import Machine
from ledger.network_policy import policy_of
from ledger.note import SignedNote
from ledger.state import State
from node.actions import Action, Alarm, Append, DropPeer, FetchBlocks, Final, PolicyNote, Truncate
from node.chain import Chain, signer_of
from node.splitview import SplitViews, quorum_of
from protos.errors import DutabartaError, Malformed, VerificationFailed

MAX_PEERS_AHEAD = 128
ASK_AGAIN_SECONDS = 5
_ON_ITS_WAY = frozenset({"no-quorum", "unknown-log"})
"""A checkpoint without its quorum yet; a note of one who was no validator at its size, or of HQ when it is none."""


class Follower:
    """One block at a time: the shell carries out an Append and calls `appended` before it offers the next block.

    `final` is the stored final size (the size at founding, for a new node); `policy_size` that of the newest stored
    policy note. Blocks above the final size may still be given up, if their peer made them up.
    """

    def __init__(self, chain: Chain, views: SplitViews, final: int, policy_size: int = 0) -> None:
        self._chain = chain
        self._views = views
        self._final = final
        self._policy_size = policy_size
        self._judges = self._chain.state_at(final)
        self._signed: dict[str, int] = {}
        self._next: Machine | None = None
        self._ahead: dict[str, tuple[int, bytes]] = {}
        self._asked: tuple[str, int, int] | None = None

    @property
    def final(self) -> int:
        """The size that is final here."""
        return self._final

    @property
    def final_state(self) -> State:
        """The state at the final size."""
        return self._judges

    @property
    def is_behind(self) -> bool:
        """Whether a peer has named a checkpoint beyond the own log."""
        return bool(self._ahead)

    @property
    def policy_size(self) -> int:
        """The size of the newest checkpoint that its policy accepts."""
        return self._policy_size

    # --- blocks --------------------------------------------------------------------------------------------

    def block_received(self, peer: str, start: int, leaves: Sequence[bytes], now: int) -> list[Action]:
        """Re-execute a block on a copy. Old blocks are ignored; a gap is asked for."""
        size = self._chain.size
        if self._next is not None or start + len(leaves) <= size:
            return []
        if start > size:
            return self._fetch(peer, start, now)
        if start < size:
            return [DropPeer(peer, "misaligned-block")]
        machine = self._chain.machine.fork()
        try:
            machine.replay_block(tuple(leaves))
        except DutabartaError as problem:
            text = f"{peer} sent a block at {start} that cannot be: {problem.text}"
            return [Alarm("bad-block", peer, text), DropPeer(peer, "bad-block")]
        self._next = machine
        return [Append(start, tuple(leaves), machine.size, machine.root, machine.time)]

    def appended(self, now: int) -> list[Action]:
        """The block is durable (a sequencer: its own block, too): show it, and judge the notes that waited for it."""
        if self._next is not None:
            self._chain.machine, self._next = self._next, None
        reached = [(peer, note) for peer, (size, note) in self._ahead.items() if size <= self._chain.size]
        actions: list[Action] = []
        for peer, note in reached:
            del self._ahead[peer]
            actions += self.note_received(peer, note, now)
        return actions

    def truncated(self, machine: Machine) -> None:
        """The store was cut back to the final size; `machine` stands there."""
        self._chain.machine, self._next, self._asked = machine, None, None

    def tick(self, now: int) -> list[Action]:
        """Ask again, and another peer, when the blocks below a known checkpoint do not come."""
        if not self._ahead or (self._asked and self._asked[1] != self._chain.size):
            self._asked = None
        if not self._ahead or (self._asked and 0 <= now - self._asked[2] < ASK_AGAIN_SECONDS):
            return []
        peers = sorted(self._ahead)
        last = self._asked[0] if self._asked else ""
        peer = next((one for one in peers if one > last), peers[0])
        self._asked = None
        return self._fetch(peer, self._ahead[peer][0], now)

    def peer_lost(self, peer: str) -> None:
        """The link to this peer is down."""
        self._ahead.pop(peer, None)
        if self._asked and self._asked[0] == peer:
            self._asked = None

    # --- checkpoints -----------------------------------------------------------------------------------------

    def note_received(self, peer: str, note: bytes, now: int) -> list[Action]:
        """Judge a peer's checkpoint against the own log. Empty bytes: the peer has none yet."""
        if not note:
            return []
        try:
            signed = SignedNote.decode(note)
            checkpoint = parse_checkpoint(signed.text)
        except Malformed:
            return [DropPeer(peer, "malformed")]
        if checkpoint.origin != self._chain.machine.origin:
            return [DropPeer(peer, "wrong-network")]
        if checkpoint.size > self._chain.size:
            return self._wait(peer, checkpoint.size, note, now)
        if checkpoint.root != self._chain.machine.tree.root(checkpoint.size):
            return self._contradicted(peer, checkpoint, signed)
        if not self._chain.is_block_end(checkpoint.size):
            return []
        actions: list[Action] = []
        try:
            actions += self._advance(checkpoint, signed, note)
            actions += self._take_policy_note(checkpoint.size, note)
        except VerificationFailed as problem:
            actions.append(DropPeer(peer, problem.code))
        return actions

    def _wait(self, peer: str, size: int, note: bytes, now: int) -> list[Action]:
        known = self._ahead.get(peer)
        if known is None and len(self._ahead) >= MAX_PEERS_AHEAD:
            return []
        if known is None or known[0] < size:
            self._ahead[peer] = size, note
        return self._fetch(peer, size, now)

    def _fetch(self, peer: str, end: int, now: int) -> list[Action]:
        if self._asked is not None:
            return []
        self._asked = peer, self._chain.size, now
        return [FetchBlocks(peer, self._chain.size, end)]

    def _advance(self, checkpoint: Checkpoint, signed: SignedNote, note: bytes) -> list[Action]:
        """Count the validators in force at the previous final size, each with the largest size it cosigned.

        Else those in force at the new size: who leaves the validators cosigns no further, and the roots, whose
        approvals the own re-execution has checked, vouch for those who come.
        """
        if checkpoint.size <= self._final:
            return []
        newest = self._chain.state_at(checkpoint.size)
        self._count(self._judges, checkpoint, signed)
        self._count(newest, checkpoint, signed)
        size = max(self._size_cosigned_by(self._judges), self._size_by_those_in_force(newest))
        if size <= self._final:
            return []
        self._final, self._judges = size, self._chain.state_at(size)
        return [Final(size, note)]

    def _count(self, judges: State, checkpoint: Checkpoint, signed: SignedNote) -> None:
        validators = judges.network().validators
        for line in signed.signatures:
            code = signer_of(judges, checkpoint, line) if self._is_of(validators, line.name) else None
            if code is not None:
                self._signed[code] = max(checkpoint.size, self._signed.get(code, 0))

    def _size_cosigned_by(self, judges: State) -> int:
        """The largest size that more than two thirds of these validators have reached; 0 if there is none."""
        validators = judges.network().validators
        sizes = sorted((self._signed.get(code, 0) for code in validators), reverse=True)
        return sizes[quorum_of(len(validators)) - 1]

    def _size_by_those_in_force(self, newest: State) -> int:
        """As above by the validators of `newest`; 0 unless they were in force at that size already."""
        size = self._size_cosigned_by(newest)
        if size <= self._final:
            return 0
        in_force = self._chain.state_at(size).network().validators
        return size if in_force == newest.network().validators else 0

    def _is_of(self, validators: tuple[str, ...], name: str) -> bool:
        return name.rpartition("/")[2] in validators

    def _take_policy_note(self, size: int, note: bytes) -> list[Action]:
        if not self._policy_size < size <= self._final:
            return []
        policy = policy_of(self._chain.state_at(size), self._chain.machine.origin)
        try:
            policy.verify(note)
        except VerificationFailed as problem:
            if problem.code in _ON_ITS_WAY:
                return []
            raise
        self._policy_size = size
        return [PolicyNote(size, note)]

    def _contradicted(self, peer: str, checkpoint: Checkpoint, note: SignedNote) -> list[Action]:
        state = self._chain.machine.state
        if checkpoint.size > self._final:
            return self._doubt_tail(peer, checkpoint, note)
        signers, actions = self._views.contradicted(checkpoint, note, state)
        return actions if signers else [DropPeer(peer, "contradicting-checkpoint")]

    def _doubt_tail(self, peer: str, checkpoint: Checkpoint, note: SignedNote) -> list[Action]:
        """Blocks above the final size carry no signature yet: against a quorum of validators they were made up."""
        validators = self._judges.network().validators
        try:
            signers = {signer_of(self._judges, checkpoint, line) for line in note.signatures} & set(validators)
        except VerificationFailed as problem:
            return [DropPeer(peer, problem.code)]
        if len(signers) < quorum_of(len(validators)):
            return [DropPeer(peer, "contradicting-checkpoint")]
        text = f"blocks from {self._final} on contradict the validators and were given up"
        return [Alarm("false-blocks", str(self._final), text), Truncate(self._final)]
