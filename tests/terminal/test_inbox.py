"""The inbox of a node that was rebuilt from nothing: its positions begin again, and nothing is passed by or doubled."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from node.wire import Inbox
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.terminal import Terminal
from terminal.view import DoubtfulNode


def send(sender: Terminal, subject: str) -> bytes:
    return sender.send(Composition(("DEL",), 2, 3, subject, "Gruber informed Embassy officer.")).cable_id


def test_what_comes_to_a_rebuilt_node_is_not_passed_by(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    before = [send(sender, str(number)) for number in range(3)]
    assert reader.sync().cables == 3
    ministry.rebuild_inboxes()
    after = send(sender, "after")
    assert reader.sync().cables == 1
    assert [one.cable_id for one in reader.cables("in")] == [*before, after]
    assert reader.sync().cables == 0


def test_what_a_rebuilt_node_shows_again_is_known(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    send(sender, "before")
    ministry.close_slot()
    reader.sync()
    sender.sync()
    kept = {one: list(items) for one, items in ministry.inboxes.items()}
    ministry.rebuild_inboxes()
    ministry.inboxes.update(kept)
    for terminal in (reader, sender):
        assert terminal.sync().cables == 0
        assert terminal.alarms() == []
    assert len(reader.cables("in")) == 1
    (progress,) = sender.track(sender.cables("out")[0].cable_id).progress
    assert progress.state == "delivered"


def test_a_node_that_was_not_rebuilt_is_asked_from_where_the_terminal_stands(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    send(sender, "one")
    reader.sync()
    asked, honest = [], reader.session.desk.inbox

    def inbox(after: int = 0, limit: int = 100) -> Inbox:
        asked.append(after)
        return honest(after, limit)

    reader.session.desk.inbox = inbox  # type: ignore[method-assign]
    send(sender, "two")
    reader.sync()
    assert asked == [1, 2]


def test_a_rebuilt_node_is_remembered_though_the_terminal_stops_at_once(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    for number in range(3):
        send(sender, str(number))
    reader.sync()
    ministry.rebuild_inboxes()
    reader.sync()
    send(sender, "after")
    assert reader.sync().cables == 1


@pytest.mark.parametrize("changing", [True, False])
def test_an_inbox_id_that_cannot_be_is_the_nodes_fault(officer: Officers, changing: bool) -> None:
    """One that changes with every answer would let the terminal ask for ever."""
    reader = officer("DEL")
    honest = reader.session.desk.inbox

    def inbox(after: int = 0, limit: int = 100) -> Inbox:
        return replace(honest(after, limit), inbox_id=secrets.token_bytes(16 if changing else 15))

    reader.session.desk.inbox = inbox  # type: ignore[method-assign]
    with pytest.raises(DoubtfulNode) as caught:
        reader.sync()
    assert caught.value.code == "bad-inbox"
