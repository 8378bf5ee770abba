"""The holders of the root keys: they change validators, consensus keys, posts, parameters and the engine meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keys.possession import prove
from keys.public import SUITE_ED25519
from ledger import bodies
from ledger.validators import COMET, MIN_FAULT_TOLERANT
from node.engine import engine_keys
from node.sequence import ACCEPTED, PENDING
from sim.plan import Mode, council_of
from support.network import key_of, post_card

if TYPE_CHECKING:
    from sim.post import SimPost
    from sim.world import World

MOST_VALIDATORS = 7

Wish = tuple[str, Any] | None


class Roots:
    """One governance entry at a time, brought to any validator again and again until it is in or refused."""

    def __init__(self, world: World) -> None:
        self.world, self.random = world, world.random
        self.pending: bytes | None = None
        self.accepted = 0
        self._keys = 0
        self._next_at = self.random.uniform(5, world.plan.governance_seconds)
        self._change_at = self.random.uniform(10, 0.6 * world.plan.chaos_seconds)

    @property
    def is_done(self) -> bool:
        """Whether nothing waits to be entered."""
        return self.pending is None and not self._must_change(self.world.newest())

    def tick(self) -> None:
        """About once a second."""
        if self.pending is not None:
            self._bring(self.pending)
        elif (wish := self._wish()) is not None:
            newest = self.world.newest()
            if newest is not None:
                self.pending = self.world.base.network.governance(newest.chain.machine, *wish)

    def _bring(self, leaf: bytes) -> None:
        node = self.world.nodes[self.random.choice(self.world.posts())]
        if node is None:
            return
        outcome = self.world.ask(node.code, lambda: node.order(leaf))
        if outcome is None or outcome.code in (PENDING, "busy"):
            return
        self.accepted += outcome.code == ACCEPTED
        self.pending = None

    # --- wishes ------------------------------------------------------------------------------------------------

    def _wish(self) -> Wish:
        newest = self.world.newest()
        if newest is None or newest.chain.size < self.world.base.size:
            return None
        if self._must_change(newest):
            return self._engine(newest) if self.world.time.now >= self._change_at else None
        if not self.world.is_chaos or self.world.time.now < self._next_at:
            return None
        self._next_at = self.world.time.now + self.random.uniform(0.5, 1.5) * self.world.plan.governance_seconds
        return self.random.choice(self._wishes(newest))(newest)

    def _wishes(self, newest: SimPost) -> list[Callable[[SimPost], Wish]]:
        is_comet = newest.chain.machine.state.network().engine == COMET
        council = [self._validators] * 3 + [self._consensus_key] * 2 if is_comet else []
        return [*council, self._posts, self._parameters]

    def _must_change(self, newest: SimPost | None) -> bool:
        is_late = self.world.plan.mode is Mode.CHANGE
        return is_late and (newest is None or newest.chain.machine.state.network().engine != COMET)

    def _engine(self, newest: SimPost) -> Wish:
        machine = newest.chain.machine
        others = [code for code in self.world.base.desks if code != self.world.headquarters]
        count = council_of(self.world.plan.posts) - 1
        council = tuple(sorted([self.world.headquarters, *self.random.sample(others, count)]))
        return "engine-changed", bodies.EngineChanged(COMET, machine.size, machine.root, machine.state.root, council)

    def _validators(self, newest: SimPost) -> Wish:
        state = newest.chain.machine.state
        council = list(state.network().validators)
        others = [post.code for post in state.posts() if post.is_active and post.code not in council]
        leaving, coming = self.random.choice(council), self.random.choice(others)
        if self.random.random() < 0.6 or len(council) == MIN_FAULT_TOLERANT:
            council.append(coming)
        if len(council) > MOST_VALIDATORS or (len(council) > MIN_FAULT_TOLERANT and self.random.random() < 0.6):
            council.remove(leaving)
        return "validators-changed", bodies.ValidatorsChanged(tuple(sorted(council)))

    def _consensus_key(self, newest: SimPost) -> Wish:
        state = newest.chain.machine.state
        members = sorted(engine_keys(state).values())
        code = self.random.choice(members if self.random.random() < 0.8 else self.world.posts())
        self._keys += 1
        key = key_of(self.world.plan.seed, f"consensus/{self._keys}", SUITE_ED25519)
        self.world.owner_of[key.public_key.key] = code
        return "node-key-changed", bodies.NodeKeyChanged(code, "consensus", prove(key, "consensus"))

    def _posts(self, newest: SimPost) -> Wish:
        """The newcomer is admitted, and at times retired."""
        newcomer = self.world.newcomer
        found = newest.chain.machine.state.post(newcomer.code)
        if found is None:
            return "post-admitted", post_card(newcomer)
        return ("post-retired", bodies.PostRetired(newcomer.code)) if self.random.random() < 0.3 else None

    def _parameters(self, newest: SimPost) -> Wish:
        old = newest.chain.machine.state.parameters()
        new = replace(old, slot_seconds=self.random.choice((3, 5, 8)), mission_quorum=self.random.choice((1, 2, 3)))
        return "parameters", bodies.ParametersChanged(new)
