"""A look-up beside the newest map of the state: reads cost one look where they would walk the tree."""

from __future__ import annotations

from ledger.map import Map

_CACHED_VALUES = 262_144


class Newest:
    """Values of the newest settled map, in reach of one look; all other maps are asked themselves."""

    __slots__ = ("of", "values")

    def __init__(self, of: Map) -> None:
        self.of = of
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """As `Map.get`."""
        value = self.values.get(key)
        if value is None:
            value = self.of.get(key)
            if value is not None:
                self._make_room()
                self.values[key] = value
        return value

    def go_on(self, to: Map, written: dict[bytes, bytes]) -> None:
        """Be of the map that these writes have made of the present one."""
        self._make_room()
        self.of = to
        self.values.update(written)

    def _make_room(self) -> None:
        if len(self.values) >= _CACHED_VALUES:
            self.values.clear()
