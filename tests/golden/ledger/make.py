"""Writes the golden files of checkpoint, policy, item proof, map proof and frontier, once for each format version.

    PYTHONPATH=.:tests python tests/golden/ledger/make.py FOLDER

Files in the repository are never made again: a later version of the code must go on reading them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ledger.map import Map, encode_map_proof
from support.witnesses import AnchoredItem, Witnesses

CONTENTS = {b"post/%c%c%c" % (65 + at, 66 + at, 67 + at): b"value %d" % at for at in range(20)}


def files() -> dict[str, bytes]:
    """The golden files by name."""
    anchored = AnchoredItem(Witnesses(("DHA", "DEL", "LON", "WAS"), ("PAR", "ROM", "TYO")))
    note = anchored.witnesses.note(anchored.witnesses.checkpoint(anchored.tree))
    state = Map.empty()
    for key, value in CONTENTS.items():
        state = state.set(key, value)
    return {
        "policy": anchored.witnesses.policy_text.encode(),
        "checkpoint": note.encode(),
        "item.tlog-proof": anchored.proof(anchored.witnesses.policy.minimal(note)).encode(),
        "present.map-proof": encode_map_proof(state.prove(b"post/DEF")),
        "absent.map-proof": encode_map_proof(state.prove(b"post/ZZZ")),
        "frontier": anchored.tree.frontier().encode(),
    }


if __name__ == "__main__":
    for name, data in files().items():
        (Path(sys.argv[1]) / name).write_bytes(data)
