"""The roster: the ledger's own Module of officers and terminals (docs/protocol/ledger.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger import bodies
from ledger.module import Authority, Context
from ledger.officers import OFFICER_RULES
from ledger.terminals import TERMINAL_RULES
from ledger.wire import CODEC

_RULES = OFFICER_RULES | TERMINAL_RULES


class RosterModule:
    """The rules of the roster kinds."""

    name = "roster"
    kinds: Mapping[str, type[Any]] = {
        "officer-enrolled": bodies.OfficerEnrolled,
        "officer-changed": bodies.OfficerChanged,
        "officer-suspended": bodies.OfficerSuspended,
        "officer-revoked": bodies.OfficerRevoked,
        "officer-rotated": bodies.OfficerRotated,
        "terminal-enrolled": bodies.TerminalEnrolled,
        "terminal-retired": bodies.TerminalRetired,
    }
    codec = CODEC

    def check(self, context: Context) -> Authority:
        """Who must have signed, by kind."""
        check, _ = _RULES[context.entry.kind]
        return check(context)

    def apply(self, context: Context) -> None:
        """Change the record and, where somebody comes or leaves, the roster of the post."""
        _, apply = _RULES[context.entry.kind]
        apply(context)
