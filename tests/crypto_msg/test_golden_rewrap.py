"""The NAKs and the re-wrap that version 1 once wrote stay readable for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crypto_msg.nak import make_nak, verify_nak
from crypto_msg.rewrap import Content, open_rewrap, read_rewrap, verify_rewrap
from crypto_msg.wire import Nak
from keys.prekey import Prekey
from keys.signing import DirectVerifier
from ledger.records import Terminal
from support.cables import NETWORK_ID, small_world

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "rewrap-v1.json").read_text("utf-8"))


def raw(name: str) -> bytes:
    return bytes.fromhex(GOLDEN[name])


def fields(name: str) -> dict[str, Any]:
    texts = ("post", "reason") if name in ("reader", "deputy") else ()
    return {
        key: bytes.fromhex(value) if isinstance(value, str) and key not in texts else value
        for key, value in GOLDEN[name].items()
    }


def test_the_golden_naks_are_verified_and_still_written() -> None:
    terminal = Terminal(**fields("reader"))
    for name in ("nak", "missing"):
        nak = verify_nak(raw(name), raw("network_id"), terminal, DirectVerifier())
        assert nak == Nak(**fields(f"{name}_fields"))
        assert make_nak(nak, NETWORK_ID, small_world().seats["del1"].terminal_signer) == raw(name)


def test_the_golden_rewrap_opens() -> None:
    terminal = Terminal(**fields("deputy"))
    rewrap = verify_rewrap(raw("rewrap"), raw("network_id"), terminal, DirectVerifier())
    assert rewrap == read_rewrap(raw("rewrap"))
    prekeys = {raw("reader_bundle_hash"): Prekey(raw("reader_prekey_seed"))}
    assert open_rewrap(rewrap, prekeys) == Content(**fields("content"))
