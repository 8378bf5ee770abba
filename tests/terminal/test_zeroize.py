"""A zeroized terminal: nothing readable is left before anybody is told, wherever the process dies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from keys.keystore import open_keystore
from ledger.entry import decode_entry_leaf
from protos.errors import DutabartaError, Refused, Unavailable
from support.ministry import PASSPHRASE, Ministry, Officers
from terminal import failpoint, roster, zeroize
from terminal.compose import Composition
from terminal.folder import Folder
from terminal.request import parse_request
from terminal.terminal import Terminal, open_terminal
from terminal.zeroize import STATEMENT, Told

CANARY = "The minister arrives on the night train."
MOST_POINTS = 100
NOTE = Composition(("DEL",), 2, 3, "Arrival", CANARY)


def path_of(ministry: Ministry, post: str = "DEL", name: str = "first") -> Path:
    return ministry.folder / post / "terminals" / name


def opened(ministry: Ministry, path: Path, post: str = "DEL", down: bool = False):  # type: ignore[no-untyped-def]
    desk = ministry.desk(Folder(path).load_keyring(PASSPHRASE).terminal_id, post)
    desk.down = down
    return open_terminal(path, PASSPHRASE, desk)


def destroyed(ministry: Ministry, intake: Path | None = None, down: bool = False) -> zeroize.Zeroized:
    with opened(ministry, path_of(ministry), down=down) as terminal:
        return zeroize.zeroize(terminal.session, intake)


def with_mail(ministry: Ministry, officer: Officers) -> bytes:
    """A cable that DEL has read, so that its store holds plaintext; DEL's terminal id."""
    officer("DHA").send(NOTE)
    with opened(ministry, path_of(ministry)) as terminal:
        terminal.sync()
        assert len(terminal.cables("in")) == 1
        return terminal.session.terminal_id


def test_the_folder_is_gone_and_the_ledger_says_why(ministry: Ministry, officer: Officers) -> None:
    terminal_id = with_mail(ministry, officer)
    assert destroyed(ministry) == zeroize.Zeroized(Told.ENTERED)
    assert not path_of(ministry).exists() and not list(path_of(ministry).parent.glob("first*"))
    record = ministry.machine.state.terminal(terminal_id)
    assert record is not None and record.reason == "zeroized" and record.retired_at > 0


def test_senders_wrap_for_it_no_more(ministry: Ministry, officer: Officers) -> None:
    terminal_id = with_mail(ministry, officer)
    destroyed(ministry)
    before = len(ministry.inboxes[terminal_id])
    officer("DHA").send(NOTE)
    assert len(ministry.inboxes[terminal_id]) == before
    officer("DEL", "second").sync()
    assert len(officer("DEL", "second").cables("in")) == 2


def test_without_node_the_statement_is_left_for_it_or_to_carry(ministry: Ministry, officer: Officers) -> None:
    with_mail(ministry, officer)
    intake = ministry.folder / "DEL" / "node" / "intake"
    assert destroyed(ministry, intake, down=True) == zeroize.Zeroized(Told.LEFT_FOR_NODE)
    (left,) = intake.glob("zeroized-*")
    assert ministry.enter(left.read_bytes()).code == "accepted"


def test_a_carried_statement_is_handed_in_by_any_officer(ministry: Ministry, officer: Officers) -> None:
    terminal_id = with_mail(ministry, officer)
    done = destroyed(ministry, down=True)
    assert done.told == Told.TO_CARRY and done.statement is not None
    request = parse_request(done.statement.read_bytes())
    for _ in range(2):
        roster.submit_request(officer("WAS").session, request)
    record = ministry.machine.state.terminal(terminal_id)
    assert record is not None and record.reason == "zeroized"


def test_a_number_used_since_the_last_synchronisation_is_known(ministry: Ministry, officer: Officers) -> None:
    """A supervisor suspends somebody, loses the node, and zeroizes: his statement stands all the same."""
    officer("DEL", "second").open_own_name()
    with opened(ministry, path_of(ministry)) as terminal:
        terminal.sync()
        roster.suspend(terminal.session, roster.find_officer(terminal.session, "DEL", "second"))
    done = destroyed(ministry, down=True)
    assert done.statement is not None
    roster.submit_request(officer("DHA").session, parse_request(done.statement.read_bytes()))


def test_without_node_and_number_nothing_is_destroyed(ministry: Ministry) -> None:
    with pytest.raises(Refused) as problem:
        destroyed(ministry, down=True)
    assert problem.value.code == "no-statement"
    with opened(ministry, path_of(ministry)) as terminal:
        terminal.sync()


def test_a_terminal_that_is_out_already_needs_no_statement(ministry: Ministry, officer: Officers) -> None:
    terminal_id = with_mail(ministry, officer)
    roster.retire(officer("DHA").session, terminal_id, "lost")
    assert destroyed(ministry).told == Told.NOT_NEEDED


