"""The witness: what this node cosigns, and that it never signs twice or back (network.md sections 4 and 6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from keys.signing import NoteSigner
from ledger.block import decode_record, is_record
from ledger.checkpoint import make_note, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.merkle import Frontier, leaf_hash
from ledger.note import SignedNote
from node.actions import Action, Alarm, AskOwnNewest, FetchBlocks, OwnNote, SaveSignState, SendCosignature, StopSigning
from node.chain import Chain

MAX_CLOCK_DIFFERENCE = 600
SEND_AGAIN_SECONDS = 10
NEEDED_ANSWERS = 2
FIRST_ASKED = 8
"""Twice as many each time, until enough have answered: a network that starts does not connect everybody with all."""
NEWEST_PER_STEP = 4
"""A post that catches up signs at most so many old checkpoints: nobody waits for the others."""


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """A block end read back from the store: its root was computed from stored bytes alone."""

    size: int
    root: bytes
    time: int
    frontier: bytes


class Witness:
    """Cosigns for one post. `state` is the stored sign-state; `log_signer` is a validator's log key."""

    def __init__(
        self,
        chain: Chain,
        post: str,
        signer: NoteSigner,
        *,
        log_signer: NoteSigner | None = None,
        state: SaveSignState | None = None,
        stopped: str = "",
    ) -> None:
        self._chain, self._post, self._signer, self._log_signer = chain, post, signer, log_signer
        self._state = state
        self._frontier = Frontier.decode(state.frontier) if state else Frontier()
        self._newest: BlockEnd | None = None
        self._last_time = chain.time_at(state.size) if state else None
        self._floor = (state.size, state.root) if state else (0, b"")
        self._stopped = stopped
        self._answers: set[str] = set()
        self._is_rolled_back = False
        self._is_cleared = False
        self._asked_at: int | None = None
        self._most_asked = FIRST_ASKED
        self._clocks: dict[str, int] = {}
        self._clock_alarmed = False
        self._final, self._final_since = 0, 0
        self._decided: int | None = None
        self._unsent: dict[str, tuple[SendCosignature, int]] = {}

    # --- may it sign? --------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether the rollback check is done: also a sequencer makes no block before. Once done, posts that are
        admitted later do not reopen it.

        One of the answers must come from a post to which this one delivers its cosignatures: others hardly know them.
        """
        if self._is_cleared or len(self._others()) < NEEDED_ANSWERS:
            return True
        keepers = self._keepers() - {self._post}
        return len(self._answers) >= NEEDED_ANSWERS and (not keepers or not keepers.isdisjoint(self._answers))

    @property
    def is_rolled_back(self) -> bool:
        """Whether another post knew a later signature of this node than its files: they come from a backup."""
        return self._is_rolled_back

    def orders_with(self, log_signer: NoteSigner | None) -> None:
        """The log key of a validator; none for every other post. The set of validators changes while a node runs."""
        self._log_signer = log_signer

    def decided_to(self, size: int) -> None:
        """Under an engine of several validators: so far it has decided the own log. The rest is a peer's word yet."""
        self._decided = size

    @property
    def may_order(self) -> bool:
        """Whether a sequencer may make the next block: only on a log that holds all that this node has ever signed."""
        return self.is_ready and not self._stopped and self._chain.size >= self._floor[0]

    @property
    def stopped(self) -> str:
        """Why this node signs no more; empty while it does."""
        return self._stopped

    def start(self, now: int) -> list[Action]:
        """Ask some others what they have of this node, and offer the last cosignature again."""
        return self._ask(now) + (self._publish(self._state, now) if self._state else [])

    def _ask(self, now: int) -> list[Action]:
        if self.is_ready or (self._asked_at is not None and 0 <= now - self._asked_at < SEND_AGAIN_SECONDS):
            return []
        self._asked_at = now
        asked = self._in_asking_order()[: self._most_asked]
        self._most_asked *= 2
        return [AskOwnNewest(code) for code in asked if code not in self._answers]

    def _in_asking_order(self) -> list[str]:
        """All others: those who keep everybody's cosignatures, then from the own place in the list on."""
        others, keepers = self._others(), self._keepers()
        following = [code for code in others if code > self._post] + [code for code in others if code < self._post]
        return sorted(following, key=lambda code: code not in keepers)

    def _others(self) -> list[str]:
        posts = self._chain.machine.state.posts()
        return [post.code for post in posts if post.is_active and post.code != self._post]

    def own_newest(self, post: str, size: int, root: bytes) -> list[Action]:
        """What another post has of this node's cosignatures (size 0: nothing). The highest is adopted."""
        if post == self._post:
            return []
        self._answers.add(post)
        if size > self._floor[0]:
            self._floor, self._is_rolled_back = (size, root), True
            text = f"{post} has a cosignature of this node at {size} that its own files do not know"
            behind = [FetchBlocks(post, self._chain.size, size)] if self._chain.size < size else []
            return [Alarm("rolled-back", self._post, text), *behind]
        return []

    def peer_clock(self, post: str, clock: int, now: int) -> list[Action]:
        """The clock that a peer stated when a stream opened (POSIX seconds)."""
        self._clocks[post] = clock - now
        if self._is_clock_wrong() and not self._clock_alarmed:
            self._clock_alarmed = True
            text = "this machine's clock differs by over ten minutes from those of its peers: it does not cosign"
            return [Alarm("wrong-clock", self._post, text)]
        self._clock_alarmed = self._clock_alarmed and self._is_clock_wrong()
        return []

    def stop(self, reason: str) -> None:
        """Sign nothing more."""
        self._stopped = reason

    def _is_clock_wrong(self) -> bool:
        return bool(self._clocks) and abs(median(self._clocks.values())) > MAX_CLOCK_DIFFERENCE

    # --- what it signs ---------------------------------------------------------------------------------------

    def advance(self, final: int, now: int) -> list[Action]:
        """Cosign what is due; to be called after every block, every Final and every second or so.

        A validator signs every checkpoint that its own sequencer has made or that is final, in rising order; every
        other post only what is final, of that the first of each interval of block time, and a quiet network's newest
        after one interval by the clock.
        """
        if final != self._final:
            self._final, self._final_since = final, now
        if not self.is_ready:
            return self._ask(now)
        self._is_cleared = True
        if self._stopped or self._is_clock_wrong():
            return []
        is_validator = self._post in self._chain.machine.state.network().validators
        actions: list[Action] = []
        for end in self._due_as_validator() if is_validator else self._due_as_witness(now):
            if self._stopped:
                break
            actions += self._sign(end, now)
        return actions + self._resend(now)

    def _due_as_validator(self) -> Iterator[BlockEnd]:
        limit = self._chain.size if self._decided is None else max(self._decided, self._final)
        return (end for end, _ in self._read_to(min(limit, self._chain.size)))

    def _due_as_witness(self, now: int) -> list[BlockEnd]:
        due: deque[BlockEnd] = deque(maxlen=NEWEST_PER_STEP)
        for end, is_first in self._read_to(self._final):
            if is_first:
                due.append(end)
        newest, waited = self._newest, now - self._final_since
        if newest is not None and newest not in due and not 0 <= waited < self._interval():
            due.append(newest)
        return [end for end in due if end.size > self._signed_size()]

    def _read_to(self, limit: int) -> Iterator[tuple[BlockEnd, bool]]:
        """Block ends up to `limit` not read before, and whether each is the first of its interval."""
        for leaf in self._chain.log.leaves(self._frontier.size, limit):
            self._frontier.append(leaf_hash(leaf))
            if not is_record(leaf):
                continue
            time, last, interval = decode_record(leaf).time, self._last_time, self._interval()
            frontier = self._frontier
            self._newest = BlockEnd(frontier.size, frontier.root(), time, frontier.encode())
            self._last_time = time
            yield self._newest, last is None or time // interval != last // interval

    def _interval(self) -> int:
        state = self._chain.machine.state
        post, parameters = state.post(self._post), state.parameters()
        is_satellite = post is not None and post.satellite
        return max(1, parameters.satellite_cosign_seconds if is_satellite else parameters.cosign_seconds)

    def _signed_size(self) -> int:
        return self._state.size if self._state else 0

    # --- signing -----------------------------------------------------------------------------------------------

    def _sign(self, end: BlockEnd, now: int) -> list[Action]:
        """Durable before it is sent: never a smaller size, never another root at a size."""
        floor, root = self._floor
        if end.size < max(floor, self._signed_size()):
            return []
        if end.size == floor and end.root != root:
            return self._halt("contradicting-signature", "another root than the one signed before would be signed")
        checkpoint = self._chain.checkpoint(end.size)
        if checkpoint.root != end.root:
            return self._halt("log-damaged", f"the stored log does not lead to the root at {end.size}")
        name = cosigner_name(checkpoint.origin, self._post)
        lines = [sign_checkpoint(self._log_signer, checkpoint)] if self._log_signer else []
        lines.append(cosign(self._signer, name, checkpoint, now))
        note = make_note(checkpoint, *lines).encode()
        self._state = SaveSignState(end.size, end.root, end.frontier, now, note)
        self._floor = end.size, end.root
        return [self._state, *self._publish(self._state, now)]

    def _keepers(self) -> set[str]:
        """The posts that keep everybody's cosignatures: headquarters and the validators."""
        state = self._chain.machine.state
        return {state.headquarters(), *state.network().validators}

    def _publish(self, signed: SaveSignState, now: int) -> list[Action]:
        keepers = self._keepers()
        line = SignedNote.decode(signed.note).signatures[-1].encode().encode()
        actions: list[Action] = [OwnNote(signed.size, signed.note)] if self._post in keepers else []
        for post in sorted(keepers - {self._post}):
            self._unsent[post] = SendCosignature(post, signed.size, signed.root, line), now
            actions.append(self._unsent[post][0])
        return actions

    def delivered(self, post: str, size: int) -> None:
        """`post` has taken the cosignature of `size`."""
        if post in self._unsent and self._unsent[post][0].size <= size:
            del self._unsent[post]

    def _resend(self, now: int) -> list[Action]:
        due = [post for post, (_, at) in self._unsent.items() if not 0 <= now - at < SEND_AGAIN_SECONDS]
        for post in due:
            self._unsent[post] = self._unsent[post][0], now
        return [self._unsent[post][0] for post in due]

    def _halt(self, code: str, text: str) -> list[Action]:
        self._stopped = code
        return [Alarm(code, self._post, text), StopSigning(code)]
