"""Bad luck: links that fail, parts of the network cut off from each other, validators down together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.network import CALM

if TYPE_CHECKING:
    from sim.world import World


class Chaos:
    """What happens to a world from outside, until it is calm."""

    def __init__(self, world: World) -> None:
        self.world, self.random = world, world.random

    def begin(self) -> None:
        """Bad weather, and what comes every few seconds."""
        self.world.network.weather = self.world.plan.weather
        self.world.network.never = self._unreachable_pairs()
        self.world.every(10.0, self._cut_and_heal)
        if self.world.plan.outages:
            self.world.every(25.0, self._outage)

    def end(self) -> None:
        """Good links. HQ may die yet as the last cosignatures come in."""
        self.world.is_chaos = False
        self.world.network.weather = CALM
        self.set_cut(set())
        for _ in range(self.random.choice((0, 0, 3))):
            self.world.time.after(self.random.uniform(0, 30), lambda: self.world.kill(self.world.headquarters, 0))

    def _unreachable_pairs(self) -> set[frozenset[str]]:
        """Some missions never reach each other directly: only HQ can carry between them."""
        missions = [one for one in self.world.posts() if one != self.world.headquarters]
        return {frozenset(self.random.sample(missions, 2)) for _ in range(len(missions) // 2)}

    def _cut_and_heal(self) -> None:
        if not self.world.is_chaos:
            return
        cut, posts = set(), self.world.posts()
        if self.random.random() < 0.5:
            island = set(self.random.sample(posts, self.random.randint(1, len(posts) // 2)))
            cut = {frozenset((a, b)) for a in island for b in posts if b not in island}
        self.set_cut(cut)

    def set_cut(self, cut: set[frozenset[str]]) -> None:
        """Exactly these pairs of posts do not reach each other."""
        changed = cut ^ self.world.network.cut
        self.world.network.cut = cut
        for pair in sorted(changed, key=sorted):
            for code, peer in (sorted(pair), sorted(pair, reverse=True)):
                self.world.relink(code, peer)

    def _outage(self) -> None:
        """A third of the validators at most; at times more, and then nothing is ordered until they are back."""
        newest = self.world.newest()
        if not self.world.is_chaos or newest is None or self.random.random() < 0.4:
            return
        council = newest.chain.machine.state.network().validators
        most = (len(council) - 1) // 3 if self.random.random() < 0.7 else len(council)
        seconds = self.random.uniform(5, 40)
        for code in self.random.sample(council, self.random.randint(min(1, most), most)):
            self.world.kill(code, seconds)
