"""What a node checks of what its terminals and other posts hand in, beyond signatures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from crypto_msg.receipt import ReceiptKind, make_receipt, read_receipt
from node.courier import ItemKind
from protos.errors import DutabartaError
from support.posts import eventually
from support.processes import Exercise
from terminal import outgoing
from terminal.compose import Composition
from terminal.records import CableRecord, Job
from terminal.terminal import Terminal


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    made = Exercise(tmp_path_factory.mktemp("posts"), ("DHA", "DEL"))
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()


def sealed_here(terminal: Terminal, classification: int) -> tuple[CableRecord, Job]:
    """A cable or draft that is sealed and stored, and has not been handed in."""
    take = terminal.session.desk.put_cable
    terminal.session.desk.put_cable = lambda *_: pytest.fail("handed in")  # type: ignore[method-assign]
    flush, outgoing.flush_if_possible = outgoing.flush_if_possible, lambda _session: False
    try:
        record = terminal.send(Composition(("DHA",), 1, classification, "Trade", "Text."))
    finally:
        outgoing.flush_if_possible = flush
        terminal.session.desk.put_cable = take  # type: ignore[method-assign]
    with terminal.session.store.transaction() as transaction:
        return record, transaction.jobs()[-1]


@pytest.mark.parametrize(("classification", "right", "wrong"), [(1, 32, (0, 16)), (4, 0, (32, 16))])
def test_a_cable_comes_with_an_anchor_salt_and_a_draft_without(
    posts: Exercise, classification: int, right: int, wrong: tuple[int, ...]
) -> None:
    with posts.terminal("DEL") as terminal:
        record, job = sealed_here(terminal, classification)
        assert len(job.salt) == right
        with terminal.session.store.transaction() as transaction:
            sealed = transaction.envelope(record.envelope_id)
        assert sealed is not None
        for length in wrong:
            with pytest.raises(DutabartaError) as problem:
                terminal.session.desk.put_cable(sealed.head, [sealed.body], len(sealed.body), bytes(length))
            assert problem.value.code == "bad-salt"
        outgoing.flush(terminal.session)
        assert not terminal.is_waiting(record)


def test_a_receipt_of_another_log_is_kept_as_evidence_of_its_signer_at_both_posts(posts: Exercise) -> None:
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(Composition(("DHA",), 1, 1, "Trade", "Text."))
    eventually(lambda: sent.envelope_id in [one.envelope_id for one in posts.sync("DHA")])
    with posts.terminal("DHA") as reader:
        own = next(one for one in reader.receipts(reader.find(sent.envelope_id)) if one.kind == ReceiptKind.DELIVERED)
        forged = replace(read_receipt(own.signed), root=bytes(32))
        signed = make_receipt(forged, reader.session.network_id, reader.session.keyring.terminal_signer)
        assert not posts.status("DHA").alarms
        reader.session.desk.put_receipt(signed, ItemKind.DELIVERED, sent.envelope_id, bytes(32))
        signer = f"terminal/{reader.session.terminal_id.hex()}"
    for code in ("DHA", "DEL"):
        eventually(lambda code=code: [one.code for one in posts.status(code).alarms] == ["receipt-other-log"])
        assert posts.rows(code, "SELECT signer, kind, content FROM evidence") == [(signer, "receipt-other-log", signed)]
    with posts.terminal("DEL") as terminal:
        eventually(lambda: terminal.sync() and [one.code for one in terminal.alarms()] == ["receipt-other-log"])
