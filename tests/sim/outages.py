"""Days of a ministry at satellite links: posts away for hours and days, restarted nodes, posts lost for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.chaos import Chaos
from sim.network import CALM
from sim.plan import DAY

if TYPE_CHECKING:
    from sim.world import World

HOUR = 3600.0
BETWEEN_OUTAGES = 4 * DAY
LENGTHS = (HOUR, 4 * HOUR, 10 * HOUR, DAY, 3 * DAY, 8 * DAY)
WEIGHTS = (30, 20, 10, 6, 3, 1)
HEADQUARTERS_OUTAGES = (60.0, 600.0, HOUR)
BETWEEN_RESTARTS = 2 * DAY
LOST_POSTS = 2
EXCEPTION_SHARE = 0.4
"""Of the plan's time: so long an officer waits for DELIVERED before he puts an addressee on the exception list."""


class Outages(Chaos):
    """What happens to a world from outside, by the day."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._away: dict[str, float] = {}

    def begin(self) -> None:
        """Every post comes and goes; two nodes are lost for ever on the way."""
        world, seconds = self.world, self.world.plan.chaos_seconds
        world.network.weather = world.plan.weather
        world.network.never = self._unreachable_pairs()
        missions = [one for one in world.posts() if one != world.headquarters]
        for code in world.posts():
            world.time.after(self.random.expovariate(1 / BETWEEN_OUTAGES), lambda code=code: self._leave(code))
            world.time.after(self.random.expovariate(1 / BETWEEN_RESTARTS), lambda code=code: self._restart(code))
        for code in self.random.sample(missions, LOST_POSTS):
            world.time.after(self.random.uniform(0.1, 0.5) * seconds, lambda code=code: self._lose(code))
        for day in range(world.plan.days):
            world.time.after((day + self.random.random() / 2) * DAY + HOUR, world.officers.send_circular)
        world.officers.patience = EXCEPTION_SHARE * seconds

    def end(self) -> None:
        """Whoever is alive is back, on good links."""
        self.world.is_chaos = False
        self.world.network.weather = CALM
        self._away = {}
        self._cut()

    def _leave(self, code: str) -> None:
        if not self.world.is_chaos:
            return
        is_headquarters = code == self.world.headquarters
        length = (
            self.random.choice(HEADQUARTERS_OUTAGES) if is_headquarters else self.random.choices(LENGTHS, WEIGHTS)[0]
        )
        length *= self.random.uniform(0.5, 1.5)
        self._away[code] = self.world.time.now + length
        self._cut()
        self.world.time.after(length, lambda: self._come_back(code))

    def _come_back(self, code: str) -> None:
        if self._away.pop(code, None) is not None:
            self._cut()
        self.world.time.after(self.random.expovariate(1 / BETWEEN_OUTAGES), lambda: self._leave(code))

    def _cut(self) -> None:
        self.set_cut({frozenset((a, b)) for a in self._away for b in self.world.posts() if a != b})

    def _restart(self, code: str) -> None:
        """A node dies and is back within the hour, with what its disk holds."""
        if self.world.is_chaos and code not in self.world.dead:
            self.world.kill(code, self.random.uniform(0, HOUR))
            self.world.time.after(self.random.expovariate(1 / BETWEEN_RESTARTS), lambda: self._restart(code))

    def _lose(self, code: str) -> None:
        self.world.dead.add(code)
        self.world.kill(code, float("inf"))
