"""The one ordered list of Modules beside the ledger's own: for sequencer, follower, simulator and audit. Core only."""

from __future__ import annotations

from crypto_msg.prekey import PrekeyModule
from ledger.module import Module

MODULES: tuple[Module, ...] = (PrekeyModule(),)
