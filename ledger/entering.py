"""A key enters the ledger once for ever, with proof of possession, and only if every library reads it alike."""

from __future__ import annotations

from collections.abc import Iterable

from keys.possession import check_proven
from keys.signing import Verifier
from ledger.module import Entering
from ledger.state import State
from protos.errors import Refused


def check_new(state: State, entering: Iterable[Entering]) -> None:
    """Raises `Refused("known-key")` if one of the keys stood on the ledger before, or stands twice here."""
    seen: set[bytes] = set()
    for one in entering:
        key_id = one.proven.key.key_id
        if key_id in seen or state.owner(key_id) is not None:
            raise Refused("known-key", f"the {one.role} key is on the ledger already", hint="Make a new key.")
        seen.add(key_id)


def verify_entering(entering: Iterable[Entering], verifier: Verifier) -> None:
    """Raises `Malformed` for a bad key, `VerificationFailed` for a proof of possession that does not hold."""
    for one in entering:
        check_proven(one.proven, one.role, one.suite, verifier)


def enter_keys(state: State, entering: Iterable[Entering]) -> None:
    """Note for ever who owns each key."""
    for one in entering:
        state.enter_key(one.proven.key, one.owner)
