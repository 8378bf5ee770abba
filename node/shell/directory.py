"""What terminals deposit and ask for: prekey bundles, opened names, serials. What is unknown is asked of its post.

The node checks what it stores against the ledger, so that it never keeps a stranger's bytes; terminals check again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from crypto_msg.cable import CABLE_ID_BYTES
from crypto_msg.prekey import MAX_SIGNED_BUNDLE, bundle_hash, current_prekey
from crypto_msg.wire import CODEC, Bundle, SignedBundle
from keys.name import commit_name
from ledger.state import State
from node.links import Links
from node.store import deposits
from node.store.database import Database
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed, Refused

MAX_NAME_BYTES = 256
MAX_YEAR = 9999
OFFICER_ID_BYTES = 16
SALT_BYTES = 32
_ASK_SECONDS = 4.0
_GATHER_SECONDS = 2.0

_log = logging.getLogger(__name__)

Opened = tuple[bytes, bytes, str]


class Directory:
    """Deposits of this post, and those of other posts as far as they were asked for."""

    def __init__(self, post: str, database: Database, links: Links, state: Callable[[], State],
                 clock: Callable[[], int]) -> None:
        self._post = post
        self._database = database
        self._links = links
        self._state = state
        self._clock = clock

    # --- prekey bundles ------------------------------------------------------------------------------------

    def put_bundle(self, signed_bundle: bytes, terminal_id: bytes) -> None:
        """Keep the caller's own bundle. Raises `Malformed`, or `Refused` for another terminal's."""
        if _owner_of(signed_bundle) != terminal_id:
            raise Refused("not-yours", "a terminal deposits only its own bundle")
        self._keep(terminal_id, signed_bundle)

    def take_in(self, signed_bundle: bytes) -> None:
        """Keep a bundle found in the intake folder. Raises `Malformed`."""
        self._keep(_owner_of(signed_bundle), signed_bundle)

    async def bundles(self, terminal_ids: Iterable[bytes]) -> list[bytes]:
        """The current bundles of these terminals; unknown ones are asked of their posts."""
        found, missing = self.own_bundles(terminal_ids)
        asked = await self._ask(missing, lambda stub: stub.GetBundles, lambda ids: pb.BundleRequest(terminal_ids=ids))
        for answer in asked:
            for signed_bundle in answer.signed_bundles:
                if self._keep_if_current(signed_bundle):
                    found.append(signed_bundle)
        return found

    def own_bundles(self, terminal_ids: Iterable[bytes]) -> tuple[list[bytes], dict[str, list[bytes]]]:
        """(current bundles kept here, terminals whose current bundle is not, by post)."""
        found: list[bytes] = []
        missing: dict[str, list[bytes]] = defaultdict(list)
        state = self._state()
        with self._database.read() as tx:
            for terminal_id in dict.fromkeys(terminal_ids):
                terminal, current = state.terminal(terminal_id), self._current(terminal_id)
                kept = deposits.bundle(tx, current) if current else None
                if kept is not None:
                    found.append(kept)
                elif terminal is not None and current is not None:
                    missing[terminal.post].append(terminal_id)
        return found, missing

    def _current(self, terminal_id: bytes) -> bytes | None:
        recorded = current_prekey(self._state(), terminal_id)
        return recorded.bundle_hash if recorded else None

    def _keep_if_current(self, signed_bundle: bytes) -> bool:
        try:
            owner = _owner_of(signed_bundle)
        except Malformed:
            return False
        if bundle_hash(signed_bundle) != self._current(owner):
            return False
        self._keep(owner, signed_bundle)
        return True

    def _keep(self, owner: bytes, signed_bundle: bytes) -> None:
        with self._database.write() as tx:
            deposits.put_bundle(tx, owner, bundle_hash(signed_bundle), signed_bundle, self._clock())

    # --- names ---------------------------------------------------------------------------------------------

    def put_opening(self, officer_id: bytes, salt: bytes, name: str) -> None:
        """Open an officer's name. Raises `Malformed` or `Refused` unless it meets the commitment on the ledger.

        A first supervisor has no commitment: his own post may state his name.
        """
        is_formed = len(officer_id) == OFFICER_ID_BYTES and len(salt) == SALT_BYTES
        if not is_formed or not 0 < len(name.encode()) <= MAX_NAME_BYTES:
            raise Malformed("bad-opening", "an opening is an officer id, a salt of 32 bytes and a name")
        officer = self._state().officer(officer_id)
        if officer is not None and officer.post != self._post:
            raise Refused("not-yours", "a post opens the names of its own officers", post=officer.post)
        if officer is not None and officer.name_commitment and commit_name(salt, name) != officer.name_commitment:
            raise Refused("wrong-name", "the name does not meet the commitment on the ledger")
        with self._database.write() as tx:
            deposits.put_opening(tx, officer_id, salt, name)

    async def openings(self, officer_ids: Iterable[bytes]) -> list[Opened]:
        """The names of these officers; unknown ones are asked of their posts."""
        wanted = list(dict.fromkeys(officer_ids))
        found = self.own_openings(wanted)
        missing = self._officers_by_post(set(wanted) - {one[0] for one in found})
        asked = await self._ask(missing, lambda stub: stub.GetOpenings, lambda ids: pb.OpeningRequest(officer_ids=ids))
        for answer in asked:
            found += [self._keep_opening(one) for one in answer.openings if self._is_true(one)]
        return found

    def own_openings(self, officer_ids: Iterable[bytes]) -> list[Opened]:
        """Those kept here."""
        with self._database.read() as tx:
            return deposits.openings(tx, officer_ids)

    def _officers_by_post(self, officer_ids: Iterable[bytes]) -> dict[str, list[bytes]]:
        missing: dict[str, list[bytes]] = defaultdict(list)
        for officer_id in officer_ids:
            officer = self._state().officer(officer_id)
            if officer is not None:
                missing[officer.post].append(officer_id)
        return missing

    def _is_true(self, opening: pb.Opening) -> bool:
        officer = self._state().officer(opening.officer_id)
        if officer is None or len(opening.salt) != SALT_BYTES or len(opening.name.encode()) > MAX_NAME_BYTES:
            return False
        commitment = officer.name_commitment
        return not commitment or commit_name(opening.salt, opening.name) == commitment

    def _keep_opening(self, opening: pb.Opening) -> Opened:
        with self._database.write() as tx:
            deposits.put_opening(tx, opening.officer_id, opening.salt, opening.name)
        return opening.officer_id, opening.salt, opening.name

    # --- serials -------------------------------------------------------------------------------------------

    def take_serial(self, cable_id: bytes, year: int) -> int:
        """The post's next serial of the year; the same cable gets its own again. Raises `Malformed`."""
        if len(cable_id) != CABLE_ID_BYTES or not 0 < year <= MAX_YEAR:
            raise Malformed("bad-serial-request", "a serial is taken for a cable id of 16 bytes and a year")
        with self._database.write() as tx:
            return deposits.take_serial(tx, cable_id, year)

    async def _ask(
        self, missing: dict[str, list[bytes]], method: Callable[[Any], Any], request: Callable[[list[bytes]], object]
    ) -> list[Any]:
        """Ask every post at once, HQ instead of one that cannot be reached; what nobody has is left out."""
        calls = [self._ask_one(post, method, request(missing[post])) for post in missing if post != self._post]
        return [answer for answer in await asyncio.gather(*calls) if answer is not None]

    async def _ask_one(self, post: str, method: Callable[[Any], Any], request: object) -> Any:
        for asked in [one for one in (post, self._state().headquarters()) if one != self._post]:
            try:
                return await self._links.call(asked, method, request, _ASK_SECONDS)
            except DutabartaError as problem:
                _log.info("%s cannot be asked for %s: %s", asked, post, problem.code)
        return None

    async def gather_for_ever(self) -> None:
        """HQ holds what every post deposits, so that a cable can be sealed to a post whose link is down for days."""
        while True:
            state = self._state()
            rosters = [state.roster(code) for code in state.codes()]
            await self.bundles(one for roster in rosters for one in roster.terminal_ids)
            await self.openings(one for roster in rosters for one in roster.officer_ids)
            await asyncio.sleep(_GATHER_SECONDS)


def _owner_of(signed_bundle: bytes) -> bytes:
    """The terminal id in a SignedBundle, its signatures unchecked. Raises `Malformed`."""
    signed = CODEC.decode(SignedBundle, signed_bundle, limit=MAX_SIGNED_BUNDLE)
    return CODEC.decode(Bundle, signed.bundle, limit=MAX_SIGNED_BUNDLE).terminal_id
