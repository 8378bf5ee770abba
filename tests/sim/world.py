"""The whole network in one process, from one seed. What must hold in the end stands in checks.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ledger.state import State
from node import actions as act
from node.courier import ItemKind
from protos.errors import DutabartaError
from sim.base import base_of
from sim.desk import Deposit, SentCable, Terminal, parcel_of
from sim.disk import Disk, StoredItem
from sim.network import CALM, Clock, Network, Weather
from sim.post import SimPost
from support.network import FOUNDED_AT


class Crash(Exception):
    """The post's process dies here."""


@dataclass(frozen=True)
class Plan:
    """What one seed makes of a network."""

    seed: int
    posts: int
    cables: int
    chaos_seconds: float
    weather: Weather
    crash_chance: float

    @classmethod
    def of(cls, seed: int, posts: int) -> Plan:
        """Drawn from the seed alone."""
        random = Random(seed)
        weather = Weather(
            loss=random.choice((0.0, 0.05, 0.2, 0.4)),
            duplication=random.choice((0.0, 0.1)),
            least_delay=0.01,
            most_delay=random.choice((0.1, 0.6, 3.0)),
        )
        cables, chaos_seconds = random.randint(6, 12), random.uniform(60, 150)
        crash_chance = random.choice((0.0, 0.002, 0.01)) * 10 / posts
        return cls(seed, posts, cables, chaos_seconds, weather, crash_chance)


