"""The stored log is read again while the node runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from ledger.merkle import Frontier, leaf_hash
from node import actions as act
from node.shell.recovery import COSIGNER
from node.shell.rereading import Rereading
from node.store import log
from node.store.database import Database
from node.store.log import SignState, StoredBlock

BLOCKS = 50


class Ledger(SimpleNamespace):
    """As much of the ledger's shell as re-reading needs: the store, and what it was told to do."""

    def __init__(self, database: Database) -> None:
        super().__init__(database=database, post="DEL", done=[])

    def perform(self, actions: list[act.Action]) -> None:
        self.done += actions


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Fifty blocks of two leaves, signed but for the last one."""
    store, frontier = Database.open_file(tmp_path / "node.db"), Frontier()
    with store.write() as tx:
        for number in range(BLOCKS):
            leaves = (b"entry %d" % number, b"record %d" % number)
            for leaf in leaves:
                frontier.append(leaf_hash(leaf))
            log.append_block(tx, StoredBlock(2 * number, leaves, frontier.root()))
            if number == BLOCKS - 2:
                log.save_sign_state(tx, COSIGNER, SignState(frontier.size, frontier.root(), frontier.encode(), 1, b""))
    yield Ledger(store)
    store.close()


def reread(ledger: Any) -> list[act.Action]:
    asyncio.run(Rereading(ledger).run())
    return ledger.done


def change(ledger: Any, statement: str) -> None:
    with ledger.database.write() as tx:
        tx.execute(text(statement))


def test_a_sound_log_draws_nothing(ledger: Ledger) -> None:
    assert reread(ledger) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leaves SET data = x'00' WHERE position = 71",
        "UPDATE leaves SET hash = x'00' WHERE position = 71",
        "DELETE FROM leaves WHERE position = 97",
        "DELETE FROM leaves WHERE position IN (70, 71)",
        "DELETE FROM blocks WHERE size > 50",
        "UPDATE blocks SET root = x'00' WHERE size = 72",
        "UPDATE sign_state SET root = x'00'",
        "UPDATE sign_state SET frontier = x'00'",
        "UPDATE sign_state SET size = 97",
    ],
)
def test_what_has_changed_stops_the_signing(ledger: Ledger, statement: str) -> None:
    change(ledger, statement)
    stop, alarm = reread(ledger)
    assert stop == act.StopSigning("log-damaged")
    assert isinstance(alarm, act.Alarm) and (alarm.code, alarm.subject) == ("log-damaged", "DEL")


def test_what_is_not_signed_yet_is_not_judged(ledger: Ledger) -> None:
    change(ledger, "UPDATE leaves SET data = x'00' WHERE position = 99")
    assert reread(ledger) == []


def test_a_node_that_has_signed_nothing_has_nothing_to_compare(ledger: Ledger) -> None:
    change(ledger, "DELETE FROM sign_state")
    change(ledger, "UPDATE leaves SET data = x'00' WHERE position = 3")
    assert reread(ledger) == []
