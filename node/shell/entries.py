"""Bringing entries into a block: the same bytes, to any validator, until the log has them or they are refused."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from ledger.merkle import leaf_hash
from node.links import Links
from node.sequence import ACCEPTED, PENDING, UNKNOWN, UNSETTLED, EntryOutcome, is_credible
from node.shell.ledger import LedgerShell
from node.store import deposits
from protos import node_pb2 as pb
from protos.errors import DutabartaError

_log = logging.getLogger(__name__)
SETTLE_SECONDS = 10.0
SUBMIT_AGAIN_SECONDS = 3.0
LOOK_SECONDS = 1.0


class Entries:
    """Entries handed in at this node."""

    def __init__(self, ledger: LedgerShell, links: Links) -> None:
        self._ledger = ledger
        self._links = links
        self._known = 0

    async def submit(self, leaf: bytes) -> EntryOutcome:
        """Take an entry from a terminal: keep it durably, bring it to a validator, wait a little for its result."""
        known = self.result(leaf)
        if known.code == ACCEPTED:
            return known
        with self._ledger.database.write() as tx:
            deposits.submit(tx, leaf, self._ledger.clock())
        outcome = await self.bring(leaf)
        if outcome.code not in UNSETTLED | {ACCEPTED}:
            with self._ledger.database.write() as tx:
                deposits.settle_refused(tx, leaf, outcome.code, outcome.text, self._ledger.clock())
        return outcome

    async def bring(self, leaf: bytes) -> EntryOutcome:
        """Hand the entry to the own sequencer, else to the first validator that answers.

        A refusal counts only of a log that holds all that is known here to be on it.
        """
        if self._ledger.is_validator:
            return await self.order(leaf)
        for post in self._ledger.sequencers():
            try:
                answer = await self._links.call(post, lambda stub: stub.SubmitEntry, pb.EntryBytes(leaf=leaf))
            except DutabartaError as problem:
                _log.info("%s does not take an entry: %s", post, problem.code)
                continue
            if answer.code == ACCEPTED:
                self._known = max(self._known, answer.index + 1)
            if is_credible(answer.code, answer.size, max(self._known, self._ledger.chain.size)):
                return EntryOutcome(answer.code, answer.text, answer.index)
            _log.info("%s refuses an entry (%s), but its log is behind", post, answer.code)
        return EntryOutcome(PENDING, "no validator with a whole log is reachable; the node sends the entry again")

    async def order(self, leaf: bytes) -> EntryOutcome:
        """At a validator: into the next block. Waits a little for the result. Raises `Refused` elsewhere."""
        outcome, sequencer = self._ledger.submit(leaf), self._ledger.sequencer
        if outcome.code != PENDING or sequencer is None:
            return outcome
        entry_hash = leaf_hash(leaf)
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while outcome.code == PENDING:
                    await self._ledger.pulse.wait(LOOK_SECONDS)
                    outcome = sequencer.outcome(entry_hash)
        return outcome

    def result(self, leaf: bytes) -> EntryOutcome:
        """What became of an entry: the own log first, then what a validator said."""
        index = self._ledger.index_of(leaf_hash(leaf))
        if index is not None:
            return EntryOutcome(ACCEPTED, "on the ledger", index)
        with self._ledger.database.read() as tx:
            known = deposits.submitted(tx, leaf)
        if known is None:
            return EntryOutcome(UNKNOWN, "no such entry has come")
        return EntryOutcome(known.code, known.text)

    async def resubmit_for_ever(self) -> None:
        """Bring every unsettled entry again, from before a restart too."""
        while True:
            with self._ledger.database.read() as tx:
                waiting = deposits.unsettled(tx)
            for one in waiting:
                await self._again(one.leaf)
            await asyncio.sleep(SUBMIT_AGAIN_SECONDS)

    async def _again(self, leaf: bytes) -> None:
        if self.result(leaf).code == ACCEPTED:
            with self._ledger.database.write() as tx:
                deposits.settle_accepted(tx, [leaf])
        elif (outcome := await self.bring(leaf)).code not in UNSETTLED | {ACCEPTED}:
            with self._ledger.database.write() as tx:
                deposits.settle_refused(tx, leaf, outcome.code, outcome.text, self._ledger.clock())
