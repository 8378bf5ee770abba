"""A request file: entries that wait for supervisors' signatures, carried to them (docs/protocol/terminal-folder.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.entry import decode_entry, make_leaf
from ledger.wire import Entry, Signature
from protos.errors import Malformed

FORMAT = "dutabarta/v1/request"
MAX_REQUEST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Pending:
    """The bytes of an entry, its author's key id, and the signatures so far, the author's among them."""

    entry: bytes
    author: bytes
    signatures: tuple[Signature, ...]

    @property
    def content(self) -> Entry:
        return decode_entry(self.entry)

    @property
    def signers(self) -> frozenset[bytes]:
        return frozenset(one.key_id for one in self.signatures)

    def with_signature(self, one: Signature) -> Pending:
        return replace(self, signatures=(*self.signatures, one))

    def leaf(self) -> bytes:
        """The leaf to submit. Raises as `make_leaf`."""
        return make_leaf(self.entry, self.signatures, self.author)


@dataclass(frozen=True, slots=True)
class NameOpening:
    """An officer's name with the salt of its commitment."""

    officer_id: bytes
    salt: bytes = field(repr=False)
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """Entries to submit in order, once every one has its signatures. `duty_list`: of a hand-over, canonical bytes."""

    network_id: bytes
    entries: tuple[Pending, ...]
    opening: NameOpening | None = None
    duty_list: bytes = b""

    def format(self) -> str:
        """The file's text: JSON, bytes in hex."""
        opening = self.opening and {
            "officer_id": self.opening.officer_id.hex(),
            "salt": self.opening.salt.hex(),
            "name": self.opening.name,
        }
        entries = [_entry_json(one) for one in self.entries]
        whole = {"format": FORMAT, "network": self.network_id.hex(), "entries": entries, "opening": opening}
        if self.duty_list:
            whole["list"] = self.duty_list.hex()
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def parse_request(data: bytes) -> Request:
    """Raises `Malformed("not-a-request")`; entries are decoded, no signature is verified."""
    try:
        if len(data) > MAX_REQUEST_BYTES:
            raise ValueError("size")
        whole = json.loads(data)
        if whole["format"] != FORMAT:
            raise ValueError("format")
        entries = tuple(_entry(one) for one in whole["entries"])
        for one in entries:
            decode_entry(one.entry)
        duty_list = bytes.fromhex(whole.get("list", ""))
        return Request(bytes.fromhex(whole["network"]), entries, _opening(whole["opening"]), duty_list)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise Malformed(
            "not-a-request", "this is no request file", hint="give the file that `officer enrol` wrote"
        ) from problem


def _entry_json(one: Pending) -> dict[str, object]:
    signatures = [{"key": s.key_id.hex(), "signature": s.signature.hex()} for s in one.signatures]
    return {"kind": one.content.kind, "entry": one.entry.hex(), "author": one.author.hex(), "signatures": signatures}


def _entry(one: dict[str, Any]) -> Pending:
    signatures = tuple(Signature(bytes.fromhex(s["key"]), bytes.fromhex(s["signature"])) for s in one["signatures"])
    return Pending(bytes.fromhex(one["entry"]), bytes.fromhex(one["author"]), signatures)


def _opening(one: dict[str, str] | None) -> NameOpening | None:
    if one is None:
        return None
    return NameOpening(bytes.fromhex(one["officer_id"]), bytes.fromhex(one["salt"]), str(one["name"]))
