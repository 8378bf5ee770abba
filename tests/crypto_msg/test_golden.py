"""What version 1 once wrote stays readable for ever: cable, bundle and receipts from a file, with the keys in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crypto_msg.envelope import check_head, decode_head, encode_head, verify_body
from crypto_msg.opening import OpenedCable, Reader, open_cable
from crypto_msg.prekey import bundle_hash, verify_bundle
from crypto_msg.receipt import open_receipt, verify_receipt
from crypto_msg.wire import CODEC, Draft, Prekey, encode_draft
from keys import prekey as xwing
from keys.public import PublicKey
from keys.signing import DirectVerifier
from ledger.records import Officer, Post, Shift, Terminal
from protos import cable_pb2

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "cable-v1.json").read_text("utf-8"))


def raw(name: str) -> bytes:
    return bytes.fromhex(GOLDEN[name])


class Records:
    """The View in the golden file."""

    def __init__(self) -> None:
        texts = ("post", "code", "address", "reason")
        self.known = [Post(**_unhexed(one, texts)) for one in GOLDEN["posts"]]
        self.terminals = [Terminal(**_unhexed(one, texts)) for one in GOLDEN["terminals"]]
        self.officers = [
            Officer(**_unhexed({**one, "key": None}, texts) | {"key": _key(one["key"]), "roles": tuple(one["roles"])})
            for one in GOLDEN["officers"]
        ]

    def posts(self) -> list[Post]:
        return self.known

    def post(self, code: str) -> Post | None:
        return next((one for one in self.known if one.code == code), None)

    def terminal(self, terminal_id: bytes) -> Terminal | None:
        return next((one for one in self.terminals if one.terminal_id == terminal_id), None)

    def officer(self, officer_id: bytes) -> Officer | None:
        return next((one for one in self.officers if one.officer_id == officer_id), None)

    def officer_of_key(self, key_id: bytes) -> Officer | None:
        return next((one for one in self.officers if one.key.key_id == key_id), None)

    def shift(self, code: str) -> Shift | None:
        return None


def _key(value: dict[str, Any]) -> PublicKey:
    return PublicKey(value["suite"], bytes.fromhex(value["key"]))


def _unhexed(record: dict[str, Any], texts: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: bytes.fromhex(value) if isinstance(value, str) and name not in texts else value
        for name, value in record.items()
    }


@pytest.fixture(scope="module")
def opened() -> OpenedCable:
    prekeys = {raw("reader_bundle_hash"): xwing.Prekey(raw("reader_prekey_seed"))}
    reader = Reader(raw("network_id"), raw("reader"), prekeys, Records(), DirectVerifier())
    return open_cable(decode_head(raw("head")), raw("body"), reader)


def test_the_golden_cable_opens(opened: OpenedCable) -> None:
    draft = GOLDEN["draft"]
    assert opened.envelope_id == raw("envelope_id")
    assert opened.inner_hash == raw("inner_hash")
    assert opened.attachments == tuple(map(bytes.fromhex, GOLDEN["attachments"]))
    assert (opened.draft.subject, list(opened.draft.paragraphs)) == (draft["subject"], draft["paragraphs"])
    assert [one.name for one in opened.draft.attachments] == [one["name"] for one in draft["attachments"]]
    assert (opened.inner.serial, opened.inner.year, opened.inner.dtg) == (1, 2026, "231430ZNOV26")
    assert opened.posts == ("DEL", "DHA", "LON")
    assert opened.inner.drafter != opened.inner.releaser


def test_the_golden_bytes_are_still_what_is_written(opened: OpenedCable) -> None:
    head = decode_head(raw("head"))
    assert encode_head(head) == raw("head")
    assert CODEC.encode(opened.outer) == head.outer
    assert encode_draft(opened.draft) == opened.inner.draft


def test_a_relay_accepts_the_golden_cable(opened: OpenedCable) -> None:
    head = decode_head(raw("head"))
    check_head(head, raw("network_id"), Records().terminal(opened.outer.terminal_id), DirectVerifier())
    verify_body(head, raw("body"))


def test_the_golden_bundle_is_verified() -> None:
    view = Records()
    terminal = view.terminal(raw("reader"))
    assert terminal is not None
    officer = view.officer(terminal.officer_id)
    assert officer is not None
    record = Prekey(raw("reader"), 1, raw("bundle_hash"))
    assert bundle_hash(raw("bundle")) == raw("bundle_hash")
    verify_bundle(raw("bundle"), raw("network_id"), record, terminal, officer, DirectVerifier())


def test_the_golden_receipt_opens(opened: OpenedCable) -> None:
    prekeys = {raw("origin_bundle_hash"): xwing.Prekey(raw("origin_prekey_seed"))}
    signed = open_receipt(raw("sealed_receipt"), prekeys)
    assert signed == raw("receipt")
    receipt = verify_receipt(signed, raw("network_id"), Records().terminal(raw("reader")), DirectVerifier())
    assert (receipt.envelope_id, receipt.inner_hash) == (opened.envelope_id, opened.inner_hash)


def test_the_field_numbers_stay() -> None:
    """Renumbering a field would make every golden byte unreadable; removing one, every later cable."""
    numbers = {one.name: one.number for one in cable_pb2.Draft.DESCRIPTOR.fields}
    assert numbers == {name: at for at, name in enumerate(Draft.__dataclass_fields__, 1)}
