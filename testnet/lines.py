"""What the links between posts do to bytes: cut, slow, late, lossy. No I/O and no clock: times are handed in.

A post hangs on one line, which all its links share. Bytes from A to B leave by A's line and arrive by B's.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SEGMENT_BYTES = 1400
RETRANSMIT_SECONDS = 0.2  # RFC 6298 §2.4 asks for 1 s; what systems use
CHUNK_SECONDS = 0.05
MIN_CHUNK_BYTES = 512
MAX_CHUNK_BYTES = 64 * 1024

MAX_KBIT = 10_000_000
MAX_DELAY_MS = 60_000
MAX_LOSS_PERCENT = 90.0


@dataclass(frozen=True, slots=True)
class Shape:
    """One line, the same in both ways. `kbit` a second (0: no bound), `delay_ms` one way, `loss_percent` of segments.

    Bytes are never lost: what the loss costs is the time until the sender has sent the segment again.
    """

    kbit: int = 0
    delay_ms: int = 0
    loss_percent: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing."""
        return self == Shape()


class Lines:
    """Every line of a network. The same seed and the same traffic give the same losses."""

    def __init__(self, codes: Iterable[str], seed: int = 0) -> None:
        self.codes = frozenset(codes)
        self.cuts: set[tuple[str, str]] = set()
        """(A, B): nothing goes from A to B."""
        self.carried: dict[tuple[str, str], int] = defaultdict(int)
        """Bytes from A to B since the start."""
        self._shapes: dict[str, Shape] = {}
        self._busy_until: dict[tuple[str, str], float] = {}
        self._random = random.Random(seed)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The lines that are not plain."""
        return self._shapes

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Nothing goes from any of `sources` to any of `targets` any more."""
        far = tuple(targets)
        self.cuts |= {(source, target) for source in sources for target in far if source != target}

    def heal(self) -> None:
        """Undo all cuts; shapes stay."""
        self.cuts.clear()

    def shape(self, code: str, shape: Shape) -> None:
        """Give a post's line this shape in place of what it had."""
        if shape.is_plain:
            self._shapes.pop(code, None)
        else:
            self._shapes[code] = shape

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing goes from `source` to `target`."""
        return (source, target) in self.cuts

    def chunk_bytes(self, source: str, target: str) -> int:
        """How much to send at once, so that the slower line is not taken for long."""
        rates = [shape.kbit for code in (source, target) if (shape := self._shapes.get(code)) and shape.kbit]
        if not rates:
            return MAX_CHUNK_BYTES
        return max(MIN_CHUNK_BYTES, min(MAX_CHUNK_BYTES, int(min(rates) * 125 * CHUNK_SECONDS)))

    def arrival(self, source: str, target: str, size: int, now: float) -> float:
        """When `size` bytes that leave `source` now are at `target`; takes its time on both lines."""
        self.carried[source, target] += size
        return self._through(target, "down", size, self._through(source, "up", size, now))

    def _through(self, code: str, way: str, size: int, at: float) -> float:
        shape = self._shapes.get(code)
        if shape is None:
            return at
        if shape.kbit:
            begin = max(at, self._busy_until.get((code, way), 0.0))
            at = self._busy_until[code, way] = begin + size * 8 / (shape.kbit * 1000)
        delay = shape.delay_ms / 1000
        return at + delay + self._stalls(shape, size) * (RETRANSMIT_SECONDS + 2 * delay)

    def _stalls(self, shape: Shape, size: int) -> int:
        """How often some segment of these bytes is lost, again counting those sent again."""
        if not shape.loss_percent:
            return 0
        chance, lost = shape.loss_percent / 100, 0
        waiting = math.ceil(size / SEGMENT_BYTES)
        while waiting := sum(self._random.random() < chance for _ in range(waiting)):
            lost += 1
        return lost
