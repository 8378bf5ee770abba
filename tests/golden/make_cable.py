"""Writes cable-v1.json: one sealed cable, its bundle and receipts, with the keys that open them.

Run once for a format and never again for the same: `PYTHONPATH=.:tests python tests/golden/make_cable.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from crypto_msg.cable import Addressee, Classification, Precedence, Relation
from crypto_msg.prekey import bundle_for, bundle_hash, make_bundle
from crypto_msg.receipt import make_receipt, seal_receipt
from crypto_msg.wire import Receipt
from support.cable_strategies import BENGALI
from support.cables import NETWORK_ID, SIZE, World, attach, plain_draft, small_world

FILES = (b"A file with \x00 bytes.\n" * 40, b"")


def hexed(value: object) -> object:
    """The value with all bytes in hex, for JSON."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: hexed(one) for key, one in value.items()}
    return [hexed(one) for one in value] if isinstance(value, list | tuple) else value


def records(world: World) -> dict[str, object]:
    """The state at S as the reader saw it: no secrets."""
    seats = [world.seats[name] for name in ("dha1", "dha2", "del1")]
    return {
        "posts": [asdict(world.codes[code]) for code in ("DHA", "DEL", "LON")],
        "officers": [asdict(one.officer) for one in seats],
        "terminals": [asdict(one.terminal) for one in seats],
    }


def golden() -> dict[str, object]:
    """Everything in the file."""
    world = small_world()
    draft = plain_draft(
        action=(Addressee("ALL-MISSIONS", Precedence.IMMEDIATE),),
        info=(Addressee("DHA", Precedence.FLASH),),
        precedence=Precedence.FLASH,
        classification=Classification.SECRET,
        caveats=("EYES ONLY",),
        subject=BENGALI,
        tags=("consular",),
        references=("DHA 12/2026",),
        paragraphs=(BENGALI, "Line one.\r\nLine two.", ""),
        attachments=(attach("মানচিত্র.bin", FILES[0]), attach("empty", FILES[1], "text/plain")),
        relations=(Relation(1, bytes(range(32))),),
    )
    sealed = world.seal(draft, "dha1", [world.seats["dha2"].sign(draft)], FILES)
    reader, origin = world.seats["del1"], world.seats["dha1"]
    bundle = make_bundle(
        bundle_for(NETWORK_ID, reader.terminal.terminal_id, 1, reader.prekey.public_key),
        reader.officer_signer,
        reader.terminal_signer,
    )
    receipt = make_receipt(
        Receipt(
            2,
            sealed.head.envelope_id,
            sealed.head.body_root,
            sealed.inner_hash,
            "DEL",
            reader.terminal.terminal_id,
            SIZE,
            bytes(32),
            1_795_444_200,
        ),
        NETWORK_ID,
        reader.terminal_signer,
    )
    return {
        "network_id": NETWORK_ID,
        "size": SIZE,
        "reader": reader.terminal.terminal_id,
        "reader_prekey_seed": reader.prekey.seed,
        "reader_bundle_hash": reader.bundle.bundle_hash,
        "origin_prekey_seed": origin.prekey.seed,
        "origin_bundle_hash": origin.bundle.bundle_hash,
        **records(world),
        "head": sealed.envelope.head,
        "body": sealed.envelope.body,
        "envelope_id": sealed.head.envelope_id,
        "inner_hash": sealed.inner_hash,
        "draft": asdict(draft),
        "attachments": FILES,
        "bundle": bundle,
        "bundle_hash": bundle_hash(bundle),
        "receipt": receipt,
        "sealed_receipt": seal_receipt(receipt, origin.bundle),
    }


if __name__ == "__main__":
    with Path(__file__).with_name("cable-v1.json").open("x", encoding="utf-8") as file:
        json.dump(hexed(golden()), file, ensure_ascii=False, indent=1)
        file.write("\n")
