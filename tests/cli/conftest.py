"""The command line in this process, before a ministry in memory."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.commands import Commands
from support.ministry import PASSPHRASE, Ministry


@pytest.fixture
def ministry(tmp_path_factory: pytest.TempPathFactory) -> Ministry:
    """DHA (headquarters), DEL and WAS, two supervisors each, founded just now."""
    return Ministry(tmp_path_factory.mktemp("ministry"), ("DHA", "DEL", "WAS"), int(time.time()))


@pytest.fixture
def dutabarta(
    ministry: Ministry, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Commands:
    """The command line, whose node client is the ministry's."""
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_bytes(PASSPHRASE + b"\n")
    monkeypatch.setenv("DUTABARTA_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.setenv("DUTABARTA_LANG", "en")
    monkeypatch.delenv("DUTABARTA_DEBUG", raising=False)
    monkeypatch.setattr("terminal.terminal.NodeClient", ministry.connect)
    return Commands(ministry, tmp_path, capsys, monkeypatch)
