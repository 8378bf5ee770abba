"""The hotline call that version 1 once set up can be heard for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crypto_msg.channel import Channel
from crypto_msg.channel_actions import Ended, Established, Heard, Send, Side
from crypto_msg.hotkeys import call_keys, open_answer_secret, open_ring_secret
from crypto_msg.hotline import (
    decode_transcript,
    signed_hash,
    transcript_item_hash,
    verify_answer,
    verify_confirmation,
    verify_end,
    verify_ring,
)
from crypto_msg.hotline_wire import CODEC, Ack, FrameKind, Reason
from keys.prekey import Prekey
from keys.signing import DirectVerifier
from ledger.records import Terminal
from support.hotcalls import CALL_ID, CALLED_SECRET, CALLER_SECRET

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "hotline-v1.json").read_text("utf-8"))


def raw(name: str) -> bytes:
    return bytes.fromhex(GOLDEN[name])


def terminal(name: str) -> Terminal:
    plain = {
        key: bytes.fromhex(one) if isinstance(one, str) and key != "post" else one for key, one in GOLDEN[name].items()
    }
    return Terminal(**plain)


def test_the_golden_call_is_set_up_heard_and_remembered() -> None:
    network_id, checks = raw("network_id"), DirectVerifier()
    ring = verify_ring(raw("ring"), network_id, terminal("caller"), checks)
    ring_hash, answer_hash = signed_hash(raw("ring")), signed_hash(raw("answer"))
    answer = verify_answer(raw("answer"), ring, ring_hash, network_id, terminal("called"), checks)
    assert verify_end(raw("end"), ring, ring_hash, network_id, terminal("called"), checks).reason == Reason.BUSY
    prekeys = {raw(f"{side}_bundle_hash"): Prekey(raw(f"{side}_prekey_seed")) for side in ("caller", "called")}
    secrets = open_ring_secret(ring, prekeys), open_answer_secret(answer, prekeys)
    assert secrets == (CALLER_SECRET, CALLED_SECRET)
    keys = call_keys(network_id, ring_hash, answer_hash, *secrets)
    kept = {side: {name: bytes.fromhex(key) for name, key in GOLDEN["keys"][side].items()} for side in GOLDEN["keys"]}
    assert {side: {name: getattr(getattr(keys, side), name) for name in kept[side]} for side in kept} == kept

    def check(signature: bytes) -> None:
        verify_confirmation(signature, ring_hash, answer_hash, network_id, terminal("caller"), checks)

    channel = Channel(Side.CALLED, ring.call_id, keys, lambda: prekeys, check, 0.0)
    actions = [
        one for frame in GOLDEN["frames"] for one in channel.received_frame(FrameKind.DATA, bytes.fromhex(frame), 0.0)
    ]
    heard = [
        {"number": one.number, "at": one.talk.at, "text": one.talk.text} for one in actions if isinstance(one, Heard)
    ]
    assert heard == GOLDEN["lines"]
    assert Established() in actions and not any(isinstance(one, Ended) for one in actions)
    assert any(isinstance(one, Send) for one in actions)


def test_the_golden_ack_is_one_of_the_callers() -> None:
    channel = Channel(Side.CALLED, CALL_ID, _keys(), dict, lambda _: None, 0.0)
    assert channel.received_frame(FrameKind.ACK, raw("ack"), 0.0) == []
    assert CODEC.decode(Ack, raw("ack"), limit=100).beat == 1


def _keys() -> Any:
    ring_hash, answer_hash = signed_hash(raw("ring")), signed_hash(raw("answer"))
    return call_keys(raw("network_id"), ring_hash, answer_hash, CALLER_SECRET, CALLED_SECRET)


def test_the_golden_transcript_is_read_and_has_its_hash() -> None:
    transcript = decode_transcript(raw("transcript"))
    assert (transcript.ring, transcript.answer) == (raw("ring"), raw("answer"))
    assert [{"number": one.number, "at": one.at, "text": one.text} for one in transcript.caller] == GOLDEN["lines"]
    assert transcript_item_hash(raw("transcript")) == raw("item_hash")
