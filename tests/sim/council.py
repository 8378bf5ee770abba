"""A validator's part of a simulated node, as node/shell/{ledger,comet}.py make it: sequencer, log key and engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.validators import COMET
from node.actions import Truncate
from node.broadcast import Broadcaster
from node.engine import decided_size, runs_engine
from node.sequence import EntryOutcome, Solo
from sim.engine import SimEngine

if TYPE_CHECKING:
    from sim.post import SimPost
    from sim.world import World

START_ALONE_SECONDS = 10
"""So long a node follows the others before its engine starts, if they are ahead."""


class Council:
    """Chosen anew after every block: who orders is a question to the ledger."""

    def __init__(self, world: World, post: SimPost) -> None:
        self.world, self.post = world, post
        self.engine: SimEngine | None = None
        self.sequencer: Solo | Broadcaster | None = None
        self._needed_since: int | None = None

    @property
    def is_validator(self) -> bool:
        """Whether this post orders entries now."""
        return self.post.code in self.post.chain.machine.state.network().validators

    def follow_network(self) -> None:
        """After a block, and at the start."""
        kind: type[Solo] | type[Broadcaster] | None = None
        is_comet = self.post.chain.machine.state.network().engine == COMET
        if is_comet:
            self.post.witness.decided_to(self._decided())
        if self.is_validator:
            kind = Broadcaster if is_comet else Solo
        if kind is None:
            self.sequencer = None
        elif not isinstance(self.sequencer, kind):
            self.sequencer = kind(self.post.chain, self.post.disk.index_of)
        self.post.witness.orders_with(self.post.keys.log if kind else None)

    def submit(self, leaf: bytes) -> EntryOutcome | None:
        """The own sequencer's answer; None where there is none."""
        if self.sequencer is None:
            return None
        if not self.post.witness.may_order:
            return EntryOutcome("busy", "not now")
        return self.sequencer.submit(leaf, self.world.clock())

    def tick(self) -> None:
        """Solo makes its next block; under comet the engine is started or ended, and gets what waits."""
        now = self.world.clock()
        if isinstance(self.sequencer, Solo) and self.post.witness.may_order:
            self.post.run(self.sequencer.tick(now))
        self._supervise()
        if isinstance(self.sequencer, Broadcaster) and self.engine is not None:
            for one in self.sequencer.tick(now):
                self.engine.broadcast(one.leaf)

    def _supervise(self) -> None:
        if not (self._is_due() if self.engine is None else self._is_needed()):
            self.engine, self._needed_since = None, None
        elif self.engine is None:
            if self._follow_first():
                self.engine = SimEngine(self.world, self.post)
        elif self.world.is_chaos and self.world.random.random() < self.world.plan.crash_chance * 5:
            self.engine.handshake()  # the engine alone died, and came back

    def _decided(self) -> int:
        return decided_size(self.post.chain, self.post.code, self.post.follower.final, self.post.disk.position)

    def _follow_first(self) -> bool:
        """Whether the others have been followed long enough; then what is neither decided nor final is given up."""
        since, now = self._needed_since, self.world.clock()
        self._needed_since = since = now if since is None else since
        size = max(self.post.follower.final, self._decided())
        has_followed = not self.post.follower.is_behind and self.post.chain.size <= size
        if not self.post.witness.is_ready or (not has_followed and now - since < START_ALONE_SECONDS):
            return False
        if self.post.chain.size > size:
            self.post.run([Truncate(size)])
        return True

    def _is_needed(self) -> bool:
        """Whether this post is a validator under comet, or a coming one, and still signs."""
        return not self.post.witness.stopped and runs_engine(self.post.chain.machine.state, self.post.code)

    def _is_due(self) -> bool:
        """Whether it is one after blocks that cannot be given up, too."""
        if not self._is_needed():
            return False
        decided, follower = self._decided(), self.post.follower
        sure = follower.final_state if decided <= follower.final else self.post.chain.state_at(decided)
        return runs_engine(sure, self.post.code)
