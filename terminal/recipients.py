"""Who gets a wrap: every terminal of every addressed post, with the bundle that the ledger proves current."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from crypto_msg.prekey import VerifiedBundle, bundle_hash, current_prekey, prekey_key, verify_bundle
from crypto_msg.wire import Prekey
from crypto_msg.wraps import Recipient
from keys.signing import DirectVerifier
from ledger.records import Officer, Terminal
from ledger.state import State, officer_key, post_key, roster_key, terminal_key
from protos.errors import Malformed, Refused, Unavailable, VerificationFailed
from terminal.desk import Desk
from terminal.view import ProvedState


@dataclass(frozen=True, slots=True)
class Seat:
    """A terminal in force, its officer, and its current prekey if it has published one."""

    terminal: Terminal
    officer: Officer
    prekey: Prekey | None


def seats_of(state: ProvedState, posts: Sequence[str]) -> tuple[Seat, ...]:
    """Every active terminal of these posts at S, proved complete by the posts' rosters."""
    state.prefetch(key for code in posts for key in (post_key(code), roster_key(code)))
    rosters = [state.roster(code) for code in posts]
    terminals = [one for roster in rosters for one in roster.terminal_ids]
    officers = [one for roster in rosters for one in roster.officer_ids]
    state.prefetch([*map(terminal_key, terminals), *map(prekey_key, terminals), *map(officer_key, officers)])
    return tuple(seat for one in terminals if (seat := seat_of(state, one)) is not None)


def fetch_bundles(desk: Desk, seats: Iterable[Seat], network_id: bytes) -> dict[bytes, VerifiedBundle]:
    """The current bundles by terminal id, each checked against the ledger.

    What the node withholds is left out, and so is a bundle that the ledger names but that does not hold: that is its
    own terminal's fault, which must not stop a cable to others. What the node swaps raises `VerificationFailed`.
    """
    wanted = [(seat, seat.prekey) for seat in seats if seat.prekey is not None]
    if not wanted:
        return {}
    answers = desk.bundles([seat.terminal.terminal_id for seat, _ in wanted])[: len(wanted)]
    by_hash = {bundle_hash(data): data for data in answers}
    named = {prekey.bundle_hash for _, prekey in wanted}
    for one in by_hash.keys() - named:
        _refuse_swapped(by_hash[one], wanted)
    found = (_own_bundle(seat, prekey, by_hash.get(prekey.bundle_hash), network_id) for seat, prekey in wanted)
    return {one.terminal_id: one for one in found if one is not None}


def make_recipients(
    seats: Iterable[Seat],
    bundles: Mapping[bytes, VerifiedBundle],
    may_read: Callable[[Seat], bool],
    next_n: Callable[[bytes], int],
) -> tuple[Recipient, ...]:
    """A recipient per seat; `next_n` gives the number of the next wrap for a terminal."""
    recipients = []
    for seat in seats:
        terminal_id = seat.terminal.terminal_id
        bundle, cleared = bundles.get(terminal_id), may_read(seat)
        n = next_n(terminal_id) if cleared and bundle is not None else 0
        recipients.append(Recipient(terminal_id, bundle, cleared, n))
    return tuple(recipients)


def check_reachable(
    posts: Iterable[str],
    seats: Sequence[Seat],
    bundles: Mapping[bytes, VerifiedBundle],
    may_read: Callable[[Seat], bool],
) -> None:
    """Raise unless each post has a terminal that can open the cable.

    `Refused("no-reader")`: nobody there is cleared or has a terminal. `Unavailable("bundle-missing")`: the node has
    not handed over the bundle of anyone who is.
    """
    for post in posts:
        readers = [seat for seat in seats if seat.terminal.post == post and may_read(seat)]
        if not any(seat.prekey for seat in readers):
            raise Refused(
                "no-reader",
                f"no officer of {post} with a terminal may read this",
                hint=f"lower the classification, or ask {post} to enrol a cleared officer and open his terminal once",
                post=post,
            )
        if not any(seat.terminal.terminal_id in bundles for seat in readers):
            raise Unavailable(
                "bundle-missing",
                f"the prekeys of {post} could not be fetched",
                hint="the link may be down: try again later",
                post=post,
            )


def seat_of(state: State, terminal_id: bytes) -> Seat | None:
    """One terminal's seat; None if it is not in force."""
    terminal = state.terminal(terminal_id)
    if terminal is None or not terminal.is_active:
        return None
    officer = state.officer(terminal.officer_id)
    return None if officer is None else Seat(terminal, officer, current_prekey(state, terminal_id))


def left_out(
    seats: Iterable[Seat], bundles: Mapping[bytes, VerifiedBundle], may_read: Callable[[Seat], bool]
) -> tuple[Seat, ...]:
    """Who may read and has published a prekey, but whose bundle could not be had or does not hold."""
    return tuple(one for one in seats if one.prekey and may_read(one) and one.terminal.terminal_id not in bundles)


def _refuse_swapped(data: bytes, wanted: Iterable[tuple[Seat, Prekey]]) -> None:
    """Raise `VerificationFailed` ("other-bundle") for what speaks of a wanted terminal but is not what it entered."""
    for seat, prekey in wanted:
        if seat.terminal.terminal_id in data:
            verify_bundle(data, b"", prekey, seat.terminal, seat.officer, DirectVerifier())


def _own_bundle(seat: Seat, prekey: Prekey, data: bytes | None, network_id: bytes) -> VerifiedBundle | None:
    if data is None:
        return None
    try:
        return verify_bundle(data, network_id, prekey, seat.terminal, seat.officer, DirectVerifier())
    except (Malformed, VerificationFailed):
        return None