def test_a_suspended_officer_leaves_the_statement_to_a_supervisor(ministry: Ministry, officer: Officers) -> None:
    terminal_id = with_mail(ministry, officer)
    dha = officer("DHA").session
    officer("DEL").open_own_name()
    roster.suspend(dha, roster.find_officer(dha, "DEL", "first"))
    officer.close()
    assert destroyed(ministry).told == Told.NONE and not path_of(ministry).exists()
    roster.retire(dha, terminal_id, "zeroized")
    with pytest.raises(Refused) as problem:
        roster.retire(dha, terminal_id, "zeroized")
    assert problem.value.code == "retired-terminal"


def test_without_a_passphrase_it_is_destroyed_and_nothing_is_said(ministry: Ministry, officer: Officers) -> None:
    terminal_id = with_mail(ministry, officer)
    assert zeroize.resume(Folder(path_of(ministry)), None).told == Told.NONE
    assert not path_of(ministry).exists()
    record = ministry.machine.state.terminal(terminal_id)
    assert record is not None and record.is_active


def test_what_cannot_be_destroyed_is_not_claimed(ministry: Ministry, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(ministry, path_of(ministry)) as terminal:
        terminal.sync()
    size = ministry.machine.size
    real = Path.unlink

    def stubborn(path: Path, missing_ok: bool = False) -> None:
        if path.name == "store.db":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stubborn)
    with pytest.raises(Unavailable) as problem:
        destroyed(ministry)
    assert problem.value.code == "not-destroyed" and ministry.machine.size == size
    monkeypatch.undo()
    done = zeroize.resume(Folder(path_of(ministry)), None)
    assert done.told == Told.TO_CARRY and done.statement is not None
    entry = parse_request(done.statement.read_bytes()).entries[0]
    assert ministry.enter(entry.leaf()).code == "accepted"


def test_links_and_folders_inside_are_removed_and_not_followed(ministry: Ministry, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"kept")
    inside = path_of(ministry) / "attachments"
    inside.mkdir()
    (inside / "plain.txt").write_text(CANARY)
    (path_of(ministry) / "link").symlink_to(outside)
    (inside / "file").symlink_to(outside / "file")
    zeroize.resume(Folder(path_of(ministry)), None)
    assert not path_of(ministry).exists() and (outside / "file").read_bytes() == b"kept"


# --- killed at every write point ------------------------------------------------------------------------------


def run_once(ministry: Ministry, told: Path, fail_at: int) -> bool:
    """Zeroize in a child that dies at its n-th write point; the leaf that it hands in goes to `told`. Did it end?"""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            failpoint._left = fail_at
            folder = Folder(path_of(ministry))
            if not folder.path.exists():
                code = 0
            elif zeroize.is_under_way(folder):
                zeroize.resume(folder, None)
                code = 0
            else:
                with opened(ministry, folder.path) as terminal:
                    tell(terminal, told)
                    zeroize.zeroize(terminal.session, None)
                code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status in (0, 9), status
    return status == 0


def tell(terminal: Terminal, told: Path) -> None:
    """Whatever the node is handed is written down before it is answered, with what the folder then still held."""
    real = terminal.session.desk.submit_entry

    def submit(leaf: bytes):  # type: ignore[no-untyped-def]
        told.write_bytes(leaf)
        told.with_suffix(".keys").write_text(" ".join(one.name for one in terminal.session.folder.path.iterdir()))
        return real(leaf)

    terminal.session.desk.submit_entry = submit  # type: ignore[method-assign]


def test_killed_anywhere_no_key_is_readable_once_the_statement_is_out(
    ministry: Ministry, officer: Officers, tmp_path: Path
) -> None:
    with_mail(ministry, officer)
    path, whole, told = path_of(ministry), tmp_path / "whole", tmp_path / "told"
    (path / "keystore.new").write_bytes((path / "keystore").read_bytes())
    carried = path.with_name("first.zeroized.json")
    shutil.copytree(path, whole)
    for point in range(1, MOST_POINTS):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(whole, path)
        told.unlink(missing_ok=True)
        carried.unlink(missing_ok=True)
        ended = run_once(ministry, told, point)
        readable = [one for one in path.glob("keystore*") if opens(one)]
        assert not readable or not (told.exists() or carried.exists()), point
        if ended:
            break
        assert run_once(ministry, told, 0) and not path.exists(), point
        leaf = told.read_bytes() if told.exists() else parse_request(carried.read_bytes()).entries[0].leaf()
        assert ministry.machine.check(leaf) == "accepted", point
        assert not any(CANARY.encode() in one.read_bytes() for one in path.parent.rglob("*") if one.is_file())
    assert 20 < point < MOST_POINTS - 1


def test_what_is_handed_in_is_all_that_is_left(ministry: Ministry, tmp_path: Path) -> None:
    with opened(ministry, path_of(ministry)) as terminal:
        terminal.sync()
    told = tmp_path / "told"
    assert run_once(ministry, told, 0) and decode_entry_leaf(told.read_bytes()).entry.kind == "terminal-retired"
    assert sorted(told.with_suffix(".keys").read_text().split()) == ["config.toml", "lock", STATEMENT]


def opens(path: Path) -> bool:
    try:
        open_keystore(path.read_bytes(), PASSPHRASE)
    except DutabartaError:
        return False
    return True
