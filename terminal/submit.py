"""Entries from a terminal to the ledger: handed in, waited for, and believed only when proved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.entry import EntryLeaf, decode_entry_leaf
from ledger.governance import GovernanceModule
from ledger.state import State
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.desk import Desk
from terminal.view import ProvedState, View

SETTLE_SECONDS = 120.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Submitter:
    """Hands entries in. `sleep` and `monotonic` are the machine's own but in tests."""

    desk: Desk
    view: View
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    seconds: float = SETTLE_SECONDS

    def submit(self, leaf: bytes) -> ProvedState:
        """The verified state once the entry is final. The same bytes may be handed in again after any failure.

        Raises `Refused` with the ledger's own code, `Unavailable("not-settled")` when it takes too long.
        """
        result = self.desk.submit_entry(leaf)
        deadline = self.monotonic() + self.seconds
        while not result.is_settled:
            self._pause(deadline)
            result = self.desk.entry_result(leaf)
        if result.code != "accepted":
            raise Refused(result.code, result.text, hint="see `dutabarta officer list`; nothing was entered")
        return self._final(leaf, result.index + 1, deadline)

    def _final(self, leaf: bytes, size: int, deadline: float) -> ProvedState:
        entry = decode_entry_leaf(leaf)
        while True:
            try:
                used = self.view.judge(lambda state: _used(state, entry), at_least=size)
            except Unavailable as problem:
                if problem.code not in ("not-yet", "timeout"):
                    raise
                self._pause(deadline)
                continue
            if used < entry.entry.sequence:
                raise VerificationFailed(
                    "not-entered", "the node says the entry was accepted, the ledger proves it was not", hint="tell HQ"
                )
            return self.view.newest(size)

    def _pause(self, deadline: float) -> None:
        if self.monotonic() > deadline:
            raise Unavailable(
                "not-settled",
                "the ledger has not settled the entry yet",
                hint="the node keeps it; run the same command again later",
            )
        self.sleep(POLL_SECONDS)


def _used(state: State, leaf: EntryLeaf) -> int:
    """The last number used in the series that the entry belongs to: governance's, or its author's."""
    if leaf.entry.kind in GovernanceModule.kinds:
        return state.network().governance_number
    return state.sequence(leaf.signatures[0].key_id)


def next_sequence(state: State, key_id: bytes) -> int:
    """The sequence number of a key's next entry."""
    return state.sequence(key_id) + 1
