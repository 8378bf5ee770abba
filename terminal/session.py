"""What every act of a terminal works with: its secrets, its store, its sight of the ledger, its node, the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.records import Officer, Terminal
from ledger.state import officer_key, post_key, terminal_key
from protos.errors import Refused
from terminal.desk import Desk
from terminal.folder import Config, Folder
from terminal.keyring import Keyring
from terminal.store import Store
from terminal.submit import Submitter
from terminal.trusting import TrustingView
from terminal.view import ProvedState

_HINTS = {
    "suspended-officer": "a supervisor of your post or of headquarters knows why, and can reinstate you",
    "revoked-officer": "this officer acts no more: hand the terminal to your supervisor",
    "unknown-officer": "the enrolment is not complete: a supervisor has still to approve the request",
    "unknown-terminal": "the enrolment is not complete: a supervisor has still to approve the request",
    "retired-terminal": "use the officer's other terminal, or ask a supervisor to enrol a new one",
    "retired-post": "the post has left the network: hand the terminal to headquarters",
}


def now() -> int:
    """POSIX seconds by this machine's clock."""
    return int(time.time())


@dataclass(slots=True)
class Session:
    """One open terminal. `keyring` is replaced when a prekey is added; everything else stays."""

    folder: Folder
    config: Config
    keyring: Keyring
    passphrase: bytes = field(repr=False)
    store: Store
    view: TrustingView
    desk: Desk
    submitter: Submitter
    clock: Callable[[], int] = now

    @property
    def network_id(self) -> bytes:
        return bytes.fromhex(self.config.network_id)

    @property
    def officer_id(self) -> bytes:
        return bytes.fromhex(self.config.officer_id)

    @property
    def terminal_id(self) -> bytes:
        return self.keyring.terminal_id

    def save_keyring(self, keyring: Keyring) -> None:
        """Make `keyring` durable, then use it."""
        self.folder.save_keyring(keyring, self.passphrase, self.config.cost)
        self.keyring = keyring

    def own(self, state: ProvedState) -> tuple[Officer, Terminal]:
        """This officer and this terminal at S, if both may act. Raises `Refused` with the reason by name."""
        state.prefetch((officer_key(self.officer_id), terminal_key(self.terminal_id), post_key(self.config.post)))
        try:
            officer, terminal = state.active_officer(self.officer_id), state.active_terminal(self.terminal_id)
        except Refused as problem:
            hint = problem.hint or _HINTS.get(problem.code, "ask a supervisor of your post")
            raise Refused(problem.code, problem.text, hint=hint, **problem.params) from problem
        if officer.key.key_id != self.keyring.officer_signer.public_key.key_id:
            raise Refused(
                "key-replaced",
                "the ledger names another key for this officer",
                hint="use the terminal with the new key",
            )
        return officer, terminal
