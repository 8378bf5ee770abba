"""The state as it stood at an earlier size S, as far as today's records tell.

A record keeps the log index at which a post, officer or terminal came and went, so coming and going is judged at S.
What a record no longer tells (an older key, roles, clearance, a suspension) counts as it stands now: what was taken away
since keeps a cable aside with its named reason, what was given since is granted (docs/known-weaknesses.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger.records import Officer, Post, Terminal
from ledger.state import post_key
from terminal.view import ProvedState


@dataclass(frozen=True, slots=True)
class AtSize:
    """A `crypto_msg.rules.View` of `state` at `size`."""

    state: ProvedState
    size: int

    def posts(self) -> tuple[Post, ...]:
        """Every post that had been admitted at S."""
        codes = self.state.codes()
        self.state.prefetch(map(post_key, codes))
        return tuple(post for code in codes if (post := self.post(code)) is not None)

    def post(self, code: str) -> Post | None:
        """The post, if it had been admitted at S; retired only if it was then."""
        post = self.state.post(code)
        if post is None or post.admitted_at >= self.size:
            return None
        return replace(post, retired_at=self._until(post.retired_at))

    def terminal(self, terminal_id: bytes) -> Terminal | None:
        """The terminal, if it was enrolled at S."""
        terminal = self.state.terminal(terminal_id)
        if terminal is None or terminal.enrolled_at >= self.size:
            return None
        return replace(terminal, retired_at=self._until(terminal.retired_at))

    def officer(self, officer_id: bytes) -> Officer | None:
        """The officer, if he was enrolled at S; revoked only if he was then."""
        officer = self.state.officer(officer_id)
        if officer is None or officer.enrolled_at >= self.size:
            return None
        return replace(officer, revoked_at=self._until(officer.revoked_at))

    def officer_of_key(self, key_id: bytes) -> Officer | None:
        """The officer whose key this is, if he might act at S."""
        owner = self.state.owner(key_id) or ""
        if not owner.startswith("officer/"):
            return None
        officer = self.officer(bytes.fromhex(owner.removeprefix("officer/")))
        if officer is None or officer.key.key_id != key_id or not officer.is_active:
            return None
        post = self.post(officer.post)
        return officer if post is not None and post.is_active else None

    def _until(self, index: int) -> int:
        return index if 0 < index < self.size else 0
