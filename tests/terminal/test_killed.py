"""A terminal killed at every write point starts again and catches up: nothing lost, nothing twice, nothing resealed.

The node is in another process than the terminal, so the terminal's death leaves it as it is: here a child process is
forked for each attempt, and what it told the node comes back over a pipe.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from cli.enrolment import Newcomer, complete_exercise, prepare
from crypto_msg.cable import RelationKind
from support.ministry import PASSPHRASE, FakeDesk, Ministry
from terminal import failpoint, handover, lists, roster
from terminal.askrows import SENT
from terminal.compose import Composition
from terminal.files import write_private
from terminal.folder import Folder
from terminal.linking import INDEXED
from terminal.request import parse_request
from terminal.schema import link
from terminal.terminal import Terminal, open_terminal

MOST_POINTS = 200
Act = Callable[[Terminal], object]


class Killable:
    """Runs acts of one terminal in forked children that die at their n-th write point."""

    def __init__(self, ministry: Ministry, post: str, name: str = "first") -> None:
        self.ministry = ministry
        self.path = ministry.folder / post / "terminals" / name
        self.terminal_id = Folder(self.path).load_keyring(PASSPHRASE).terminal_id
        self.post = post

    def run(self, act: Act, fail_at: int = 0) -> bool:
        """Whether the child came to its end. What it changed at the node is kept even if it was killed."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._live(act, fail_at, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            for change in _frames(pipe.read()):
                change_of, arguments = pickle.loads(change)
                getattr(self, f"_apply_{change_of}")(*arguments)
        _, status = os.waitpid(child, 0)
        assert status in (0, 9), status
        return status == 0

    def _live(self, act: Act, fail_at: int, writer: int) -> None:
        code = 1
        try:
            failpoint._left = fail_at
            with open_terminal(self.path, PASSPHRASE, _Telling(self, writer)) as terminal:
                terminal.session.clock = lambda: self.ministry.now
                act(terminal)
            code = 0
        finally:
            os._exit(code)

    def _apply_call(self, name: str, arguments: tuple[object, ...]) -> None:
        getattr(self.ministry.desk(self.terminal_id, self.post), name)(*arguments)


class _Telling(FakeDesk):
    """Tells the parent of every call that changes the node, before it answers."""

    def __init__(self, killable: Killable, writer: int) -> None:
        super().__init__(killable.ministry, killable.terminal_id, killable.post)
        self._writer = writer

    def _tell(self, name: str, *arguments: object) -> None:
        data = pickle.dumps(("call", (name, arguments)))
        os.write(self._writer, len(data).to_bytes(4) + data)

    def submit_entry(self, leaf: bytes):  # type: ignore[no-untyped-def]
        self._tell("submit_entry", leaf)
        return super().submit_entry(leaf)

    def put_bundle(self, signed_bundle: bytes) -> None:
        self._tell("put_bundle", signed_bundle)
        super().put_bundle(signed_bundle)

    def put_opening(self, officer_id: bytes, salt: bytes, name: str) -> None:
        self._tell("put_opening", officer_id, salt, name)
        super().put_opening(officer_id, salt, name)

    def take_serial(self, cable_id: bytes, year: int) -> int:
        self._tell("take_serial", cable_id, year)
        return super().take_serial(cable_id, year)

    def put_cable(self, head: bytes, body, body_length: int, anchor_salt: bytes, again=()) -> bytes:  # type: ignore[no-untyped-def]
        whole = b"".join(body)
        self._tell("put_cable", head, [whole], body_length, anchor_salt, again)
        return super().put_cable(head, [whole], body_length, anchor_salt, again)

    def put_receipt(self, content: bytes, kind: int, envelope_id: bytes, salt: bytes) -> bytes:
        self._tell("put_receipt", content, kind, envelope_id, salt)
        return super().put_receipt(content, kind, envelope_id, salt)


def _frames(data: bytes) -> list[bytes]:
    frames = []
    while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4]):
        end = 4 + int.from_bytes(data[:4])
        frames.append(data[4:end])
        data = data[end:]
    return frames


def _sweep(killable: Killable, act: Act) -> int:
    """Kill at point 1, 2, 3, ... of what is left to do, until it comes to its end. Returns how often it was killed."""
    for point in range(1, MOST_POINTS):
        if killable.run(act, point):
            return point - 1
    raise AssertionError("it never came to its end")


