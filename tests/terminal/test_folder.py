"""The folder's files: whole or not at all, private, and refused by name when they are not what they should be."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import DutabartaError, Unavailable
from terminal import folder as folder_module
from terminal.files import write_private
from terminal.folder import Config, Folder
from terminal.keyring import EpochSeed, Keyring

CONFIG = Config("ab" * 32, "DHA", "cd" * 16, 'রহিমা "x"\\\n', "127.0.0.1:7000", "ef" * 32, True)


def make(path: Path) -> Folder:
    return Folder.create(path / "T", CONFIG, Keyring.generate(), b"secret")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    keyring = Keyring.generate().with_prekey(EpochSeed(1, bytes(32), 5, b"h" * 32))
    folder = Folder.create(tmp_path / "T", CONFIG, keyring, b"secret")
    assert folder.load_config() == CONFIG
    assert folder.load_keyring(b"secret") == keyring


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_name_survives_the_configuration(name: str) -> None:
    import tomllib

    assert Config(**tomllib.loads(replace(CONFIG, officer_name=name).to_toml())).officer_name == name


def test_every_file_is_private(tmp_path: Path) -> None:
    folder = make(tmp_path)
    folder.save_policy("x")
    folder.save_seen(b"note")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.path.iterdir()} == {0o600}


def test_a_terminal_is_made_once(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DutabartaError) as problem:
        make(tmp_path)
    assert problem.value.code == "terminal-exists"


def test_a_folder_without_its_configuration_is_no_terminal(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder.path / "config.toml").unlink()
    with pytest.raises(Unavailable) as problem:
        Folder.existing(folder.path)
    assert problem.value.code == "no-terminal"
    make(tmp_path)


def test_two_processes_do_not_share_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.1)
    folder = make(tmp_path)
    with folder.locked(), pytest.raises(Unavailable) as problem, folder.locked():
        pass
    assert problem.value.code == "terminal-busy"
    with folder.locked():
        pass


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("terminal.files.os.fsync", full)
    with pytest.raises(Unavailable) as problem:
        write_private(path, b"new")
    assert problem.value.code == "disk-failed" and path.read_bytes() == b"old"


def test_a_keyring_never_shows_its_secrets() -> None:
    keyring = Keyring.generate().with_prekey(EpochSeed(1, b"s" * 32, 5, b"h" * 32))
    shown = repr(keyring)
    assert all(repr(one) not in shown for one in (keyring.officer, keyring.terminal, keyring.store_key, b"s" * 32))


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\xff", b"\x80", Keyring.generate().encode()[:-1]])
def test_what_is_no_keyring_is_refused(data: bytes) -> None:
    with pytest.raises(DutabartaError) as problem:
        Keyring.decode(data)
    assert problem.value.code == "keystore-content"
