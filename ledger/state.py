"""The state after some leaves: typed reads and writes over the authenticated map (docs/protocol/state.md).

Writes gather in a layer above the map; `settled` puts them into it, once a block. A `State` is used by one
machine; `fork` makes an independent one at no cost, because the map below is persistent.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from keys.public import PublicKey
from ledger.bodies import Parameters
from ledger.map import Map, MapProof
from ledger.newest import Newest
from ledger.records import Network, Officer, Post, Roster, Shift, Terminal
from ledger.roles import Role
from ledger.wire import CODEC
from protos.codec import Codec
from protos.errors import Refused

T = TypeVar("T")

NETWORK = b"network"
PARAMETERS = b"parameters"
POSTS = b"posts"
HEADQUARTERS = b"headquarters"

MAX_VALUE_BYTES = 256 * 1024
_CACHED_RECORDS = 32_768


def post_key(code: str) -> bytes:
    """Where the post's record stands."""
    return b"post/" + code.encode("ascii", "replace")


def roster_key(code: str) -> bytes:
    """Where the list of a post's officers and terminals stands."""
    return b"roster/" + code.encode("ascii", "replace")


def officer_key(officer_id: bytes) -> bytes:
    """Where the officer's record stands."""
    return b"officer/" + officer_id.hex().encode()


def terminal_key(terminal_id: bytes) -> bytes:
    """Where the terminal's record stands."""
    return b"terminal/" + terminal_id.hex().encode()


def shift_key(code: str) -> bytes:
    """Where it stands who is on duty at the post."""
    return b"shift/" + code.encode("ascii", "replace")


def sequence_key(key_id: bytes) -> bytes:
    """Where the last sequence number that a key has used stands (8 bytes, big-endian)."""
    return b"sequence/" + key_id.hex().encode()


def owner_key(key_id: bytes) -> bytes:
    """Where the owner of a key stands ("root", "post/DHA", "officer/<hex id>", "terminal/<hex id>")."""
    return b"key/" + key_id.hex().encode()


def certificate_key(certificate_hash: bytes) -> bytes:
    """Where the owner of a certificate stands, by the SHA-256 of its DER bytes."""
    return b"certificate/" + certificate_hash.hex().encode()