def _send(terminal: Terminal) -> None:
    """What `cable send` does, once: a cable that is here already is only handed in."""
    if terminal.cables("out"):
        terminal.sync()
    else:
        terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text."))


@pytest.fixture
def sender(ministry: Ministry) -> Killable:
    return Killable(ministry, "DHA")


@pytest.fixture
def reader(ministry: Ministry) -> Killable:
    return Killable(ministry, "DEL")


def test_a_sender_killed_anywhere_sends_once(ministry: Ministry, sender: Killable, reader: Killable) -> None:
    assert _sweep(sender, _send) >= 3
    assert len(ministry.bodies) == 1
    reader.run(lambda terminal: terminal.sync())
    assert reader.run(lambda terminal: _expect(terminal, 1))


def test_a_reader_killed_anywhere_reads_each_cable_once(ministry: Ministry, sender: Killable, reader: Killable) -> None:
    for _ in range(2):
        sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text.")))
    assert _sweep(reader, _read_all) >= 6
    assert reader.run(lambda terminal: _expect(terminal, 2))
    assert sender.run(_expect_acknowledged)


def test_a_terminal_killed_while_it_publishes_ends_with_the_prekey_the_ledger_names(
    ministry: Ministry, sender: Killable, reader: Killable
) -> None:
    ministry.now += 2 * 86_400
    assert _sweep(reader, lambda terminal: terminal.sync()) >= 3
    sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text."), accept_stale=True))
    reader.run(lambda terminal: terminal.sync())
    assert reader.run(lambda terminal: _expect(terminal, 1))


def _read_all(terminal: Terminal) -> None:
    terminal.sync()
    for record in terminal.cables("in"):
        terminal.read(record.envelope_id)
        terminal.acknowledge(record.envelope_id)


def _expect(terminal: Terminal, count: int) -> None:
    assert len(terminal.cables("in")) == count
    assert terminal.alarms() == []


def _expect_acknowledged(terminal: Terminal) -> None:
    terminal.sync()
    for record in terminal.cables("out"):
        (progress,) = terminal.track(record.envelope_id).progress
        assert progress.state == "acknowledged"


def test_the_environment_sets_the_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess
    import sys

    script = "from terminal.files import write_private; from pathlib import Path; import sys\n"
    script += "write_private(Path(sys.argv[1]), b'new')"
    target = tmp_path / "file"
    target.write_bytes(b"old")
    environment = {**os.environ, "DUTABARTA_FAIL_AT": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script, str(target)], env=environment, check=False)
    assert done.returncode == -9 and target.read_bytes() == b"old"


def _lose_prekeys(terminal: Terminal) -> None:
    session = terminal.session
    session.save_keyring(replace(session.keyring, prekeys=()))


def test_asking_answering_and_opening_survive_a_kill_anywhere(
    ministry: Ministry, sender: Killable, reader: Killable
) -> None:
    """A reader that lost its prekeys, killed at each write point, asks once; so with the answer, and with opening."""
    sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text.")))
    reader.run(_lose_prekeys)
    assert _sweep(reader, lambda terminal: terminal.sync()) >= 8
    assert _kinds(ministry, sender).count(NAK) == 1
    assert _sweep(sender, lambda terminal: terminal.sync()) >= 4
    assert _kinds(ministry, reader).count(REWRAP) == 1
    assert _sweep(reader, lambda terminal: terminal.sync()) >= 2
    assert reader.run(lambda terminal: _expect_opened(terminal))


def test_erasing_old_prekeys_survives_a_kill_anywhere(ministry: Ministry, sender: Killable, reader: Killable) -> None:
    """Days of synchronisations, two a day: wherever it is killed, the newest prekeys stay, and open what comes."""
    for _ in range(22):
        ministry.now += 43_200
        reader.run(lambda terminal: terminal.sync())
    before = _epochs(reader)
    for _ in range(2):
        ministry.now += 86_400
        reader.run(lambda terminal: terminal.publish_prekey())
        _sweep(reader, lambda terminal: terminal.sync())
    after = _epochs(reader)
    assert before[0] > 1 and after[0] > before[0] and after == list(range(after[0], after[-1] + 1))
    sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text."), accept_stale=True))
    reader.run(lambda terminal: terminal.sync())
    assert reader.run(lambda terminal: _expect(terminal, 1))


def _epochs(killable: Killable) -> list[int]:
    return [one.epoch for one in Folder(killable.path).load_keyring(PASSPHRASE).prekeys]


