"""Where the ledger's actions go that need a link."""

from __future__ import annotations

from typing import Protocol

from node.actions import Action


class Outbox(Protocol):
    """Where actions that need a link go; the answers come back as events of `LedgerShell`."""

    def send(self, action: Action) -> None:
        """Carry out FetchBlocks, DropPeer, SendCosignature, AskOwnNewest or SubmitEntry, without blocking."""
