"""CometBFT's priv_validator_state.json, read with suspicion: one flipped bit in it could make a key sign twice.

The file repeats what was signed as canonical bytes with their signature, by which height, round and step are checked
(CometBFT, spec/core/encoding: CanonicalVote and CanonicalProposal share their first three fields).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_PREVOTE, _PRECOMMIT, _PROPOSAL = 1, 2, 32
_STEP_OF = {_PROPOSAL: 1, _PREVOTE: 2, _PRECOMMIT: 3}
_UNSIGNED_STEPS = (0, 3)
_TYPE, _HEIGHT, _ROUND = 0x08, 0x11, 0x19


@dataclass(frozen=True, slots=True)
class Signed:
    """What a consensus key signed last; step 1 is a proposal, 2 a prevote, 3 a precommit, 0 nothing."""

    height: int
    round: int
    step: int


def read_signed(data: bytes, key: bytes) -> Signed | None:
    """What the file states, if it holds together under the consensus key (Ed25519, 32 bytes); else None."""
    try:
        stated: dict[str, Any] = json.loads(data)
        signed = Signed(int(stated["height"]), int(stated["round"]), int(stated["step"]))
        if "signbytes" not in stated and "signature" not in stated:
            return signed if signed.height >= 0 and signed.round == 0 and signed.step in _UNSIGNED_STEPS else None
        content = bytes.fromhex(stated["signbytes"])
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(stated["signature"], validate=True), content)
        return signed if _read_canonical(content) == signed else None
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, InvalidSignature):
        return None


def _read_canonical(content: bytes) -> Signed:
    """The first fields of a length-delimited CanonicalVote or CanonicalProposal."""
    at = 1 if content[0] < 0x80 else 2
    if content[at] != _TYPE:
        raise ValueError("no type")
    step, at = _STEP_OF[content[at + 1]], at + 2
    height, at = _fixed(content, at, _HEIGHT)
    round_, _ = _fixed(content, at, _ROUND)
    return Signed(height, round_, step)


def _fixed(content: bytes, at: int, tag: int) -> tuple[int, int]:
    """A signed 64-bit field, 0 where it is left out, and where the next one begins."""
    if content[at] != tag:
        return 0, at
    return int.from_bytes(content[at + 1 : at + 9], "little", signed=True), at + 9
