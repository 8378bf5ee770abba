"""Officers' names: what the posts' directory opens, checked against the commitments on the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from keys.name import commit_name
from ledger.records import Officer
from ledger.state import officer_key
from protos.errors import DutabartaError
from terminal.session import Session
from terminal.view import ProvedState


def names_of(session: Session, officer_ids: Iterable[bytes]) -> dict[bytes, str]:
    """A name to show for each officer: as opened and checked, else the first hex digits of his id.

    A first supervisor has no commitment on the ledger: his name is shown in brackets, as his post says it.
    """
    wanted = [one for one in dict.fromkeys(officer_ids) if one]
    if not wanted:
        return {}
    officers = session.view.judge(lambda state: _officers(wanted, state))
    names = {one: one.hex()[:8] for one in wanted}
    for opening in session.desk.openings(wanted)[: len(wanted)]:
        officer = officers.get(opening.officer_id)
        if officer is not None and officer.name_commitment and _opens(officer, opening.salt, opening.name):
            names[opening.officer_id] = opening.name
        elif officer is not None and not officer.name_commitment:
            names[opening.officer_id] = f"({opening.name[:64]})"
    return names


def _officers(wanted: list[bytes], state: ProvedState) -> dict[bytes, Officer]:
    state.prefetch(map(officer_key, wanted))
    return {one: officer for one in wanted if (officer := state.officer(one)) is not None}


def _opens(officer: Officer, salt: bytes, name: str) -> bool:
    try:
        return commit_name(salt, name) == officer.name_commitment
    except DutabartaError:
        return False