NAK, REWRAP, ADDED_WRAP = 5, 6, 9


def _kinds(ministry: Ministry, killable: Killable) -> list[int]:
    return [one.kind for one in ministry.inboxes[killable.terminal_id]]


def _expect_opened(terminal: Terminal) -> None:
    (record,) = terminal.cables("in")
    assert record.n == 1 and {one.code for one in terminal.alarms()} == {"terminal-behind"}
    with terminal.session.store.transaction() as transaction:
        assert transaction.asks(only_open=False) == []


def test_a_cancellation_survives_a_kill_anywhere(ministry: Ministry, sender: Killable, reader: Killable) -> None:
    """One cancellation goes out, whose mark both sides see, however often either is killed on the way."""
    sender.run(_send)
    assert _sweep(sender, _cancel) >= 3
    assert len(ministry.bodies) == 2
    assert _sweep(reader, lambda terminal: terminal.sync()) >= 4
    for killable, box in ((sender, "out"), (reader, "in")):
        assert killable.run(lambda terminal, box=box: _expect_cancelled(terminal, box))  # type: ignore[misc]


def _cancel(terminal: Terminal) -> None:
    first, *more = terminal.cables("out")
    if more:
        terminal.sync()
    else:
        terminal.cancel(first.envelope_id)


def _expect_cancelled(terminal: Terminal, box: str) -> None:
    terminal.sync()
    first, _cancellation = terminal.cables(box)
    (mark,) = terminal.marks([first])[first.envelope_id]
    assert mark.kind == RelationKind.CANCELS and mark.refused is None


def test_a_withdrawal_survives_a_kill_anywhere(ministry: Ministry, sender: Killable) -> None:
    """The draft is withdrawn just when its notice is here, and the notice goes out once."""
    releaser = Killable(ministry, "DHA", "second")
    sender.run(lambda terminal: terminal.draft(Composition(("DEL",), 2, 3, "Trade", "Text.")))
    assert _sweep(sender, _withdraw) >= 2
    assert len(ministry.bodies) == 2
    assert _sweep(releaser, lambda terminal: terminal.sync()) >= 4
    for killable in (sender, releaser):
        assert killable.run(_expect_withdrawn)


def _withdraw(terminal: Terminal) -> None:
    (draft,) = terminal.cables("drafts")
    assert (draft.state == "withdrawn") == bool(terminal.cables("notices"))
    if draft.state == "withdrawn":
        terminal.sync()
    else:
        terminal.cancel(draft.envelope_id)


def _expect_withdrawn(terminal: Terminal) -> None:
    assert [one.state for one in terminal.cables()] == ["withdrawn"] and len(terminal.cables("notices")) == 1


def test_a_distribution_list_is_changed_wholly_or_not(sender: Killable) -> None:
    before = {"EAST": ("DEL",)}
    sender.run(lambda terminal: lists.add(terminal.session, "east", ("DEL",)))
    for point in range(1, 10):
        ended = sender.run(lambda terminal: lists.add(terminal.session, "east", ("WAS",)), point)
        if ended:
            break
        assert sender.run(lambda terminal: _expect_lists(terminal, before, {"EAST": ("DEL", "WAS")}))
    assert ended and sender.run(lambda terminal: _expect_lists(terminal, {"EAST": ("DEL", "WAS")}))


def _expect_lists(terminal: Terminal, *allowed: dict[str, tuple[str, ...]]) -> None:
    assert {one.name: one.addressees for one in lists.show(terminal.session)} in allowed


def test_a_store_of_version_1_learns_what_its_cables_say(ministry: Ministry, sender: Killable) -> None:
    sender.run(_send)
    sender.run(_cancel)
    sender.run(_forget_links)
    assert _sweep(sender, lambda terminal: terminal.cables()) >= 1
    assert sender.run(lambda terminal: _expect_cancelled(terminal, "out"))


def _forget_links(terminal: Terminal) -> None:
    with terminal.session.store.transaction() as transaction:
        transaction._connection.execute(delete(link))
        transaction.set_setting(INDEXED, 0)


