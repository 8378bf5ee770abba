"""NAKs and re-wraps through real nodes: carried to the right terminals, refused from the wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from crypto_msg.nak import Reason, make_nak
from crypto_msg.wire import Nak
from node.courier import ItemKind
from protos.errors import DutabartaError
from support.posts import PASSPHRASE, SUPERVISORS, eventually
from support.processes import Exercise
from terminal.compose import Composition
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


def lose_prekeys(terminal: Terminal) -> None:
    session = terminal.session
    session.save_keyring(replace(session.keyring, prekeys=()))


def test_a_cable_is_read_though_its_prekey_was_lost(posts: Exercise) -> None:
    with posts.terminal("DHA") as reader:
        lose_prekeys(reader)
    with posts.terminal("DEL") as sender:
        sent = sender.send(Composition(("DHA",), 1, 1, "Trade", "Text."))
    rows = "SELECT kind FROM inbox WHERE kind IN (5, 6)"
    eventually(lambda: posts.sync("DHA") is not None and posts.rows("DEL", rows))
    assert {kind for (kind,) in posts.rows("DEL", rows)} == {5}
    assert len(posts.rows("DEL", rows)) == len(SUPERVISORS)
    eventually(lambda: posts.sync("DEL") is not None and posts.rows("DHA", rows))
    assert posts.rows("DHA", rows) == [(6,)]
    eventually(lambda: sent.envelope_id in [one.envelope_id for one in posts.sync("DHA")])
    with posts.terminal("DHA") as reader:
        assert reader.read(sent.envelope_id).draft == sent.draft
    assert not posts.status("DHA").alarms and not posts.status("DEL").alarms


def test_a_node_takes_only_what_its_terminal_has_signed(posts: Exercise) -> None:
    with posts.terminal("DHA") as reader, posts.terminal("DEL") as stranger:
        session, desk = reader.session, reader.session.desk
        own, other = session.terminal_id, stranger.session.terminal_id
        nak = Nak(bytes(32), own, Reason.BAD_WRAP, bytes(32), session.view.newest().size, other, 0)
        foreign = make_nak(
            replace(nak, terminal_id=other), session.network_id, stranger.session.keyring.terminal_signer
        )
        unsigned = make_nak(nak, bytes(32), session.keyring.terminal_signer)
        nowhere = make_nak(
            replace(nak, origin_terminal_id=bytes(32)), session.network_id, session.keyring.terminal_signer
        )
        for content, code in ((foreign, "not-yours"), (unsigned, "bad-signature"), (nowhere, "unknown-terminal")):
            with pytest.raises(DutabartaError) as caught:
                desk.put_receipt(content, ItemKind.NAK, bytes(32), b"")
            assert caught.value.code == code
        with pytest.raises(DutabartaError):
            desk.put_receipt(foreign, ItemKind.REWRAP, bytes(32), b"")


def test_a_terminal_enrolled_later_gets_a_cable_of_before(posts: Exercise) -> None:
    """By the command line, through both nodes: carried, the body fetched, the act anchored at the sender's post."""
    sent = posts.send("DEL", "first", "DHA").data
    eventually(lambda: sent["envelope_id"] in [one.envelope_id.hex() for one in posts.sync("DHA")])
    posts.enrol("DHA", "late", "drafter,releaser", "SECRET")
    terminal_id = posts.terminal_folder("DHA", "late").load_keyring(PASSPHRASE).terminal_id.hex()
    assert posts.sync("DHA", "late") == []
    posts.must("cable", "rewrap", sent["cable_id"], "--to-terminal", terminal_id, *posts.at("DEL", "first"))
    eventually(lambda: [one.envelope_id.hex() for one in posts.sync("DHA", "late")] == [sent["envelope_id"]])
    read = posts.must("cable", "read", sent["cable_id"], *posts.at("DHA", "late"))
    assert read["paragraphs"] == ["Text.\n"] and read["doubts"] == []
    eventually(lambda: posts.rows("DEL", "SELECT kind FROM proofs WHERE kind = 'added-wrap'"))
    assert not posts.status("DHA").alarms and not posts.status("DEL").alarms


def test_a_node_takes_an_added_wrap_only_with_its_salt_and_form(posts: Exercise) -> None:
    with posts.terminal("DEL") as terminal, pytest.raises(DutabartaError):
        terminal.session.desk.put_receipt(b"junk", ItemKind.ADDED_WRAP, bytes(32), bytes(32))
