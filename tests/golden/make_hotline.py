"""Writes hotline-v1.json: a call's set-up, one direction's frames with a renewal, an Ack, and the transcript.

Run once for a format and never again for the same: `PYTHONPATH=.:tests python tests/golden/make_hotline.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from golden.make_cable import hexed

from crypto_msg.channel import Channel
from crypto_msg.channel_actions import Send, Side
from crypto_msg.hotline import encode_transcript, make_confirmation, make_end, transcript_item_hash
from crypto_msg.hotline_wire import End, FrameKind, Line, Reason
from support.cables import NETWORK_ID
from support.hotcalls import AT, CALL_ID, CALLED, CALLER, keys_of_caller, set_up

WORDS = ("ঢাকা ডাকছে", "Can you hear us?", "Under the new keys.")


def golden() -> dict[str, object]:
    """Everything in the file."""
    call = set_up()
    keys = keys_of_caller(call)
    signature = make_confirmation(call.ring_hash, call.answer_hash, NETWORK_ID, CALLER.terminal_signer)
    channel = Channel(Side.CALLER, CALL_ID, keys, dict, lambda _: None, 0.0)
    actions = channel.confirm(signature, AT + 6, 0.0)
    actions += channel.say(WORDS[0], AT + 7, 0.0)
    actions += channel.say(WORDS[1], AT + 8, 0.0)
    actions += channel.renew(CALLED.bundle, AT + 9, 0.0)
    actions += channel.say(WORDS[2], AT + 10, 0.0)
    actions += channel.hang_up(0.0)
    actions += channel.tick(10.0)
    sent = [one for one in actions if isinstance(one, Send)]
    end = End(call.ring_hash, CALLED.terminal.terminal_id, Reason.BUSY, AT)
    lines = tuple(
        Line(number, AT + 5 + place, text) for number, place, text in zip((2, 3, 5), (2, 3, 5), WORDS, strict=True)
    )
    transcript = encode_transcript(call.ring_bytes, call.answer_bytes, lines, ())
    return {
        "network_id": NETWORK_ID,
        "caller": asdict(CALLER.terminal),
        "called": asdict(CALLED.terminal),
        "caller_prekey_seed": CALLER.prekey.seed,
        "called_prekey_seed": CALLED.prekey.seed,
        "caller_bundle_hash": CALLER.bundle.bundle_hash,
        "called_bundle_hash": CALLED.bundle.bundle_hash,
        "ring": call.ring_bytes,
        "answer": call.answer_bytes,
        "end": make_end(end, NETWORK_ID, CALLED.terminal_signer),
        "keys": {side: asdict(getattr(keys, side)) for side in ("caller", "called")},
        "frames": [one.content for one in sent if one.kind == FrameKind.DATA],
        "ack": next(one.content for one in sent if one.kind == FrameKind.ACK),
        "lines": [asdict(one) for one in lines],
        "transcript": transcript,
        "item_hash": transcript_item_hash(transcript),
    }


if __name__ == "__main__":
    with Path(__file__).with_name("hotline-v1.json").open("x", encoding="utf-8") as file:
        json.dump(hexed(golden()), file, indent=1)
        file.write("\n")
