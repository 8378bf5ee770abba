"""Whether a cable still stands now that more is known of those who made it (cables.md §2, network.md §3).

A cable is judged at S, which its sender chose. If a key behind it was revoked or replaced afterwards, or a role or
clearance taken away, it stands only if the ledger held it before: without that, a thief of the key, or whoever lost
the role, could claim an older S for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crypto_msg.cable import Draft, Inner, Kind
from crypto_msg.rules import check_release, check_signers
from crypto_msg.wire import decode_inner
from ledger.proof import VerifiedItem
from ledger.records import Officer
from ledger.state import officer_key, owner_key, post_key, terminal_key
from protos.errors import Refused, Unavailable
from terminal.proofs import find_proof
from terminal.records import CableRecord
from terminal.session import Session
from terminal.view import ProvedState


@dataclass(frozen=True, slots=True)
class Standing:
    """`anchored_at`: log index of the checked anchor, None while there is none. `doubts`: why not to rely on it."""

    anchored_at: int | None
    doubts: tuple[str, ...]


def standing(session: Session, record: CableRecord) -> Standing:
    """How a cable stands by the newest state that can be had. Raises `Unavailable` if there is none."""
    inner, draft = decode_inner(record.inner, Kind(record.kind))
    try:
        item = find_proof(session, record)
    except Unavailable:
        item = None
    anchored_at = None if item is None else item.entry_index
    doubts = session.view.judge(lambda state: _doubts(state, record, inner, anchored_at))
    return Standing(anchored_at, doubts or _lost_powers(session, inner, draft, item))


def doubts_of(session: Session, records: Sequence[CableRecord]) -> dict[bytes, tuple[str, ...]]:
    """Why not to rely on each of many cables, by envelope id; who has no doubts is left out. Raises as `standing`.

    The anchors are looked at only where somebody behind a cable has lost something.
    """
    read = [(one, *decode_inner(one.inner, Kind(one.kind))) for one in records]

    def question(state: ProvedState) -> list[CableRecord]:
        _prefetch(state, [(one, inner) for one, inner, _ in read])
        return [
            one for one, inner, draft in read if _doubts(state, one, inner, None) or _objection(state, inner, draft)
        ]

    suspected = session.view.judge(question)
    found = {one.envelope_id: standing(session, one).doubts for one in suspected}
    return {envelope_id: doubts for envelope_id, doubts in found.items() if doubts}


def _prefetch(state: ProvedState, read: Iterable[tuple[CableRecord, Inner]]) -> None:
    """Fetch what judging these cables reads, in few requests."""
    read = list(read)
    keys = dict.fromkeys(key for _, inner in read for key in _signers(inner))
    state.prefetch([*map(owner_key, keys), *(terminal_key(one.terminal_id) for one, _ in read)])
    owners = [owner for key in keys if (owner := _owner_id(state, key))]
    state.prefetch([*map(officer_key, owners), *(post_key(one.post) for one, _ in read)])


def _signers(inner: Inner) -> list[bytes]:
    return [one for one in (inner.drafter, *inner.clearers, *inner.co_releasers, inner.releaser) if one]


def _doubts(state: ProvedState, record: CableRecord, inner: Inner, anchored_at: int | None) -> tuple[str, ...]:
    keys = _signers(inner)
    state.prefetch([terminal_key(record.terminal_id), *map(owner_key, keys)])
    found = []
    terminal = state.terminal(record.terminal_id)
    if terminal is not None and _came_after(terminal.retired_at, anchored_at):
        found.append(_text("the terminal that sealed it was retired", terminal.retired_at))
    for officer in {one.officer_id: one for key_id in keys if (one := _owner(state, key_id))}.values():
        if _came_after(officer.revoked_at, anchored_at):
            found.append(_text("an officer who signed it was revoked", officer.revoked_at))
        elif _came_after(officer.compromised_since, anchored_at):
            found.append(_text("an officer's key behind it counts as stolen", officer.compromised_since))
    return tuple(found)


def _lost_powers(session: Session, inner: Inner, draft: Draft, item: VerifiedItem | None) -> tuple[str, ...]:
    """The doubt if its signers could not sign it now, nor when it was anchored."""
    lost = session.view.judge(lambda state: _objection(state, inner, draft))
    if not lost or (item is not None and not _objection(session.view.at(item.checkpoint.size), inner, draft)):
        return ()
    return (f"a power behind it was taken away, and nothing proves that the cable was on the ledger before: {lost}",)


def _objection(state: ProvedState, inner: Inner, draft: Draft) -> str:
    """Why this state's rules would not let its signers sign it; empty if they would."""
    try:
        (check_release if inner.releaser else check_signers)(draft, inner, state)
    except Refused as problem:
        return problem.text
    return ""


def _owner(state: ProvedState, key_id: bytes) -> Officer | None:
    """Whose key it is, or was before he changed it."""
    officer_id = _owner_id(state, key_id)
    return state.officer(officer_id) if officer_id else None


def _owner_id(state: ProvedState, key_id: bytes) -> bytes:
    owner = state.owner(key_id) or ""
    return bytes.fromhex(owner.removeprefix("officer/")) if owner.startswith("officer/") else b""


def _came_after(index: int, anchored_at: int | None) -> bool:
    """Whether the cable was not yet on the ledger at `index` (0: never happened)."""
    return index > 0 and (anchored_at is None or anchored_at >= index)


def _text(what: str, index: int) -> str:
    return f"{what} at index {index}, and nothing proves that the cable was on the ledger before"
