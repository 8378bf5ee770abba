"""What the relay is told, over DIR/relay.sock (mode 0600): one JSON object a line, one answered line each.

{"do": "cut", "from": [CODE...], "to": [CODE...]}      nothing goes from those to these any more
{"do": "heal"}                                         undo all cuts
{"do": "shape", "post": CODE, "kbit": N, "delay_ms": N, "loss_percent": N}
{"do": "state"}

An answer is {"ok": true, "state": {...}} or {"ok": false, "text": why}.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from node.abci.sockets import socket_address
from protos.errors import Refused, Unavailable
from testnet.lines import MAX_DELAY_MS, MAX_KBIT, MAX_LOSS_PERCENT, Lines, Shape

SOCKET = "relay.sock"
MAX_ORDER_BYTES = 64 * 1024
ANSWER_SECONDS = 30.0


def answer(lines: Lines, line: bytes, connections: int = 0) -> bytes:
    """Carry out one order; the line that answers it."""
    try:
        _obey(lines, json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        return _line({"ok": False, "text": f"not an order: {type(problem).__name__} {problem}"[:300]})
    return _line({"ok": True, "state": {**state_of(lines), "connections": connections}})


def state_of(lines: Lines) -> dict[str, Any]:
    """Cuts, shapes, and the bytes each post has sent and received."""
    sent, received = Counter[str](), Counter[str]()
    for (source, target), size in lines.carried.items():
        sent[source] += size
        received[target] += size
    return {
        "cuts": sorted(lines.cuts),
        "shapes": {code: asdict(shape) for code, shape in sorted(lines.shapes.items())},
        "sent_bytes": dict(sorted(sent.items())),
        "received_bytes": dict(sorted(received.items())),
    }


def _obey(lines: Lines, order: dict[str, Any]) -> None:
    match order["do"]:
        case "cut":
            lines.cut(_codes(lines, order["from"]), _codes(lines, order["to"]))
        case "heal":
            lines.heal()
        case "shape":
            shape = Shape(*(order[name] for name in ("kbit", "delay_ms", "loss_percent")))
            check_shape(shape)
            lines.shape(_codes(lines, [order["post"]])[0], shape)
        case "state":
            pass
        case other:
            raise ValueError(f"no order {other!r}")


def check_shape(shape: Shape) -> None:
    """Raises ValueError for what no line can be."""
    bounds = ((shape.kbit, MAX_KBIT), (shape.delay_ms, MAX_DELAY_MS), (shape.loss_percent, MAX_LOSS_PERCENT))
    if not all(0 <= value <= most for value, most in bounds):
        raise ValueError(f"a line of at most {MAX_KBIT} kbit/s, {MAX_DELAY_MS} ms and {MAX_LOSS_PERCENT:g} % loss")


def _codes(lines: Lines, codes: Sequence[str]) -> list[str]:
    if unknown := set(codes) - lines.codes:
        raise ValueError(f"no post {sorted(unknown)[0]}")
    return list(codes)


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


class RelayControl:
    """Tells the relay of a test network what to do. Every method raises `Unavailable("relay-down")`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SOCKET

    def cut(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        """Nothing goes from any of `sources` to any of `targets` any more."""
        self._order({"do": "cut", "from": list(sources), "to": list(targets)})

    def heal(self) -> None:
        """Undo all cuts; shapes stay."""
        self._order({"do": "heal"})

    def shape(self, code: str, shape: Shape) -> None:
        """Give a post's line this shape; a plain `Shape()` takes it away."""
        self._order({"do": "shape", "post": code, **asdict(shape)})

    def state(self) -> dict[str, Any]:
        """`cuts`, `shapes`, `sent_bytes` and `received_bytes` by post, `connections`."""
        found: dict[str, Any] = self._order({"do": "state"})["state"]
        return found

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket_address(self._path) as address, socket.socket(socket.AF_UNIX) as line:
                line.settimeout(ANSWER_SECONDS)
                line.connect(address)
                line.sendall(_line(order))
                with line.makefile("rb") as answers:
                    found: dict[str, Any] = json.loads(answers.readline())
        except (OSError, ValueError) as problem:
            hint = "its links are down with it; `dutabarta testnet start` brings it back"
            raise Unavailable("relay-down", "the relay of this test network does not answer", hint=hint) from problem
        if not found["ok"]:
            raise Refused("bad-order", str(found["text"]), hint="see the limits in the command's --help")
        return found