@dataclass
class World:
    """Everybody, and the record of what was signed and shown."""

    plan: Plan
    time: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.base = base_of(self.plan.posts)
        self.random = Random(self.plan.seed)
        self.network = Network(self.time, Random(self.plan.seed + 1))
        self.network.deliver = self._deliver
        self.headquarters = self.base.network.headquarters.code
        self.verifier = self.base.network.verifier
        founding = tuple(self.base.network.leaves)
        self.disks = {code: Disk(founding) for code in self.posts()}
        for block in self.base.history:
            self.disks[self.headquarters].append(block)
        self.nodes: dict[str, SimPost | None] = {}
        self.terminals = {code: Terminal(code, self.base, self.random, self.verifier) for code in self.posts()}
        self.drawers: dict[str, list[Deposit]] = {code: [] for code in self.posts()}
        self.signed: dict[str, list[tuple[int, bytes]]] = {code: [] for code in self.posts()}
        self.crashes = 0
        self.is_chaos = True

    # --- what nodes see ----------------------------------------------------------------------------------

    def clock(self) -> int:
        """POSIX seconds."""
        return FOUNDED_AT + 100 + int(self.time.now)

    def monotonic(self) -> float:
        """Seconds."""
        return self.time.now

    def posts(self) -> Sequence[str]:
        """All codes."""
        return tuple(self.base.network.posts)

    def send(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        """Hand a message to the network."""
        self.network.send(source, target, message)

    def before(self, post: SimPost, action: act.Action) -> None:
        """Check the invariants, then perhaps crash: everything before `action` is durable, nothing after."""
        if isinstance(action, act.SaveSignState):
            self._check_signature(post.code, action)
        if self.is_chaos and self.random.random() < self.plan.crash_chance:
            raise Crash

    def proved(self, post: SimPost, item_hash: bytes, proof: bytes) -> None:
        """The originating node sends a cable's proof to every addressee's node."""
        cable = next((one for one in self.terminals[post.code].sent.values() if one.item_hash == item_hash), None)
        if cable is None:
            return
        parcels = [(one, parcel_of(ItemKind.PROOF, proof, post.code, one, 1, 0)) for one in cable.addressees]
        items = [StoredItem(parcel, proof, cable.envelope_id, "queued") for _, parcel in parcels]
        self.drawers[post.code].append(Deposit(tuple(items), b"", None))

    def _check_signature(self, code: str, state: act.SaveSignState) -> None:
        past = self.signed[code]
        if past and (state.size < past[-1][0] or (state.size == past[-1][0] and state.root != past[-1][1])):
            raise AssertionError(f"{code} signs {state.size} after {past[-1][0]}")
        past.append((state.size, state.root))

    # --- life --------------------------------------------------------------------------------------------

    def live_through_chaos(self) -> None:
        """Everybody starts, cables are released, links are bad and nodes die; then the network is calm again."""
        self.network.weather = self.plan.weather
        self.network.never = self._unreachable_pairs()
        for code in self.posts():
            self._boot(code)
            self._every(1.0, code, self._tick)
        for _ in range(self.plan.cables):
            self.time.after(self.random.uniform(5, self.plan.chaos_seconds), self._release)
        self._every(10.0, "", self._cut_and_heal)
        self.live(self.plan.chaos_seconds)
        self.is_chaos = False
        self.network.weather = CALM
        self._set_cut(set())
        for _ in range(self.random.choice((0, 0, 3))):  # HQ may die as the last cosignatures come in
            self.time.after(self.random.uniform(0, 30), lambda: self._call(self.headquarters, self._die))

    def _die(self) -> None:
        if self.nodes[self.headquarters] is not None:
            raise Crash

    def live(self, seconds: float) -> None:
        """Let so much time pass."""
        self.time.run_until(self.time.now + seconds)

    def _every(self, seconds: float, code: str, event: Callable[[str], None]) -> None:
        def again() -> None:
            event(code)
            self.time.after(seconds * self.random.uniform(0.9, 1.1), again)

        self.time.after(seconds * self.random.random(), again)

    def _boot(self, code: str) -> None:
        self.nodes[code] = None
        self._call(code, lambda: self._start(code))

    def _start(self, code: str) -> None:
        node = SimPost(self, self.base.network.posts[code], self.disks[code])
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

    def _deliver(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        node = self.nodes[target]
        if node is not None:
            self._call(target, lambda: node.receive(source, message))

    def _tick(self, code: str) -> None:
        node = self.nodes[code]
        if node is None:
            return
        self._call(code, node.tick)
        if self.nodes[code] is node and self.random.random() < 0.3:
            node.greet(self._upstream(code))
        if self.nodes[code] is node:
            self._call(code, lambda: self._terminal_works(node))

    def _upstream(self, code: str) -> str:
        if code != self.headquarters and self.random.random() < 0.8:
            return self.headquarters
        return self.random.choice([one for one in self.posts() if one != code])

    # --- terminals -----------------------------------------------------------------------------------------

    def _terminal_works(self, node: SimPost) -> None:
        """Look into the inbox, and hand in what the node has not taken yet."""
        states = KnownStates(node)
        checkpoint = node.chain.checkpoint(node.follower.final)
        terminal, drawer = self.terminals[node.code], self.drawers[node.code]
        drawer += terminal.look(node.disk, states, checkpoint.size, checkpoint.root)
        while drawer:
            node.enter(drawer[0].items, drawer[0].body, drawer[0].anchored)
            drawer.pop(0)

    def _release(self) -> None:
        """Some officer sends a cable, as soon as his terminal can see everybody's prekeys."""
        code = self.random.choice(self.posts())
        node = self.nodes[code]
        if node is None or node.follower.final < self.base.history[-1].size:
            self.time.after(3, self._release)
            return
        others = [one for one in self.posts() if one != code]
        addressees = sorted(self.random.sample(others, self.random.choice((1, 1, 2, 3, min(20, len(others))))))
        size, text = node.follower.final, "x" * self.random.choice((10, 1000, 30_000))
        state = node.chain.machine.state_at(size)
        deposit = self.terminals[code].release(state, size, addressees, self.random.randint(1, 4), text)
        self.drawers[code].append(deposit)

    # --- chaos -----------------------------------------------------------------------------------------------

    def _unreachable_pairs(self) -> set[frozenset[str]]:
        """Some missions never reach each other directly: only HQ can carry between them."""
        missions = [one for one in self.posts() if one != self.headquarters]
        return {frozenset(self.random.sample(missions, 2)) for _ in range(len(missions) // 2)}

    def _cut_and_heal(self, _: str) -> None:
        if not self.is_chaos:
            return
        cut = set()
        if self.random.random() < 0.5:
            island = set(self.random.sample(self.posts(), self.random.randint(1, len(self.posts()) // 2)))
            cut = {frozenset((a, b)) for a in island for b in self.posts() if b not in island}
        self._set_cut(cut)

    def _set_cut(self, cut: set[frozenset[str]]) -> None:
        changed = cut ^ self.network.cut
        self.network.cut = cut
        for pair in sorted(changed, key=sorted):
            for code, peer in (sorted(pair), sorted(pair, reverse=True)):
                self._relink(code, peer)

    def _relink(self, code: str, peer: str) -> None:
        node, now = self.nodes.get(code), self.monotonic()
        if node is not None:
            is_open = self.network.is_open(code, peer)
            event = node.carrier.sender.linked if is_open else node.carrier.sender.unlinked
            self._call(code, lambda: node.run(event(peer, now)))

    def cables(self) -> list[SentCable]:
        """Every cable released anywhere."""
        return [cable for terminal in self.terminals.values() for cable in terminal.sent.values()]


class KnownStates:
    """The states that a node can show for an envelope's S."""

    def __init__(self, node: SimPost) -> None:
        self._node = node

    def __contains__(self, size: int) -> bool:
        return size <= self._node.follower.final

    def __getitem__(self, size: int) -> State:
        try:
            return self._node.chain.machine.state_at(size)
        except DutabartaError:
            return self._node.chain.machine.state
