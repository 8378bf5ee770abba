"""Who may call this node, from the ledger's current state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ledger.state import State
from node.api.tls import check_certificate
from protos.errors import Malformed


class Role(StrEnum):
    """What a caller is to this node."""

    POST = "post"
    TERMINAL = "terminal"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a live certificate: a post's node, a terminal of this post, or this node's own operator."""

    role: Role
    post: str
    terminal_id: bytes = b""


class Door:
    """The live certificates and their holders. Safe to read from any thread; `update` swaps the whole table.

    Live are: this node's own certificate (its operator), the certificate of every post in force, a post's former
    certificate while the block time is before `former_until`, and the terminals of this post that are not retired.
    Bytes that are no certificate count for nobody: in a trust list they would shut everybody out.
    """

    def __init__(self, post: str, own_certificate: bytes) -> None:
        self._post = post
        self._own = own_certificate
        self._callers = {own_certificate: Caller(Role.OPERATOR, post)}
        self._posts: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def update(self, state: State, block_time: int) -> None:
        """Take the holders from `state`; tell the listeners when the set of live certificates changed."""
        found, posts = _holders(state, self._post, block_time)
        callers = {certificate: caller for certificate, caller in found.items() if _is_usable(certificate)}
        callers[self._own] = Caller(Role.OPERATOR, self._post)
        with self._lock:
            changed = callers != self._callers
            self._callers, self._posts = callers, posts
        if changed:
            for listener in self._listeners:
                listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change of the live set."""
        self._listeners.append(listener)

    def caller(self, certificate: bytes) -> Caller | None:
        """The holder of `certificate` (DER), or None."""
        return self._callers.get(certificate)

    def certificates(self) -> tuple[bytes, ...]:
        """All live certificates (DER)."""
        return tuple(self._callers)

    def certificate_of(self, post: str) -> bytes | None:
        """The current certificate of a post in force, to be pinned when calling it."""
        return self._posts.get(post)


def _holders(state: State, own_post: str, block_time: int) -> tuple[dict[bytes, Caller], dict[str, bytes]]:
    callers: dict[bytes, Caller] = {}
    posts: dict[str, bytes] = {}
    for post in state.posts():
        if not post.is_active:
            continue
        posts[post.code] = post.certificate
        callers[post.certificate] = Caller(Role.POST, post.code)
        if block_time < post.former_until:
            callers[post.former_certificate] = Caller(Role.POST, post.code)
    for terminal_id in state.roster(own_post).terminal_ids:
        terminal = state.terminal(terminal_id)
        if terminal is not None and terminal.is_active:
            callers[terminal.certificate] = Caller(Role.TERMINAL, own_post, terminal_id)
    return callers, posts


@lru_cache(maxsize=4096)
def _is_usable(certificate: bytes) -> bool:
    try:
        check_certificate(certificate)
    except Malformed:
        return False
    return True
