"""The node's ledger: carries out what sequencer, follower, witness, collector and slots ask for.

Everything that touches the store is done at once, in order, before the next action; what goes over a link is handed
to `Outbox` and comes back as an event. Everybody who waits for progress waits on `pulse`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from ledger.machine import Machine
from ledger.state import State
from ledger.validators import COMET, SOLO
from node import actions as act
from node.actions import Action
from node.anchor import Slots
from node.api.door import Door
from node.broadcast import Broadcaster
from node.chain import Chain
from node.collect import Collector
from node.comet.store import load_position
from node.engine import Position, decided_size
from node.follow import Follower
from node.secrets import NodeKeys
from node.sequence import BUSY, EntryOutcome, Solo
from node.shell.outbox import Outbox
from node.shell.pulse import Pulse
from node.shell.recovery import COSIGNER, StoredLog
from node.shell.slots import StoredSlots
from node.splitview import SplitViews
from node.store import deposits, log
from node.store.database import Database
from node.store.log import FINAL, POLICY, SignState, StoredBlock
from node.witness import Witness
from protos.errors import Refused, Unavailable

_log = logging.getLogger(__name__)
_STOPPED = "stopped-signing"
OWN = "own"
DECIDED_SECONDS = 5.0
TICK_SECONDS = 0.5
GATHER_SECONDS = 0.1
_SEQUENCERS = {SOLO: Solo, COMET: Broadcaster}


class LedgerShell:
    """One node's machines around one chain. All methods run in the event loop's thread."""

    def __init__(
        self,
        post: str,
        keys: NodeKeys,
        database: Database,
        machine: Machine,
        door: Door,
        clock: Callable[[], int],
        rebuild: Callable[[], Machine],
    ) -> None:
        self.post = post
        self.database = database
        self.door = door
        self.clock = clock
        self.pulse = Pulse()
        self.submitted = asyncio.Event()
        """Set when an entry has come to the own sequencer; whoever hands entries on clears it."""
        self.notes: dict[str, tuple[int, bytes]] = {}
        self._rebuild = rebuild
        self._outbox: Outbox | None = None
        self.is_engine_running = False
        """Whether a consensus engine brings the blocks: then none are taken from a peer's stream."""
        self._block_time = 0, 0
        self.has_heard = False
        """Whether any peer has said how far it is."""
        self.on_proofs: Callable[[list[bytes]], None] = lambda envelope_ids: None
        stored = StoredLog(database)
        self.index_of = stored.index_of
        self.chain = Chain(machine, stored)
        self._load(keys)
        self._update_door()

    def _load(self, keys: NodeKeys) -> None:
        with self.database.read() as tx:
            final, policy = log.newest_note(tx, FINAL), log.newest_note(tx, POLICY)
            signed, stopped = log.sign_state(tx, COSIGNER), log.meta(tx, _STOPPED)
            accused = log.accused(tx)
        for kind, note in ((FINAL, final), (POLICY, policy)):
            if note is not None:
                self.notes[kind] = note
        founding = self.chain.machine.genesis.post_count + 2
        policy_size = policy[0] if policy else 0
        views = SplitViews(accused)
        self.follower = Follower(self.chain, views, final[0] if final else founding, policy_size)
        self.collector = Collector(self.chain, views, policy_size)
        self.witness = Witness(
            self.chain,
            self.post,
            keys.cosigner,
            log_signer=keys.log if self.is_validator else None,
            state=_to_action(signed) if signed else None,
            stopped=stopped.decode() if stopped else "",
        )
        self._log_signer = keys.log
        self._position = load_position(self.database)
        self.sequencer: Solo | Broadcaster | None = self._new_sequencer()
        self._follow_network()
        self._stored_slots = StoredSlots(self.database)
        self.slots = Slots(
            self.chain,
            self.post,
            keys.entry,
            os.urandom,
            index_of=self.index_of,
            waiting=self._stored_slots.waiting(),
            batches=self._stored_slots.batches(),
        )

    def _new_sequencer(self) -> Solo | Broadcaster | None:
        if not self.is_validator:
            return None
        if self.chain.machine.state.network().engine == COMET:
            return Broadcaster(self.chain, self.index_of)
        block_seconds = 0 if self.chain.machine.genesis.exercise else 1
        return Solo(self.chain, self.index_of, block_seconds=block_seconds)

    def _follow_network(self) -> None:
        """After a block: a post may have become a validator, or the network have another engine.

        What waited in the former pool is brought again by the posts that handed it in.
        """
        engine = self.chain.machine.state.network().engine
        if engine == COMET:
            self.witness.decided_to(self._decided_size())
        kind = _SEQUENCERS[engine] if self.is_validator else type(None)
        if type(self.sequencer) is not kind:
            self.sequencer = self._new_sequencer()
            self.witness.orders_with(self._log_signer if self.is_validator else None)

    # --- what others read ------------------------------------------------------------------------------------

    @property
    def is_validator(self) -> bool:
        """Whether this post orders entries now."""
        return self.post in self.chain.machine.state.network().validators

    @property
    def is_headquarters(self) -> bool:
        """Whether this post is HQ: relay and keeper of what every post deposits."""
        return self.post == self.chain.machine.state.headquarters()

    @property
    def policy_note(self) -> tuple[int, bytes] | None:
        """(size, signed note) of the newest checkpoint under the policy."""
        return self.notes.get(POLICY)

    @property
    def newest_note(self) -> bytes:
        """This side's newest checkpoint, for a Hello; empty before the first."""
        return max(self.notes.values(), default=(0, b""))[1]

    @property
    def block_time(self) -> int:
        """The block time of the newest final block, POSIX seconds. Asked for several times a second."""
        final = self.follower.final
        if self._block_time[0] != final:
            self._block_time = final, self.chain.time_at(final)
        return self._block_time[1]

    def address_of(self, post: str) -> str | None:
        """The address on the ledger of a post in force."""
        found = self.chain.machine.state.post(post)
        return found.address if found is not None and found.is_active else None

    def sequencers(self) -> list[str]:
        """The posts to submit entries to and to follow first."""
        return [code for code in self.chain.machine.state.network().validators if code != self.post]

    def others(self) -> list[str]:
        """All other posts in force."""
        return [post.code for post in self.chain.machine.state.posts() if post.is_active and post.code != self.post]

    # --- events ------------------------------------------------------------------------------------------------

    def start(self, outbox: Outbox) -> None:
        """Begin: ask the others what they know of this node, offer the last cosignature again."""
        self._outbox = outbox
        with self.database.read() as tx:
            kept = log.cosignatures(tx)
        for post, size, root, line in kept:
            self.perform(self.collector.line_received(post, size, root, line))
        if self.policy_note is not None:
            self.perform(self.slots.policy_note(*self.policy_note))
        self.perform(self.witness.start(self.clock()))

    def tick(self) -> None:
        """To be called whenever `until_tick` says."""
        now = self.clock()
        if isinstance(self.sequencer, Solo) and self.witness.may_order:
            self.perform(self.sequencer.tick(now))
        self.perform(self.follower.tick(now))
        self.perform(self.slots.tick(now))
        self.perform(self.witness.advance(self.follower.final, now))

    async def until_tick(self) -> None:
        """Wait until it is time for the next tick: sooner where the own solo sequencer has entries for a block."""
        if isinstance(self.sequencer, Solo):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self.submitted.wait()
            if not self.sequencer.has_entries:
                self.submitted.clear()
            await asyncio.sleep(GATHER_SECONDS)
        else:
            await asyncio.sleep(TICK_SECONDS)

    def submit(self, leaf: bytes) -> EntryOutcome:
        """Hand an entry to the own sequencer. Whoever brings it keeps it and brings it again after a crash here.

        Raises `Refused("not-a-validator")`.
        """
        if self.sequencer is None:
            raise Refused("not-a-validator", f"{self.post} does not order entries")
        if not self.witness.may_order:  # on a log that is behind, a good entry looks like a bad one
            return EntryOutcome(BUSY, "this node does not order now; send the same bytes again later")
        self.submitted.set()
        return self.sequencer.submit(leaf, self.clock())

    async def has_decided(self, size: int) -> None:
        """Beside other validators, wait a little until the own engine has this size too: one is always the last.

        Raises `Unavailable("not-yet")`; then the line comes again.
        """
        try:
            async with asyncio.timeout(DECIDED_SECONDS):
                await self.pulse.until(lambda: not self.is_engine_running or self.chain.size >= size)
        except TimeoutError as problem:
            raise Unavailable("not-yet", f"{self.post} has not decided {size} yet", hint="send it again") from problem

    def perform(self, actions: Iterable[Action]) -> None:
        """Carry out actions in order, and then what follows from them."""
        queue = deque(actions)
        while queue:
            queue.extend(self._do(queue.popleft()))

    def _do(self, action: Action) -> list[Action]:
        match action:
            case act.Append():
                return self._append(action)
            case act.Final(size, note) | act.PolicyNote(size, note):
                return self._keep_note(action)
            case act.SaveSignState():
                self._save_sign_state(action)
            case act.OwnNote(size, note):
                self._show(OWN, size, note)
                return self.collector.own_note(note) + self.follower.note_received(self.post, note, self.clock())
            case act.SaveCosignature(post, size, root, line):
                with self.database.write() as tx:
                    log.save_cosignature(tx, post, size, root, line)
            case act.SaveBatch() | act.BatchSettled() | act.SaveProofs():
                proved = self._stored_slots.carry_out(action)
                self.pulse.beat()
                if proved:
                    self.on_proofs(proved)
            case act.Alarm() | act.KeepEvidence() | act.StopSigning():
                self._note_trouble(action)
            case act.Truncate(size):
                self._truncate(size)
            case _:
                self._send(action)
        return []

    # --- carrying out ------------------------------------------------------------------------------------------

    def _append(self, block: act.Append) -> list[Action]:
        with self.database.write() as tx:
            log.append_block(tx, StoredBlock(block.start, block.leaves, block.root))
            deposits.settle_accepted(tx, block.leaves)
        if isinstance(self.sequencer, Solo):
            self.sequencer.committed()
        return self._appended(block)

    def _decided_size(self) -> int:
        return decided_size(self.chain, self.post, self.follower.final, self._position)

    def engine_decided(self, position: Position) -> None:
        """The own engine has committed so far."""
        self._position = position
        self.witness.decided_to(position.size)

    @property
    def sure_state(self) -> State:
        """The state of so much of the log as is final, or decided here."""
        decided = self._decided_size()
        return self.follower.final_state if decided <= self.follower.final else self.chain.state_at(decided)

    @property
    def has_undecided(self) -> bool:
        """Under an engine: whether the log has blocks that are neither final nor decided here, but a peer's word."""
        return self.chain.size > max(self.follower.final, self._decided_size())

    def forget_undecided(self) -> None:
        """Before the own engine starts: it brings them again."""
        if self.has_undecided:
            self.perform([act.Truncate(max(self.follower.final, self._decided_size()))])

    def engine_appended(self, block: act.Append) -> None:
        """A block of the consensus engine is stored, and the chain stands after it."""
        self.perform(self._appended(block))

    def _appended(self, block: act.Append) -> list[Action]:
        """What follows from a durable block."""
        now = self.clock()
        actions = self.follower.appended(now) + self.slots.appended(block.start, block.leaves)
        if isinstance(self.sequencer, Broadcaster):
            self.sequencer.appended(block.leaves)
        self._follow_network()
        actions += self.witness.advance(self.follower.final, now)
        self._update_door()
        self.pulse.beat()
        return actions

    def _keep_note(self, action: act.Final | act.PolicyNote) -> list[Action]:
        kind = FINAL if isinstance(action, act.Final) else POLICY
        if self.notes.get(kind, (0, b""))[0] >= action.size:
            return []
        with self.database.write() as tx:
            log.save_note(tx, kind, action.size, action.note)
            if kind == POLICY:
                log.forget_cosignatures(tx, action.size)
        self._show(kind, action.size, action.note)
        if isinstance(action, act.PolicyNote):
            judged = self.follower.note_received(self.post, action.note, self.clock())
            return judged + self.slots.policy_note(action.size, action.note)
        return self.witness.advance(self.follower.final, self.clock())

    def _show(self, kind: str, size: int, note: bytes) -> None:
        if size >= self.notes.get(kind, (0, b""))[0]:
            self.notes[kind] = size, note
            self.pulse.beat()

    def _save_sign_state(self, action: act.SaveSignState) -> None:
        state = SignState(action.size, action.root, action.frontier, action.at, action.note)
        with self.database.write() as tx:
            log.save_sign_state(tx, COSIGNER, state)

    def _note_trouble(self, action: act.Alarm | act.KeepEvidence | act.StopSigning) -> None:
        with self.database.write() as tx:
            match action:
                case act.Alarm(code, subject, text):
                    _log.warning("alarm %s (%s): %s", code, subject, text)
                    deposits.alarm(tx, code, subject, text, self.clock())
                case act.KeepEvidence(signer, kind, content):
                    log.keep_evidence(tx, signer, kind, content, self.clock())
                case act.StopSigning(reason):
                    log.set_meta(tx, _STOPPED, reason.encode())
        if isinstance(action, act.StopSigning):
            self.witness.stop(action.reason)
            self.pulse.beat()

    def _truncate(self, size: int) -> None:
        with self.database.write() as tx:
            log.truncate(tx, size)
        self.follower.truncated(self._rebuild())
        self.slots.truncated(size)
        self._update_door()

    def _send(self, action: Action) -> None:
        if self._outbox is not None:
            self._outbox.send(action)

    def _update_door(self) -> None:
        machine = self.chain.machine
        self.door.update(machine.state, machine.time)


def _to_action(state: SignState) -> act.SaveSignState:
    return act.SaveSignState(state.size, state.root, state.frontier, state.at, state.note)
