"""Who is at the hotline of a post: what its node says, as far as the ledger knows them."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.records import Shift
from ledger.state import shift_key, terminal_key
from node.wire import Present
from protos.errors import Refused
from terminal.session import Session
from terminal.view import ProvedState

MAX_SHOWN = 256


@dataclass(frozen=True, slots=True)
class AtHotline:
    """An officer's terminal that listens, since when by its node's clock (POSIX seconds).

    `on_duty`: whether the ledger says that he holds his post's shift.
    """

    terminal_id: bytes
    officer_id: bytes
    since: int
    on_duty: bool = False


def present_at(session: Session, post: str) -> list[AtHotline]:
    """Whom the node of `post` names, those only that are terminals in force there; who is on duty, first.

    A node can leave some out.

    Raises `Refused` ("unknown-post"), `Unavailable`.
    """
    if session.view.judge(lambda state: state.post(post)) is None:
        raise Refused("unknown-post", f"{post} is no post of this network", hint="write a post's code", post=post)
    named = session.desk.present(post)[:MAX_SHOWN]
    return session.view.judge(lambda state: _known(state, post, named))


def _known(state: ProvedState, post: str, named: tuple[Present, ...]) -> list[AtHotline]:
    state.prefetch([shift_key(post), *(terminal_key(one.terminal_id) for one in named)])
    shift, found = state.shift(post), [(state.terminal(one.terminal_id), one.since) for one in named]
    known = [
        AtHotline(terminal.terminal_id, terminal.officer_id, since, _holds(shift, terminal.officer_id))
        for terminal, since in found
        if terminal is not None and terminal.is_active and terminal.post == post
    ]
    return sorted(known, key=lambda one: not one.on_duty)


def _holds(shift: Shift | None, officer_id: bytes) -> bool:
    return shift is not None and shift.officer_id == officer_id
