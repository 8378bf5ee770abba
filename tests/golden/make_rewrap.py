"""Writes rewrap-v1.json: a NAK and the re-wrap that answers it, with the key that opens it.

Run once for a format and never again for the same: `PYTHONPATH=.:tests python tests/golden/make_rewrap.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from golden.make_cable import hexed

from crypto_msg.nak import make_nak
from crypto_msg.rewrap import Content, make_rewrap
from crypto_msg.wire import Nak
from support.cables import NETWORK_ID, SIZE, small_world

ENVELOPE_ID = bytes(range(32))


def golden() -> dict[str, object]:
    """Everything in the file."""
    world = small_world()
    reader, origin, deputy = world.seats["del1"], world.seats["dha1"], world.seats["dha2"]
    sealed_by, asked = origin.terminal.terminal_id, reader.terminal.terminal_id
    nak = Nak(ENVELOPE_ID, asked, 1, reader.bundle.bundle_hash, SIZE, sealed_by, 0)
    missing = Nak(b"", asked, 3, reader.bundle.bundle_hash, SIZE, sealed_by, 4)
    content = Content(bytes(range(32, 64)), 9, sealed_by, 0)
    return {
        "network_id": NETWORK_ID,
        "reader": asdict(reader.terminal),
        "reader_prekey_seed": reader.prekey.seed,
        "reader_bundle_hash": reader.bundle.bundle_hash,
        "deputy": asdict(deputy.terminal),
        "nak": make_nak(nak, NETWORK_ID, reader.terminal_signer),
        "nak_fields": asdict(nak),
        "missing": make_nak(missing, NETWORK_ID, reader.terminal_signer),
        "missing_fields": asdict(missing),
        "rewrap": make_rewrap(ENVELOPE_ID, content, reader.bundle, SIZE, NETWORK_ID, deputy.terminal_signer),
        "content": asdict(content),
    }


if __name__ == "__main__":
    with Path(__file__).with_name("rewrap-v1.json").open("x", encoding="utf-8") as file:
        json.dump(hexed(golden()), file, indent=1)
        file.write("\n")