def test_a_cable_sent_again_for_a_number_survives_a_kill_anywhere(
    ministry: Ministry, sender: Killable, reader: Killable
) -> None:
    """The first of two cables is lost; asked for by its number, it comes again with its key, once, however killed."""
    for _ in range(2):
        sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text.")))
    del ministry.inboxes[reader.terminal_id][0]
    reader.run(lambda terminal: terminal.sync())
    ministry.now += 86_400
    assert _sweep(reader, lambda terminal: terminal.sync()) >= 3
    assert _sweep(sender, lambda terminal: terminal.sync()) >= 6
    assert _kinds(ministry, reader).count(REWRAP) == 1
    assert _sweep(reader, lambda terminal: terminal.sync()) >= 2
    assert reader.run(_expect_both)


def _expect_both(terminal: Terminal) -> None:
    assert sorted(one.n for one in terminal.cables("in")) == [1, 2] and terminal.alarms() == []


def test_headquarters_is_told_though_the_terminal_is_killed_anywhere(
    ministry: Ministry, sender: Killable, reader: Killable
) -> None:
    sender = Killable(ministry, "WAS")
    sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text.")))
    duty = Killable(ministry, "DHA")
    ministry.now += 2 * 3 * 3600
    ministry.close_slot()
    assert _sweep(sender, lambda terminal: terminal.sync()) >= 3
    reader.run(_read_all)
    assert _sweep(sender, lambda terminal: terminal.sync()) >= 3
    assert _sweep(duty, lambda terminal: terminal.sync()) >= 2
    assert duty.run(lambda terminal: _expect(terminal, 0))


def test_adding_a_terminal_and_opening_survive_a_kill_anywhere(
    ministry: Ministry, sender: Killable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor killed at each write point adds it once; the late terminal opens the cable once."""
    sender.run(lambda terminal: terminal.send(Composition(("DEL",), 2, 3, "Trade", "Text.")))
    monkeypatch.setattr("terminal.terminal.NodeClient", ministry.connect)
    made = prepare(ministry.folder / "DEL", Newcomer("late", (1, 2), 4), PASSPHRASE)
    complete_exercise(ministry.folder / "DEL", made, PASSPHRASE, PASSPHRASE)
    late = Killable(ministry, "DEL", "late")
    assert _sweep(sender, lambda terminal: _add(terminal, late.terminal_id)) >= 3
    assert _kinds(ministry, late).count(ADDED_WRAP) == 1
    assert _sweep(late, lambda terminal: terminal.sync()) >= 3
    assert late.run(_expect_added)


def _add(terminal: Terminal, terminal_id: bytes) -> None:
    """What a supervisor does who was interrupted: he adds it if nothing of it is here yet."""
    (record,) = terminal.cables("out")
    with terminal.session.store.transaction() as transaction:
        is_here = terminal_id in transaction.wraps_of(SENT, record.envelope_id)
    if is_here:
        terminal.sync()
    else:
        terminal.add_terminal(record.envelope_id, terminal_id)


def _expect_added(terminal: Terminal) -> None:
    (record,) = terminal.cables("in")
    assert record.n == 1 and terminal.alarms() == []


def test_an_accepted_shift_survives_a_kill_anywhere(ministry: Ministry, tmp_path: Path, reader: Killable) -> None:
    """Killed at each write point, the incoming officer's file and the ledger end with one hand-over."""
    file, other = tmp_path / "shift.json", Killable(ministry, "DEL", "second")
    reader.run(lambda terminal: write_private(file, handover.take(terminal.session).format().encode()))
    other.run(lambda terminal: _approve(terminal, file))
    incoming = bytes.fromhex(Folder(other.path).load_config().officer_id)
    reader.run(lambda terminal: _offer(terminal, incoming, file))
    assert _sweep(other, lambda terminal: _accept(terminal, file)) >= 2
    shift = ministry.machine.state.shift("DEL")
    assert shift is not None and shift.officer_id == incoming and shift.former_id


def _approve(terminal: Terminal, file: Path) -> None:
    request = roster.approve_as(terminal.session, parse_request(file.read_bytes()))
    roster.submit_request(terminal.session, request)


def _offer(terminal: Terminal, incoming: bytes, file: Path) -> None:
    officer = terminal.session.view.judge(lambda state: state.active_officer(incoming))
    duty = handover.duty_list(terminal.session, terminal.alarms())
    write_private(file, handover.offer(terminal.session, officer, duty).format().encode())


def _accept(terminal: Terminal, file: Path) -> None:
    request = handover.accept(terminal.session, parse_request(file.read_bytes()))
    write_private(file, request.format().encode())
    roster.submit_request(terminal.session, request)
