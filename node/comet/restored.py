"""No double signing after a restore (network.md section 5).

What a lost disk signed last is unknown. Until a block is committed that was begun after the restore, the engine runs
with a throwaway key, as no validator; then it gets its own key, with that block's height as what it signed last.
A record that does not bear its own signature, or does not fit the stored height, counts as lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from math import inf
from pathlib import Path

from node.comet.files import json_bytes, write_file
from node.comet.signed import Signed, read_signed

CLOCK_MARGIN_SECONDS = 600
"""The clocks of nodes that sign differ by less (node/witness.py)."""

_MARK = "restored.json"
_STEP_PRECOMMIT = 3


@dataclass(frozen=True, slots=True)
class SignState:
    """CometBFT's priv_validator_state.json and, beside it, the mark of a restore, in the engine's data folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """What CometBFT's own key signed last. Backups never hold it."""
        return self.folder / "priv_validator_state.json"

    def settle(self, key: bytes, height: int, now: int, is_restored: bool) -> bool:
        """To be called before a start: whether the own key may sign. `height` is the highest one ever stored.

        `is_restored`: other posts know more of this node than its files do. A first start makes the file; a file that
        is missing or damaged at a later one is a restore, noted with the time `now` (POSIX seconds), which is the first
        of its kind. What is below the stored height is raised to it: nothing at or below it is signed again.
        """
        signed, since = self._read(key, height), self._since()
        is_misread = since is not None and since > now + CLOCK_MARGIN_SECONDS
        if is_misread or (since is None and (is_restored or signed is None)):
            since = now
            write_file(self.folder / _MARK, _mark(now))
        if since is not None:
            return False
        if signed and (signed.height < height or not self.path.exists()):
            write_file(self.path, state_json(height, _STEP_PRECOMMIT if height else 0))
        return True

    def release(self, height: int, block_time: int) -> bool:
        """After a Commit: whether the own key may sign from now on, so that the engine has to be started again."""
        since = self._since()
        if since is None or block_time <= since + CLOCK_MARGIN_SECONDS:
            return False
        write_file(self.path, state_json(height, _STEP_PRECOMMIT))
        (self.folder / _MARK).unlink()
        return True

    def _read(self, key: bytes, height: int) -> Signed | None:
        """What the file says was signed last; None if that is not known. Consensus is never more than one ahead."""
        try:
            signed = read_signed(self.path.read_bytes(), key)
        except FileNotFoundError:
            return None if height else Signed(0, 0, 0)
        return signed if signed is not None and signed.height <= height + 1 else None

    def _since(self) -> float | None:
        """When the restore was noted; without end if the mark is damaged: the next start notes it anew."""
        try:
            data = (self.folder / _MARK).read_bytes()
            since = int(json.loads(data)["since"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError):
            return inf
        return since if data == _mark(since) else inf


def _mark(since: int) -> bytes:
    """With a checksum: an earlier time would end the restore too early."""
    return json_bytes({"since": since, "check": sha256(str(since).encode()).hexdigest()})


def state_json(height: int, step: int) -> bytes:
    """CometBFT's record of what a key signed last."""
    return json_bytes({"height": str(height), "round": 0, "step": step})
