"""What a node checks of what its terminals and other posts hand in, beyond signatures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from crypto_msg.envelope import decode_head, encode_head, read_outer
from crypto_msg.receipt import ReceiptKind, make_receipt, read_receipt
from crypto_msg.seal import Station
from crypto_msg.segments import body_length
from crypto_msg.wire import Head
from crypto_msg.wraps import split_head
from node.api.tls import channel_credentials, channel_options
from node.config import KEYS_FOLDER, load_config, node_folder
from node.courier import ItemKind
from node.secrets import load_node_keys
from node.shell.itemchecks import envelope_from, make_item, write_item
from protos import node_pb2 as pb
from protos.errors import DutabartaError
from protos.node_pb2_grpc import PeerStub
from support.posts import PASSPHRASE, SUPERVISORS, eventually
from support.processes import Exercise
from terminal import judging, outgoing, sending
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


def offered(posts: Exercise, origin: str, to: str, head: Head) -> str:
    """The code that the node of `to` answers when that of `origin` offers this envelope."""
    outer = read_outer(head)
    size, length = outer.size_seen, body_length(outer.padded_length)
    item = make_item(ItemKind.ENVELOPE, to, envelope_from(head, outer), encode_head(head), origin, size, length)
    identity, node = (load_node_keys(node_folder(posts.home(one)) / KEYS_FOLDER).tls for one in (origin, to))
    frames = [pb.CarryFrame(hello=pb.Hello(post=origin, clock=int(time.time()))), pb.CarryFrame(offer=write_item(item))]
    credentials, options = channel_credentials(identity, node.certificate), channel_options(node.certificate)
    with grpc.secure_channel(load_config(node_folder(posts.home(to))).listen, credentials, options=options) as channel:
        answers = PeerStub(channel).Carry(iter(frames), timeout=20)
        return str(next(one.answer.code for one in answers if one.WhichOneof("frame") == "answer"))


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


def test_a_cable_under_a_size_at_which_no_block_ends_is_refused(
    posts: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would keep its readers waiting for a state that nobody can prove."""

    def station_of(*args: object) -> Station:
        made = judging.station_of(*args)  # type: ignore[arg-type]
        return replace(made, size_seen=made.size_seen - 1)

    monkeypatch.setattr(sending, "station_of", station_of)
    with posts.terminal("DEL") as terminal:
        record, _ = sealed_here(terminal, 1)
        with terminal.session.store.transaction() as transaction:
            sealed = transaction.envelope(record.envelope_id)
        assert sealed is not None
        with pytest.raises(DutabartaError) as problem:
            terminal.session.desk.put_cable(sealed.head, [sealed.body], len(sealed.body), bytes(32))
        assert problem.value.code == "no-such-size"
    readers = [posts.terminal_folder("DHA", name).load_keyring(PASSPHRASE).terminal_id for name in SUPERVISORS]
    assert offered(posts, "DEL", "DHA", split_head(decode_head(sealed.head), readers)) == "no-such-size"


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
        eventually(lambda: terminal.sync() and "receipt-other-log" in [one.code for one in terminal.alarms()])