class State:
    """What the ledger says now. Reads of unknown ids answer None; the reads that the rules need raise `Refused`."""

    __slots__ = ("_map", "_newest", "_records", "_written")

    def __init__(self) -> None:
        self._map = Map.empty()
        self._written: dict[bytes, bytes] = {}
        self._newest = Newest(self._map)
        self._records: dict[bytes, tuple[bytes, Any]] = {}

    @property
    def root(self) -> bytes:
        """The state root, 32 bytes, of what is settled."""
        return self._map.root

    def fork(self) -> State:
        """An independent state with the same content."""
        other = self._on(self._map)
        other._written = dict(self._written)
        return other

    def settled(self) -> State:
        """The same content with every write in the map."""
        other = self._on(self._map.set_many(self._written))
        if self._newest.of is not self._map:
            other._newest = Newest(self._map)
        other._newest.go_on(other._map, self._written)
        return other

    def prove(self, key: bytes) -> MapProof:
        """The proof of the settled value of `key`, or of its absence."""
        return self._map.prove(key)

    # --- bytes and records ---------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        value = self._written.get(key)
        if value is not None:
            return value
        return self._newest.get(key) if self._newest.of is self._map else self._map.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Let `key` hold `value`; neither is empty."""
        self._written[key] = value

    def read(self, key: bytes, kind: type[T], codec: Codec = CODEC) -> T | None:
        """The record of type `kind` at `key`, or None."""
        value = self.get(key)
        if value is None:
            return None
        cached = self._records.get(key)
        if cached is not None and cached[0] == value:
            return cast(T, cached[1])
        record = codec.decode(kind, value, limit=MAX_VALUE_BYTES)
        self._remember(key, value, record)
        return record

    def write(self, key: bytes, record: object, codec: Codec = CODEC) -> None:
        """Let `key` hold the canonical bytes of `record`."""
        value = codec.encode(record)
        self.put(key, value)
        self._remember(key, value, record)

    def _remember(self, key: bytes, value: bytes, record: object) -> None:
        # Shared by all forks: an entry counts only for the very bytes that it was decoded from.
        if len(self._records) >= _CACHED_RECORDS:
            self._records.clear()
        self._records[key] = (value, record)

    def _on(self, settled: Map) -> State:
        other = State.__new__(State)
        other._map, other._written = settled, {}
        other._newest, other._records = self._newest, self._records
        return other

    # --- the ledger's own records ----------------------------------------------------------------------

    def network(self) -> Network:
        """Roots, validators, engine, trust chain."""
        return there(self.read(NETWORK, Network))

    def parameters(self) -> Parameters:
        """The parameters in force."""
        return there(self.read(PARAMETERS, Parameters))

    def headquarters(self) -> str:
        """The code of HQ."""
        return there(self.get(HEADQUARTERS)).decode()

    def codes(self) -> tuple[str, ...]:
        """The code of every post ever admitted, sorted."""
        text = (self.get(POSTS) or b"").decode()
        return tuple(text[at : at + 3] for at in range(0, len(text), 3))

    def posts(self) -> tuple[Post, ...]:
        """Every post ever admitted, by code."""
        return tuple(there(self.post(code)) for code in self.codes())

    def post(self, code: str) -> Post | None:
        """The post, retired or not."""
        return self.read(post_key(code), Post)

    def officer(self, officer_id: bytes) -> Officer | None:
        """The officer, revoked or not."""
        return self.read(officer_key(officer_id), Officer)

    def terminal(self, terminal_id: bytes) -> Terminal | None:
        """The terminal, retired or not."""
        return self.read(terminal_key(terminal_id), Terminal)

    def roster(self, code: str) -> Roster:
        """Everybody who may act for the post; empty for an unknown post."""
        return self.read(roster_key(code), Roster) or Roster((), ())

    def shift(self, code: str) -> Shift | None:
        """Who is on duty at the post; None if nobody ever was."""
        return self.read(shift_key(code), Shift)

    def sequence(self, key_id: bytes) -> int:
        """The last sequence number that the key has used; 0 before its first."""
        value = self.get(sequence_key(key_id))
        return 0 if value is None else int.from_bytes(value, "big")

    def set_sequence(self, key_id: bytes, sequence: int) -> None:
        """Note the last sequence number that the key has used."""
        self.put(sequence_key(key_id), sequence.to_bytes(8, "big"))

    def owner(self, key_id: bytes) -> str | None:
        """Whose key this is or was, as `owner_key` says; None if it never stood on the ledger."""
        value = self.get(owner_key(key_id))
        return None if value is None else value.decode()

    def enter_key(self, key: PublicKey, owner: str) -> None:
        """Note for ever that this key is on the ledger."""
        self.put(owner_key(key.key_id), owner.encode())

    def certificate_owner(self, certificate_hash: bytes) -> str | None:
        """Whose certificate this is or was; None if it never stood on the ledger."""
        value = self.get(certificate_key(certificate_hash))
        return None if value is None else value.decode()

    def enter_certificate(self, certificate_hash: bytes, owner: str) -> None:
        """Note for ever that this certificate is on the ledger."""
        self.put(certificate_key(certificate_hash), owner.encode())

    # --- what the rules ask ----------------------------------------------------------------------------

    def active_post(self, code: str) -> Post:
        """The post. Raises `Refused` "unknown-post" or "retired-post"."""
        post = self.post(code)
        if post is None:
            raise Refused("unknown-post", f"post {code!r} is not on the ledger", hint="Check the code.", post=code)
        if not post.is_active:
            raise Refused("retired-post", f"post {code} has been retired", post=code)
        return post

    def live_officer(self, officer_id: bytes) -> Officer:
        """The officer, not revoked, suspended or not. Raises `Refused` "unknown-officer" or "revoked-officer"."""
        officer = self.officer(officer_id)
        if officer is None:
            raise Refused("unknown-officer", f"officer {officer_id.hex()} is not on the ledger")
        if officer.revoked_at:
            raise Refused("revoked-officer", f"officer {officer_id.hex()} has been revoked")
        return officer

    def active_officer(self, officer_id: bytes) -> Officer:
        """The officer, if he may act now. Raises `Refused`: as `live_officer`, "suspended-officer", "retired-post"."""
        officer = self.live_officer(officer_id)
        if officer.suspended:
            raise Refused("suspended-officer", f"officer {officer_id.hex()} is suspended")
        self.active_post(officer.post)
        return officer

    def active_terminal(self, terminal_id: bytes) -> Terminal:
        """The terminal, if it and its officer may act now. Raises `Refused`: as `active_officer`, "unknown-terminal",
        "retired-terminal"."""
        terminal = self.terminal(terminal_id)
        if terminal is None:
            raise Refused("unknown-terminal", f"terminal {terminal_id.hex()} is not on the ledger")
        if not terminal.is_active:
            raise Refused("retired-terminal", f"terminal {terminal_id.hex()} has been retired")
        self.active_officer(terminal.officer_id)
        return terminal

    def may_act(self, officer_id: bytes) -> bool:
        """May this officer sign anything now?"""
        try:
            self.active_officer(officer_id)
        except Refused:
            return False
        return True

    def officer_of_key(self, key_id: bytes) -> Officer | None:
        """The active officer whose present key this is, or None."""
        owner = self.owner(key_id)
        if owner is None or not owner.startswith("officer/"):
            return None
        officer = self.officer(bytes.fromhex(owner.removeprefix("officer/")))
        if officer is None or officer.key.key_id != key_id or not self.may_act(officer.officer_id):
            return None
        return officer

    def active_with_role(self, code: str, role: Role) -> tuple[Officer, ...]:
        """The post's active officers who hold `role`, by id."""
        officers = (there(self.officer(one)) for one in self.roster(code).officer_ids)
        return tuple(one for one in officers if one.has_role(role) and self.may_act(one.officer_id))


def there(value: T | None) -> T:
    """A record that the rules have made sure of. Its absence is a defect of this program, not of its input."""
    if value is None:
        raise LookupError("a record that must be in the state is not there")
    return value
