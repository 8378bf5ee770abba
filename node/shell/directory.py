"""What terminals deposit and ask for: prekey bundles, opened names, serials. What is unknown is asked of its post.

The node checks what it stores against the ledger, so that it never keeps a stranger's bytes; terminals check again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
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
_MOST_SOURCES = 5

_log = logging.getLogger(__name__)

Opened = tuple[bytes, bytes, str]


class Directory:
    """Deposits of this post, and those of other posts as far as they were asked for."""

    def __init__(
        self, post: str, database: Database, links: Links, state: Callable[[], State], clock: Callable[[], int]
    ) -> None:
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
        """The current bundles of these terminals; unknown ones are asked of their posts, then of HQ."""
        wanted = tuple(terminal_ids)
        found, missing = self.own_bundles(wanted)
        if not missing:
            return found
        await self._fill(lambda: self.own_bundles(wanted)[1], self._fetch_bundles)
        return self.own_bundles(wanted)[0]

    async def _fetch_bundles(self, source: str, terminal_ids: list[bytes]) -> None:
        answer = await self._ask(source, lambda stub: stub.GetBundles, pb.BundleRequest(terminal_ids=terminal_ids))
        for signed_bundle in answer.signed_bundles if answer else ():
            self._keep_if_current(signed_bundle)

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

    def _keep_if_current(self, signed_bundle: bytes) -> None:
        try:
            owner = _owner_of(signed_bundle)
        except Malformed:
            return
        if bundle_hash(signed_bundle) == self._current(owner):
            self._keep(owner, signed_bundle)

    def _keep(self, owner: bytes, signed_bundle: bytes) -> None:
        with self._database.write() as tx:
            deposits.put_bundle(tx, owner, bundle_hash(signed_bundle), signed_bundle, self._clock())

    # --- names ---------------------------------------------------------------------------------------------

    def put_opening(self, officer_id: bytes, salt: bytes, name: str) -> None:
        """Open an officer's name. Raises `Malformed` or `Refused` unless it meets the commitment on the ledger.

        A first supervisor has no commitment: his own post may state his name. Of others, any post may keep what meets
        it: a supervisor of headquarters, who signs last, opens the name at his own node.
        """
        is_formed = len(officer_id) == OFFICER_ID_BYTES and len(salt) == SALT_BYTES
        if not is_formed or not 0 < len(name.encode()) <= MAX_NAME_BYTES:
            raise Malformed("bad-opening", "an opening is an officer id, a salt of 32 bytes and a name")
        officer = self._state().officer(officer_id)
        if officer is not None and officer.post != self._post and not officer.name_commitment:
            raise Refused("not-yours", "a post opens the names of its own officers", post=officer.post)
        if officer is not None and officer.name_commitment and commit_name(salt, name) != officer.name_commitment:
            raise Refused("wrong-name", "the name does not meet the commitment on the ledger")
        with self._database.write() as tx:
            deposits.put_opening(tx, officer_id, salt, name)

    async def openings(self, officer_ids: Iterable[bytes]) -> list[Opened]:
        """The names of these officers; unknown ones are asked of their posts, then of HQ."""
        wanted = tuple(dict.fromkeys(officer_ids))
        await self._fill(lambda: self._unopened(wanted), self._fetch_openings)
        return self.own_openings(wanted)

    async def _fetch_openings(self, source: str, officer_ids: list[bytes]) -> None:
        answer = await self._ask(source, lambda stub: stub.GetOpenings, pb.OpeningRequest(officer_ids=officer_ids))
        for opening in answer.openings if answer else ():
            if self._is_true(opening):
                self._keep_opening(opening)

    def own_openings(self, officer_ids: Iterable[bytes]) -> list[Opened]:
        """Those kept here."""
        with self._database.read() as tx:
            return deposits.openings(tx, officer_ids)

    def _unopened(self, officer_ids: Iterable[bytes]) -> dict[str, list[bytes]]:
        """The officers whose names are not kept here, by post."""
        kept = {officer_id for officer_id, _, _ in self.own_openings(officer_ids)}
        missing: dict[str, list[bytes]] = defaultdict(list)
        for officer_id in officer_ids:
            officer = self._state().officer(officer_id)
            if officer is not None and officer_id not in kept:
                missing[officer.post].append(officer_id)
        return missing

    def _is_true(self, opening: pb.Opening) -> bool:
        officer = self._state().officer(opening.officer_id)
        if officer is None or len(opening.salt) != SALT_BYTES or len(opening.name.encode()) > MAX_NAME_BYTES:
            return False
        commitment = officer.name_commitment
        return not commitment or commit_name(opening.salt, opening.name) == commitment

    def _keep_opening(self, opening: pb.Opening) -> None:
        with self._database.write() as tx:
            deposits.put_opening(tx, opening.officer_id, opening.salt, opening.name)

    # --- serials -------------------------------------------------------------------------------------------

    def take_serial(self, cable_id: bytes, year: int) -> int:
        """The post's next serial of the year; the same cable gets its own again. Raises `Malformed`."""
        if len(cable_id) != CABLE_ID_BYTES or not 0 < year <= MAX_YEAR:
            raise Malformed("bad-serial-request", "a serial is taken for a cable id of 16 bytes and a year")
        with self._database.write() as tx:
            return deposits.take_serial(tx, cable_id, year)

    # --- asking others -------------------------------------------------------------------------------------

    async def _fill(
        self, missing: Callable[[], dict[str, list[bytes]]], fetch: Callable[[str, list[bytes]], Awaitable[None]]
    ) -> None:
        """Fetch what is missing, by post: from the first source of each at once, then what is left from the second."""
        for number in range(_MOST_SOURCES):
            wanted = missing()
            sources = {post: self._sources(post)[number:] for post in wanted}
            calls = [fetch(sources[post][0], ids) for post, ids in wanted.items() if sources[post]]
            if not calls:
                return
            await asyncio.gather(*calls)

    def _sources(self, post: str) -> list[str]:
        """Who holds what the terminals of `post` deposited: the post, then HQ. A rebuilt node asks for its own too."""
        state = self._state()
        headquarters = state.headquarters()
        if self._post == post == headquarters:
            return [code for code in state.codes() if code != post]
        return [code for code in dict.fromkeys((post, headquarters)) if code != self._post]

    async def _ask(self, post: str, method: Callable[[Any], Any], request: object) -> Any:
        try:
            return await self._links.call(post, method, request, _ASK_SECONDS)
        except DutabartaError as problem:
            _log.info("%s cannot be asked for deposits: %s", post, problem.code)
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
