"""The ideal order: where the validators of CometBFT agree. It decides one block after another, and each once.

Rounds fail as ABCI allows: no quorum can hear the proposer, the proposer lies, precommits are lost. What is decided
never changes, and reaches an engine from any other one that has it and can be reached, one block or several at once.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from node.abci.messages import Finalized, Offence, Proposal, ValidatorKey
from node.engine import EngineStart, address_of
from sim.byzantine import bad_transactions, odd_transactions

if TYPE_CHECKING:
    from sim.engine import SimEngine
    from sim.world import World

MEGABYTE = 1024 * 1024
HEARTBEAT = 0.03
UNKNOWN_ADDRESS = bytes(20)


class IdealOrder:
    """One chain, from its start. Heights count from 1."""

    def __init__(self, world: World, start: EngineStart) -> None:
        self.world, self.start, self.random = world, start, world.random
        self.blocks: list[Proposal] = []
        self.results: list[Finalized] = []
        first = {one.key for one in start.validator_keys}
        self._sets = [first, first]
        self._round = 0
        self._clock = start.time
        self.rounds = self.lies = 0

    # --- what is decided -----------------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """The newest decided height."""
        return len(self.blocks)

    @property
    def keys(self) -> set[bytes]:
        """The newest set of validators, which may be two heights ahead."""
        return self._sets[-1]

    def set_at(self, height: int) -> set[bytes]:
        """The keys that vote on this height."""
        return self._sets[height - 1]

    def app_hash(self, height: int) -> bytes:
        """After this height; of 0 the genesis's."""
        return self.results[height - 1].app_hash if height else self.start.root

    def decide(self, block: Proposal) -> None:
        """This is the next block for ever."""
        if block.height != self.height + 1:
            raise AssertionError(f"height {block.height} is decided after {self.height}")
        self.blocks.append(block)
        self._round, self._clock = 0, block.time

    def finalized(self, height: int, found: Finalized) -> None:
        """An application has answered FinalizeBlock: the first one's answer holds for all."""
        if height <= len(self.results):
            if found != self.results[height - 1]:
                raise AssertionError(f"two answers to FinalizeBlock {height}: {found} and {self.results[height - 1]}")
            return
        self.results.append(found)
        self._sets.append(changed(self._sets[-1], found.validators))

    # --- rounds --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Entries and blocks travel between engines; then one round."""
        self._gossip()
        self._play_round()
        self._gossip()

    def _play_round(self) -> None:
        height = self.height + 1
        if len(self.results) < self.height:
            return  # nobody has applied the newest block yet
        voters = {code: one for code, one in self.engines().items() if self._votes(code, height)}
        voters = {code: one for code, one in voters.items() if one.height == self.height == one.stored}
        council = sorted(self.world.owner_of[key] for key in self.set_at(height))
        proposer = council[(height + self._round) % len(council)]
        self._round += 1
        if proposer not in voters:
            return
        self.rounds += 1
        near = self._hearing(proposer, voters)
        if self.world.is_chaos and self.random.random() < self.world.plan.lies:
            self._lie(height, near)
            return
        proposal = self._propose(voters[proposer], height)
        if proposal is not None:
            self._vote(proposal, near, len(council), must_pass=True)

    def _propose(self, engine: SimEngine, height: int) -> Proposal | None:
        txs, offences = list(engine.mempool), self._evidence(height)
        changed_last = height > 1 and self.app_hash(height - 1) != self.app_hash(height - 2)
        heartbeat = self.world.is_chaos and self.random.random() < HEARTBEAT
        if not (txs or offences or changed_last or heartbeat):
            return None
        max_bytes = MEGABYTE
        if self.world.is_chaos:
            txs = self._spoiled(txs, engine)
            max_bytes = self.random.choice((0, 700, 2000)) if self._happens(self.world.plan.tight) else MEGABYTE
        offered = Proposal(height, self._time(), tuple(txs), offences)
        return self.world.ask(engine.post.code, lambda: engine.prepare(offered, max_bytes))

    def _spoiled(self, txs: list[bytes], engine: SimEngine) -> list[bytes]:
        """The mempool with what must be left out: garbage, entries twice, entries that stand on the log."""
        if not self._happens(0.3):
            return txs
        bad = bad_transactions(self.random, txs, engine.post.disk.newest_leaves())
        at = self.random.randint(0, len(txs))
        return [*txs[:at], *bad, *txs[at:]]

    def _lie(self, height: int, near: dict[str, SimEngine]) -> None:
        """A Byzantine proposer: a block that nobody correct may vote for, or an unusual one that all judge alike."""
        self.lies += 1
        some = self.random.choice(sorted(near))
        txs, leaves = list(near[some].mempool), near[some].post.disk.newest_leaves()
        if self._happens(0.5):
            proposal = Proposal(height, self._time(), tuple(bad_transactions(self.random, txs, leaves)))
            if any(self._answers(proposal, near)):
                raise AssertionError(f"a validator votes for garbage at {height}")
            return
        odd = Proposal(height, self._time(), tuple(odd_transactions(self.random, txs)), self._evidence(height))
        self._vote(odd, near, len(self.set_at(height)), must_pass=False)

    def _vote(self, proposal: Proposal, near: dict[str, SimEngine], council: int, *, must_pass: bool) -> None:
        answers = self._answers(proposal, near)
        if len(set(answers)) > 1 or (must_pass and not all(answers)):
            raise AssertionError(f"the votes on {proposal.height} differ: {answers}")
        lost = self.world.is_chaos and self._happens(self.world.plan.lost_rounds)
        if 3 * sum(answers) > 2 * council and not lost:
            self.decide(proposal)

    def _answers(self, proposal: Proposal, near: dict[str, SimEngine]) -> list[bool]:
        found = (self.world.ask(code, partial(one.process, proposal)) for code, one in near.items())
        return [one for one in found if one is not None]

    # --- engines -------------------------------------------------------------------------------------------------

    def engines(self) -> dict[str, SimEngine]:
        """Those that run now, of this chain."""
        nodes = [node for node in self.world.nodes.values() if node is not None]
        return {node.code: node.engine for node in nodes if node.engine is not None}

    def _votes(self, code: str, height: int) -> bool:
        return any(self.world.owner_of[key] == code for key in self.set_at(height))

    def _hearing(self, code: str, among: dict[str, SimEngine]) -> dict[str, SimEngine]:
        """Those that messages of `code` reach, over others if need be."""
        heard, new = {code}, [code]
        while new:
            one = new.pop()
            more = {other for other in among if other not in heard and self.world.network.is_whole(one, other)}
            heard |= more
            new += sorted(more)
        return {other: among[other] for other in sorted(heard)}

    def _gossip(self) -> None:
        """Each engine takes entries and blocks from those that it can reach, if it gets round to it."""
        for code, engine in self.engines().items():
            if self.world.is_chaos and self._happens(0.3):
                continue
            near = self._hearing(code, self.engines()).values()
            txs = [tx for one in near for tx in one.mempool if tx not in engine.mempool]
            newest = self._newest_among(near)
            self.world.ask(code, partial(_bring, engine, txs, newest))

    def _newest_among(self, engines: Collection[SimEngine]) -> int:
        """The newest height that these can know of: a quorum of validators comes to the same decision again."""
        council = {self.world.owner_of[key] for key in self.set_at(max(1, self.height))}
        present = sum(one.post.code in council for one in engines)
        return self.height if 3 * present > 2 * len(council) else max(one.stored for one in engines)

    # --- chance --------------------------------------------------------------------------------------------------

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _time(self) -> int:
        """The median of the last commit's clocks: late at times, and it never goes back."""
        self._clock = max(self._clock, self.world.clock() - self.random.choice((0, 0, 1, 30)))
        return self._clock

    def _evidence(self, height: int) -> tuple[Offence, ...]:
        if not (self.world.is_chaos and self._happens(self.world.plan.evidence)):
            return ()
        keys = sorted(set().union(*self._sets[:height]))
        addresses = [UNKNOWN_ADDRESS, *map(address_of, keys)]
        count = self.random.choice((1, 1, 3))
        return tuple(
            Offence(self.random.choice((1, 2, 9)), self.random.choice(addresses), height - 1, self._clock - 5)
            for _ in range(count)
        )


def _bring(engine: SimEngine, txs: list[bytes], newest: int) -> None:
    engine.take(newest)
    for tx in txs:
        engine.broadcast(tx)


def changed(keys: set[bytes], updates: tuple[ValidatorKey, ...]) -> set[bytes]:
    """The set after these updates, as CometBFT takes them. It stops for ever at what raises AssertionError here."""
    new = set(keys)
    for one in updates:
        if one.power not in (0, 1) or (one.power == 0 and one.key not in keys) or (one.power and one.key in keys):
            raise AssertionError(f"the engine cannot take power {one.power} of {one.key.hex()}")
        (new.add if one.power else new.discard)(one.key)
    if not new or len({one.key for one in updates}) != len(updates):
        raise AssertionError("the engine would have no validators, or one key twice")
    return new
