"""Groups of witnesses and the quorum they make up (C2SP tlog-policy)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NO_QUORUM = "none"


@dataclass(frozen=True, slots=True)
class Group:
    """Met when at least `threshold` of its members (witnesses or earlier groups) are."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quorum:
    """A witness, a group, or nobody at all. A name is a member of at most one group."""

    name: str
    groups: tuple[Group, ...]

    def is_met(self, witnesses: Iterable[str]) -> bool:
        """Whether these witnesses are enough."""
        met = set(witnesses)
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.name == NO_QUORUM or self.name in met

    def fewest(self, witnesses: Iterable[str]) -> frozenset[str]:
        """The smallest part of `witnesses` that is enough; among equals the first in the groups' order.

        Greedy is exact, because the needs of two members of a group never overlap. `is_met` must hold.
        """
        if self.name == NO_QUORUM:
            return frozenset()
        needs = {name: frozenset((name,)) for name in witnesses}
        for group in self.groups:
            met = sorted((needs[member] for member in group.members if member in needs), key=len)
            if len(met) >= group.threshold:
                needs[group.name] = frozenset().union(*met[: group.threshold])
        return needs[self.name]
