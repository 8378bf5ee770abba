"""No double signing after a restore (network.md section 5).

What a lost disk signed last is unknown. Until a block is committed that was begun after the restore, the engine runs
with a throwaway key, as no validator; then it gets its own key, with that block's height as what it signed last.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from node.comet.files import json_bytes, write_file
from protos.errors import Malformed

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

    def settle(self, height: int, now: int, is_restored: bool) -> bool:
        """To be called before a start: whether the own key may sign. `height` is the stored one.

        `is_restored`: other posts know more of this node than its files do. A first start makes the file; a missing
        file at a later one is a restore, noted with the time `now` (POSIX seconds), which is the first of its kind.
        """
        if self._since() is None and (is_restored or (height and not self.path.exists())):
            write_file(self.folder / _MARK, json_bytes({"since": now}))
        if self._since() is not None:
            return False
        if not self.path.exists():
            write_file(self.path, state_json(0, 0))
        return True

    def release(self, height: int, block_time: int) -> bool:
        """After a Commit: whether the own key may sign from now on, so that the engine has to be started again."""
        since = self._since()
        if since is None or block_time <= since + CLOCK_MARGIN_SECONDS:
            return False
        write_file(self.path, state_json(height, _STEP_PRECOMMIT))
        (self.folder / _MARK).unlink()
        return True

    def _since(self) -> int | None:
        try:
            return int(json.loads((self.folder / _MARK).read_bytes())["since"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as problem:
            raise Malformed(
                "bad-sign-state",
                f"{self.folder / _MARK} cannot be read",
                hint="remove the file beside it too and start again: it counts as a restore",
                path=self.folder / _MARK,
            ) from problem


def state_json(height: int, step: int) -> bytes:
    """CometBFT's record of what a key signed last."""
    return json_bytes({"height": str(height), "round": 0, "step": step})
