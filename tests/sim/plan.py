"""What one seed makes of a network, drawn from the seed alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from sim.network import Weather


class Mode(StrEnum):
    """Who orders the entries."""

    SOLO = "solo"
    """HQ alone."""
    COMET = "comet"
    """Four to seven validators, from the founding on."""
    CHANGE = "change"
    """HQ alone, and validators under comet from some moment on."""


ROTA = (Mode.SOLO, Mode.COMET, Mode.CHANGE, Mode.COMET)
COUNCILS = (4, 4, 5, 4, 6, 7)
DAY = 86_400.0
CABLES_A_DAY = 24
SATELLITE = Weather(loss=0.05, duplication=0.01, least_delay=0.3, most_delay=0.9)


def mode_of(seed: int) -> Mode:
    """The mode of a seed where none is asked for: six seeds of each in turn, as there are six sizes of networks."""
    return ROTA[seed // len(COUNCILS) % len(ROTA)]


def council_of(posts: int) -> int:
    """How many validators a network of so many posts begins comet with."""
    return COUNCILS[posts % len(COUNCILS)]


@dataclass(frozen=True)
class Plan:
    """One run. Chances of the ideal order are per round or call, and 0 once the network is calm."""

    seed: int
    posts: int
    mode: Mode
    cables: int
    chaos_seconds: float
    weather: Weather
    crash_chance: float
    lies: float
    """That a proposer sends what nobody may vote for."""
    lost_rounds: float
    """That a good proposal is never decided."""
    evidence: float
    """That a block carries misbehaviour."""
    tight: float
    """That a block has room for few entries."""
    outages: bool
    """Whether validators are down together, at times too many of them."""
    governance_seconds: float
    days: int = 0
    """0: minutes of chaos. Else so many days of posts that come and go, looked at every minute."""

    @property
    def tick_seconds(self) -> float:
        """How often a node looks around."""
        return 60.0 if self.days else 1.0

    @classmethod
    def of_days(cls, seed: int, posts: int, days: int) -> Plan:
        """Days over satellite links with outages of hours and days; HQ orders."""
        return replace(
            cls.of(seed, posts, Mode.SOLO),
            cables=CABLES_A_DAY * days,
            chaos_seconds=days * DAY,
            weather=SATELLITE,
            crash_chance=0.0,
            governance_seconds=DAY,
            days=days,
        )

    @classmethod
    def of(cls, seed: int, posts: int, mode: Mode | None = None) -> Plan:
        """The plan of a seed."""
        random = Random(seed)
        weather = Weather(
            loss=random.choice((0.0, 0.05, 0.2, 0.4)),
            duplication=random.choice((0.0, 0.1)),
            least_delay=0.01,
            most_delay=random.choice((0.1, 0.6, 3.0)),
        )
        cables, chaos_seconds = random.randint(6, 12), random.uniform(60, 150)
        return cls(
            seed=seed,
            posts=posts,
            mode=mode or mode_of(seed),
            cables=cables,
            chaos_seconds=chaos_seconds,
            weather=weather,
            crash_chance=random.choice((0.0, 0.002, 0.01)) * 10 / posts,
            lies=random.choice((0.0, 0.1, 0.3)),
            lost_rounds=random.choice((0.0, 0.1, 0.4)),
            evidence=random.choice((0.0, 0.02, 0.1)),
            tight=random.choice((0.0, 0.3)),
            outages=random.random() < 0.6,
            governance_seconds=random.choice((5.0, 15.0, 40.0)),
        )

    @property
    def again(self) -> str:
        """The command that repeats it."""
        again = f"python -m tests.sim --seed {self.seed} --posts {self.posts}"
        return f"{again} --days {self.days}" if self.days else f"{again} --mode {self.mode}"
