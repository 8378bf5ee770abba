"""One validator's engine, where CometBFT stands: it drives the node's Application by the blocks of the ideal order.

Dies with its node, or alone. What it keeps on its own disk is only how many blocks it has stored: each before it is
applied, as CometBFT does, so after a crash the application may be behind and is brought on by replays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.block import ACCEPTED
from node.abci.limits import tx_bytes
from node.abci.messages import Genesis, Info, Initial, Proposal
from node.consensus import Application
from node.engine import INITIAL_HEIGHT

if TYPE_CHECKING:
    from sim.post import SimPost
    from sim.world import World

AGAIN = 0.15
"""How often a call comes twice, or one that nobody needs comes between two others."""


class SimEngine:
    """The engine of one post between two crashes of either."""

    def __init__(self, world: World, post: SimPost) -> None:
        self.world, self.post = world, post
        self.application = Application(post.chain, post.disk.position)
        self.order = world.order_from(self.application.start)
        self.mempool: dict[bytes, None] = {}
        self.handshake()

    @property
    def stored(self) -> int:
        """The blocks that this engine has on its own disk."""
        return self.post.disk.engine.get(self.order.start.chain_id, 0)

    @property
    def height(self) -> int:
        """The height that the application has committed."""
        return self.application.info().height

    # --- beginning ---------------------------------------------------------------------------------------------

    def handshake(self) -> None:
        """The engine process starts: Info, InitChain before the first Commit, then what was stored but not applied."""
        self.mempool.clear()
        info = self.application.info()
        self._expect(info == Info(info.height, self.order.app_hash(info.height)), f"Info answers {info}")
        self._expect(info.height <= self.stored, f"the application is at {info.height}, its engine at {self.stored}")
        if not info.height:
            self._init_chain()
            self._maybe(self._init_chain)
        for height in range(info.height + 1, self.stored + 1):
            self._apply(height)

    def _init_chain(self) -> None:
        start = self.order.start
        genesis = Genesis(start.chain_id, INITIAL_HEIGHT, start.validator_keys, start.app_state)
        found = self.application.init_chain(genesis)
        self._expect(found == Initial(start.validator_keys, start.root), "InitChain answers otherwise")

    # --- entries -----------------------------------------------------------------------------------------------

    def broadcast(self, tx: bytes) -> None:
        """An entry comes from the own node or another engine."""
        if tx not in self.mempool and self._check(tx):
            self.mempool[tx] = None

    def _check(self, tx: bytes) -> bool:
        code = self.application.check_tx(tx).code
        self._maybe(lambda: self._expect(self.application.check_tx(tx).code == code, "CheckTx changed its mind"))
        return code == ACCEPTED

    # --- proposals ---------------------------------------------------------------------------------------------

    def prepare(self, block: Proposal, max_bytes: int) -> Proposal:
        """What this validator proposes of the entries that are offered to it."""
        kept = self.application.prepare(block, max_bytes)
        self.world.point(self.post)
        self._expect(sum(map(tx_bytes, kept)) <= max_bytes, "the proposal is too large")
        remaining = iter(block.txs)
        self._expect(all(tx in remaining for tx in kept), "the proposal holds what was not offered, or elsewhere")
        return Proposal(block.height, block.time, kept, block.offences)

    def process(self, proposal: Proposal) -> bool:
        """Whether this validator votes for it; it is asked again at times, as in a later round."""
        answer = self.application.process(proposal)
        self._maybe(lambda: self._expect(self.application.process(proposal) == answer, "a vote was changed"))
        self.world.point(self.post)
        return answer

    # --- blocks ------------------------------------------------------------------------------------------------

    def take(self, end: int) -> None:
        """Store and apply the decided blocks up to `end`."""
        for height in range(self.stored + 1, end + 1):
            self.post.disk.engine[self.order.start.chain_id] = height
            self._apply(height)

    def _apply(self, height: int) -> None:
        """FinalizeBlock to Commit, with a crash between any two steps."""
        app, block = self.application, self.order.blocks[height - 1]
        self.world.point(self.post)
        self._maybe(self._disturb)
        self._maybe(lambda: self._expect(app.process(block), f"the decided block {height} gets no vote"))
        self.order.finalized(height, app.finalize(block))
        self._maybe(lambda: self.order.finalized(height, app.finalize(block)))
        self._maybe(self._disturb)
        self._expect(app.info().height == height - 1, f"height {height} shows before Commit")
        self.world.point(self.post)
        commit = app.commit()
        self.world.point(self.post)
        self.post.disk.store_commit(commit)
        self.world.point(self.post)
        app.committed()
        self.post.witness.decided_to(commit.position.size)
        self._expect(app.info() == Info(height, self.order.app_hash(height)), f"Info is wrong after {height}")
        self.mempool = {tx: None for tx in self.mempool if self._check(tx)}
        if commit.append is not None:
            self.post.appended(commit.append)

    def _disturb(self) -> None:
        """Calls of the other three connections, which come at any time."""
        app, random = self.application, self.world.random
        app.is_caught_up = random.random() < 0.5
        key = random.choice(sorted(self.order.keys))
        for path in (f"/p2p/filter/id/{key[:20].hex()}", "/p2p/filter/addr/1.2.3.4:5", "/store", random.choice(_PATHS)):
            app.query(path)
        app.info()
        leaves = self.post.disk.newest_leaves()
        for tx in (random.randbytes(random.choice((0, 1, 300))), random.choice(leaves), *list(self.mempool)[:2]):
            self._check(tx)

    def _maybe(self, work: object) -> None:
        if callable(work) and self.world.random.random() < AGAIN:
            work()

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            raise AssertionError(f"{self.post.code}: {text}")


_PATHS = ("/p2p/filter/id/", "/p2p/filter/id/zz", "/p2p/filter/id/" + "00" * 20, "", "/" * 5000)
