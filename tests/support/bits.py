"""One flipped bit, as a failing disk or memory leaves it."""

from __future__ import annotations

from pathlib import Path
from random import Random


def flip(path: Path, random: Random) -> str:
    """Flip one bit of a file; says which, for the message of a failing test."""
    data = bytearray(path.read_bytes())
    place, bit = random.randrange(len(data)), random.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.name}, bit {bit} of byte {place} of {len(data)}"
