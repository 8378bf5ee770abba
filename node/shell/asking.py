"""NAKs, re-wraps, escalations and added wraps as items of the courier: small, without a body, to a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_msg.addition import read_added_wrap
from crypto_msg.escalation import read_sealed_escalation
from crypto_msg.nak import read_nak
from crypto_msg.rewrap import read_rewrap
from ledger.state import State
from node.courier import ItemKind, Parcel
from node.shell.itemchecks import item_id
from node.store.courier import CourierItem
from protos.errors import Refused

PRECEDENCE = 3
"""IMMEDIATE: somebody waits. An escalation has it whatever its cable has: so it does not say which."""


@dataclass(frozen=True, slots=True)
class Asking:
    """An item that begins its way here, and who says to have signed it; empty if only its reader can see that."""

    item: CourierItem
    signer_id: bytes


def asking_item(kind: int, content: bytes, post: str, state: State) -> Asking:
    """The item of a slip of these kinds handed in at `post`; its signature is not checked.

    Raises `Malformed`, `Refused`.
    """
    if kind == ItemKind.NAK:
        nak = read_nak(content)
        envelope_id, signer_id, to = nak.envelope_id, nak.terminal_id, nak.origin_terminal_id
    elif kind == ItemKind.ADDED_WRAP:
        added, head = read_added_wrap(content)
        envelope_id, signer_id, to = head.envelope_id, added.by_terminal_id, added.terminal_id
    elif kind == ItemKind.ESCALATION:
        envelope_id, signer_id, to = b"", b"", read_sealed_escalation(content).terminal_id
    else:
        rewrap = read_rewrap(content)
        envelope_id, signer_id, to = rewrap.envelope_id, rewrap.by_terminal_id, rewrap.terminal_id
    terminal = state.terminal(to)
    if terminal is None:
        raise Refused("unknown-terminal", f"terminal {to.hex()[:16]} is not on the ledger", hint="synchronise")
    name = item_id(kind, terminal.post, content)
    return Asking(
        CourierItem(Parcel(name, kind, post, terminal.post, PRECEDENCE, 0, 0), envelope_id, content), signer_id
    )
