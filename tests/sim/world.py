"""The whole network in one process, from one seed. What must hold in the end stands in checks.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from node import actions as act
from node.abci.messages import Proposal
from node.engine import EngineStart
from sim.base import SEED, base_of
from sim.chaos import Chaos
from sim.disk import Disk
from sim.network import Clock, Network
from sim.officers import Officers
from sim.order import IdealOrder
from sim.outages import Outages
from sim.plan import Mode, Plan, council_of
from sim.post import SimPost
from sim.roots import Roots
from support.network import FOUNDED_AT, post_keys

T = TypeVar("T")


class Crash(Exception):
    """The post's process dies here."""


def _die() -> None:
    raise Crash


@dataclass
class World:
    """Everybody, and the record of what was signed and shown."""

    plan: Plan
    time: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        is_comet = self.plan.mode is Mode.COMET
        self.base = base_of(self.plan.posts, council_of(self.plan.posts) if is_comet else 1)
        self.random = Random(self.plan.seed)
        self.network = Network(self.time, Random(self.plan.seed + 1))
        self.network.deliver = self._deliver
        self.headquarters = self.base.network.headquarters.code
        self.verifier = self.base.network.verifier
        self.newcomer = post_keys(SEED, "ZZA")
        self.keys = dict(self.base.network.posts)
        known = (*self.keys.values(), self.newcomer)
        self.owner_of = {one.consensus.public_key.key: one.code for one in known}
        founding = tuple(self.base.network.leaves)
        self.disks = {one.code: Disk(founding) for one in known}
        for block in () if is_comet else self.base.history:
            self.disks[self.headquarters].append(block)
        self.nodes: dict[str, SimPost | None] = {}
        self.officers = Officers(self)
        self.signed: dict[str, list[tuple[int, bytes]]] = {one.code: [] for one in known}
        self.acknowledged: set[bytes] = set()
        self.steady = set(self.base.founded.state.network().validators)
        self.order: IdealOrder | None = None
        self.roots = Roots(self)
        self.dead: set[str] = set()
        self.crashes = 0
        self.is_chaos = True
        self._down_until: dict[str, float] = {}

    def order_from(self, start: EngineStart) -> IdealOrder:
        """The one order of the engines that begin here. Under comet from the founding, the history comes first."""
        if self.order is None:
            self.order = IdealOrder(self, start)
            history = self.base.history if self.plan.mode is Mode.COMET else ()
            for height, block in enumerate(history, 1):
                self.order.decide(Proposal(height, block.time, block.leaves[:-1]))
        if self.order.start != start:
            raise AssertionError(f"an engine begins at {start.size}, another at {self.order.start.size}")
        return self.order

    # --- what nodes see ----------------------------------------------------------------------------------

    def clock(self) -> int:
        """POSIX seconds."""
        return FOUNDED_AT + 100 + int(self.time.now)

    def monotonic(self) -> float:
        """Seconds."""
        return self.time.now

    def posts(self) -> Sequence[str]:
        """The codes of all posts in force."""
        return tuple(self.keys)

    def newest(self) -> SimPost | None:
        """The running node with the longest log."""
        running = [node for node in self.nodes.values() if node is not None]
        return max(running, key=lambda one: one.chain.size, default=None)

    def send(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        """Hand a message to the network."""
        self.network.send(source, target, message)

    def before(self, post: SimPost, action: act.Action) -> None:
        """Check the invariants, then perhaps crash: everything before `action` is durable, nothing after."""
        if isinstance(action, act.SaveSignState):
            self._check_signature(post.code, action)
        self.point(post)

    def point(self, post: SimPost) -> None:
        """Here a process may die."""
        if self.is_chaos and self.random.random() < self.plan.crash_chance:
            raise Crash

    def _check_signature(self, code: str, state: act.SaveSignState) -> None:
        past = self.signed[code]
        if past and (state.size < past[-1][0] or (state.size == past[-1][0] and state.root != past[-1][1])):
            raise AssertionError(f"{code} signs {state.size} after {past[-1][0]}")
        past.append((state.size, state.root))

    # --- life --------------------------------------------------------------------------------------------

    def live_through_chaos(self) -> None:
        """Everybody starts, cables are released, links are bad and nodes die; then the network is calm again."""
        chaos = Outages(self) if self.plan.days else Chaos(self)
        chaos.begin()
        for code in self.posts():
            self._begin(code)
        for _ in range(self.plan.cables):
            self.time.after(self.random.uniform(5, self.plan.chaos_seconds), self.officers.release)
        self.every(self.plan.tick_seconds, self._follow_ledger)
        self.every(self.plan.tick_seconds, self.roots.tick)
        self.every(0.7, self._order_tick)
        self.live(self.plan.chaos_seconds)
        chaos.end()

    def _begin(self, code: str) -> None:
        self._boot(code)
        self.every(self.plan.tick_seconds, lambda: self._tick(code))

    def _order_tick(self) -> None:
        if self.order is not None:
            self.order.tick()

    def _follow_ledger(self) -> None:
        """The newcomer's node starts when the ledger has admitted it, and is switched off when it is retired."""
        newest, code = self.newest(), self.newcomer.code
        if newest is None:
            return
        state = newest.chain.machine.state
        self.steady &= set(state.network().validators)
        found = state.post(code)
        if found is not None and found.is_active and code not in self.keys:
            self.keys[code] = self.newcomer
            self._begin(code)
        elif found is not None and not found.is_active and code in self.keys:
            del self.keys[code]
            self.nodes[code] = None

    def kill(self, code: str, seconds: float) -> None:
        """A node dies, and stays down for so long at least."""
        self._down_until[code] = self.time.now + seconds
        if self.nodes[code] is not None:
            self._call(code, _die)

    def live(self, seconds: float) -> None:
        """Let so much time pass."""
        self.time.run_until(self.time.now + seconds)

    def every(self, seconds: float, event: Callable[[], None]) -> None:
        """Again and again, about so often."""

        def again() -> None:
            event()
            self.time.after(seconds * self.random.uniform(0.9, 1.1), again)

        self.time.after(seconds * self.random.random(), again)

    def _boot(self, code: str) -> None:
        self.nodes[code] = None
        if code not in self.keys or code in self.dead:
            return
        if self.time.now < self._down_until.get(code, 0):
            self.time.after(1.0, lambda: self._boot(code))
            return
        self._call(code, lambda: self._start(code))

    def _start(self, code: str) -> None:
        node = SimPost(self, self.keys[code], self.disks[code])
        self.nodes[code] = node
        node.start()
        for peer in self.posts():
            if peer != code and self.network.is_open(code, peer):
                node.run(node.carrier.sender.linked(peer, self.monotonic()))

    def _call(self, code: str, event: Callable[[], None]) -> None:
        """Let something happen at a post; it may die of it, and comes back after a while."""
        try:
            event()
        except Crash:
            self.crashes += 1
            self.nodes[code] = None
            self.time.after(self.random.uniform(1, 30), lambda: self._boot(code))

    def ask(self, code: str, question: Callable[[], T]) -> T | None:
        """What a running node answers; None if it is down or dies of it."""
        found: list[T] = []
        if self.nodes[code] is not None:
            self._call(code, lambda: found.append(question()))
        return found[0] if found else None

    def _deliver(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        node = self.nodes.get(target)
        if node is not None:
            self._call(target, lambda: node.receive(source, message))

    def _tick(self, code: str) -> None:
        node = self.nodes[code]
        if node is None:
            return
        self._call(code, node.tick)
        if self.nodes[code] is node and self.random.random() < 0.3:
            node.peering.greet(self._upstream(code))
        if self.nodes[code] is node:
            self._call(code, lambda: self.officers.work(node))

    def _upstream(self, code: str) -> str:
        if code != self.headquarters and self.random.random() < 0.8:
            return self.headquarters
        return self.random.choice([one for one in self.posts() if one != code])

    # --- links ---------------------------------------------------------------------------------------------

    def relink(self, code: str, peer: str) -> None:
        """A link between two posts has come or gone."""
        node, now = self.nodes.get(code), self.monotonic()
        if node is not None:
            is_open = self.network.is_open(code, peer)
            event = node.carrier.sender.linked if is_open else node.carrier.sender.unlinked
            self._call(code, lambda: node.run(event(peer, now)))
