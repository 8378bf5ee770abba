"""A terminal restored from an old backup, or cloned: noticed, and what it misses comes again (cables.md §5, case 5)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ministry import PASSPHRASE, Ministry, Officers
from terminal.compose import Composition
from terminal.folder import Folder
from terminal.records import CableRecord
from terminal.restored import PUBLISH_SECONDS
from terminal.terminal import Terminal, open_terminal

DAY = 86_400


def send(sender: Terminal, to: str = "DEL") -> CableRecord:
    return sender.send(Composition((to,), 1, 3, "Trade", "Text."), accept_stale=True)


def codes(terminal: Terminal) -> set[str]:
    return {one.code for one in terminal.alarms()} - {"anchor-missing", "answer-overdue"}


@contextmanager
def at(ministry: Ministry, path: Path, post: str) -> Iterator[Terminal]:
    """The terminal in this folder, a copy or not."""
    own = ministry.desk(Folder(path).load_keyring(PASSPHRASE).terminal_id, post)
    with open_terminal(path, PASSPHRASE, own) as terminal:
        terminal.session.clock = lambda: ministry.now
        yield terminal


def copied(ministry: Ministry, post: str) -> tuple[Path, Path]:
    """(folder of the first terminal of a post, a copy of it as it stands now)."""
    path = ministry.folder / post / "terminals" / "first"
    return path, Path(shutil.copytree(path, path.with_name("copy")))


def unread(ministry: Ministry, terminal: Terminal) -> None:
    """What the node does 30 days later: the terminal had all of its inbox, so nothing of it stays."""
    ministry.inboxes[terminal.session.terminal_id].clear()
    ministry.inbox_id = bytes(16)  # positions of the fake inbox begin again


def test_a_restored_reader_gets_again_what_it_had_delivered(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    path, backup = copied(ministry, "DEL")
    with at(ministry, path, "DEL") as reader:
        reader.publish_prekey()
        sent = [send(sender) for _ in range(3)]
        assert reader.sync().cables == 3
    sender.sync()
    assert all(one.state == "delivered" for each in sent for one in sender.track(each.cable_id).progress)
    with at(ministry, backup, "DEL") as restored:
        assert restored.sync().cables == 0
        assert codes(restored) == {"terminal-behind", "wrap-not-opened"}
        listed = {one.envelope_id for one in restored.alarms() if one.code == "wrap-not-opened"}
        assert listed == {one.envelope_id for one in sent}
        sender.sync()
        assert restored.sync().cables == 3
        assert codes(restored) == {"terminal-behind"}
        assert {restored.read(one.cable_id).draft for one in sent} == {one.draft for one in sent}
    sender.sync()
    assert codes(sender) == set()


def test_what_its_node_holds_no_more_is_asked_for_by_number_at_once(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    path, backup = copied(ministry, "DEL")
    with at(ministry, path, "DEL") as reader:
        sent = [send(sender) for _ in range(20)]
        reader.publish_prekey()
        sent += [send(sender) for _ in range(20)]
        reader.sync()
        unread(ministry, reader)
    sender.sync()
    with at(ministry, backup, "DEL") as restored:
        restored.sync()
        assert codes(restored) == {"terminal-behind"}
        new = send(sender)
        assert restored.sync().cables == 1
        for _ in range(3):
            sender.sync()
            restored.sync()
        assert {one.envelope_id for one in restored.cables("in")} == {one.envelope_id for one in (*sent, new)}
        assert codes(restored) == {"terminal-behind"}


def test_a_restored_sender_meets_its_own_cables_and_is_noticed(ministry: Ministry, officer: Officers) -> None:
    reader, colleague = officer("DEL"), officer("DHA", "second")
    path, backup = copied(ministry, "DHA")
    with at(ministry, path, "DHA") as sender:
        sent = send(sender)
    reader.sync()
    colleague.sync()
    with at(ministry, backup, "DHA") as restored:
        own = [one for one in ministry.inboxes[colleague.session.terminal_id] if one.envelope_id == sent.envelope_id]
        assert own, "the post's own copy"
        restored.sync()
        again = send(restored)
    reader.sync()
    (alarm,) = [one for one in reader.alarms() if one.code == "wrap-clone"]
    assert {alarm.envelope_id} == {again.envelope_id} and sent.envelope_id.hex() in alarm.text


def test_of_two_copies_in_use_each_notices_the_other(ministry: Ministry, officer: Officers) -> None:
    path, clone = copied(ministry, "DEL")
    with at(ministry, path, "DEL") as original, at(ministry, clone, "DEL") as copy:
        original.publish_prekey()
        original.sync()
        assert codes(original) == set()
        copy.sync()
        assert codes(copy) == {"terminal-behind"}
        original.sync()
        assert codes(original) == {"terminal-behind"}


def test_two_copies_in_use_do_not_fill_the_ledger(ministry: Ministry, officer: Officers) -> None:
    path, clone = copied(ministry, "DEL")
    with at(ministry, path, "DEL") as original, at(ministry, clone, "DEL") as copy:
        original.publish_prekey()
        size = ministry.machine.size
        for _ in range(10):
            copy.sync()
            original.sync()
        assert ministry.machine.size == size + 2 * 2, "an entry and its block record, once by each"
        ministry.now += PUBLISH_SECONDS
        copy.sync()
        assert ministry.machine.size == size + 3 * 2


def test_a_terminal_in_order_is_not_taken_for_restored(ministry: Ministry, officer: Officers) -> None:
    reader = officer("DEL")
    for _ in range(3):
        ministry.now += DAY
        send(officer("DHA"))
        reader.sync()
    assert codes(reader) == set()
