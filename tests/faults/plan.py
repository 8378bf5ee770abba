"""What is done to a network of real processes, drawn from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

FAIL_POINTS = 20
"""CometBFT passes so many (libs/fail) from one block's proposal to the next."""


class Fault(StrEnum):
    """What one step does. It is undone at the step's end."""

    KILLED = "killed"
    """Some nodes and their engines end as by a power cut."""
    POWER_CUT = "power-cut"
    """All of them."""
    FAIL_POINT = "fail-point"
    """An engine dies at its n-th write, and again after every start."""
    HALVES = "halves"
    """Two validators here, two there: no quorum."""
    THIRDS = "thirds"
    """One validator is cut off, with some followers."""
    HEADQUARTERS = "headquarters"
    """Nothing reaches or leaves headquarters."""
    FLAPPING = "flapping"
    """Cut and healed, again and again."""
    ONE_WAY = "one-way"
    """A post is heard and hears nothing, or the reverse."""
    THIN_LINE = "thin-line"
    """A satellite's line, or worse."""
    RESTORED = "restored"
    """The last validator's folder is put back as it was, as a backup holds it. Always the same one's: its engine signs
    nothing for ten minutes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. `number`: the fail point; an even one lets a post of `one-way` speak, an odd one lets it hear."""

    fault: Fault
    posts: tuple[str, ...]
    seconds: float
    number: int

    def __str__(self) -> str:
        return f"{self.fault} {','.join(self.posts)} for {self.seconds:.0f} s ({self.number})"


def steps(seed: int, validators: Sequence[str], followers: Sequence[str], seconds: float) -> Iterator[Step]:
    """Without end: all faults in an order, then all in another. The first validator is headquarters.

    A step takes `seconds` to three times as long, and the time to mend it.
    """
    random = Random(seed)
    while True:
        for fault in random.sample(list(Fault), len(Fault)):
            posts = _struck(fault, random, validators, followers)
            number = random.randrange(FAIL_POINTS)
            yield Step(fault, posts, random.uniform(seconds, 3 * seconds), number)


def _struck(fault: Fault, random: Random, validators: Sequence[str], followers: Sequence[str]) -> tuple[str, ...]:
    some = random.sample(followers, random.randint(0, len(followers) - 1))
    match fault:
        case Fault.KILLED:
            return tuple(random.sample([*validators, *followers], random.randint(1, 3)))
        case Fault.POWER_CUT:
            return (*validators, *followers)
        case Fault.FAIL_POINT:
            return (random.choice(validators),)
        case Fault.RESTORED:
            return (validators[-1],)
        case Fault.HALVES:
            return (*random.sample(validators, len(validators) // 2), *some)
        case Fault.THIRDS | Fault.FLAPPING:
            return (random.choice(validators), *some)
        case Fault.HEADQUARTERS:
            return (validators[0],)
        case Fault.ONE_WAY | Fault.THIN_LINE:
            return (random.choice([*validators, *followers]),)
