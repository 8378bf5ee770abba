"""A FLASH overtakes a 5 MB attachment on a line of 64 kbit/s; the attachment resumes where it was, whatever is cut."""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from datetime import datetime
from pathlib import Path

import pytest

from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from node.config import DATABASE_FILE, node_folder
from support.posts import eventually
from support.processes import dutabarta
from terminal.compose import Composition
from terminal.terminal import Terminal, open_terminal
from testnet.lines import Shape
from testnet.network import Testnet

pytestmark = pytest.mark.xdist_group("network")
HERE, THERE = "ALG", "CAI"
THIN = Shape(kbit=64, delay_ms=600, loss_percent=5)
ATTACHED = 5_000_000
FRAMES_IN_FLIGHT = 3 * 8192
STARTS_SECONDS = 3.0
WAIT_SECONDS = 240.0
OFFICERS = ("drafter", "releaser")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    folder = tmp_path_factory.mktemp("t") / "net"
    up = dutabarta("testnet", "up", "--posts", "3", "--validators", "1", "--dir", folder)
    assert up.code == 0, up.err
    found = Testnet(folder)
    try:
        for name in OFFICERS:
            passphrase = {"DUTABARTA_PASSPHRASE_FILE": str(found.passphrase_file)}
            options = ("--role", name, "--clearance", "SECRET", "--home", found.home(HERE))
            enrolled = dutabarta("officer", "enrol", name, *options, environment=passphrase)
            assert enrolled.code == 0, enrolled.err
        yield found
    finally:
        found.down()


def test_a_flash_starts_within_three_seconds_and_the_attachment_resumes(net: Testnet, tmp_path: Path) -> None:
    attachment = tmp_path / "annex"
    attachment.write_bytes(secrets.token_bytes(ATTACHED))
    with _officer(net, HERE, "drafter") as drafter, _officer(net, HERE, "releaser") as releaser:
        for one in (drafter, releaser):
            one.sync()
        net.link(HERE, THIN)
        flash = drafter.draft(_cable(Precedence.FLASH, "flash")).cable_id
        eventually(lambda: releaser.sync() is not None and _has(releaser, flash), WAIT_SECONDS)
        before = _received_bytes(net)
        with _officer(net, HERE, "supervisor-1") as first:
            first.send(_cable(Precedence.ROUTINE, "annex", attachment))
        eventually(lambda: _stored(net) > 4 * 8192, WAIT_SECONDS)
        released_at = time.time()
        releaser.release(flash)
        handed_in = time.time()
    eventually(lambda: _has_come(net), WAIT_SECONDS)
    started, arrived = _moment(net, HERE, f"FLASH goes to {THERE}"), _moment(net, THERE, "FLASH has come")
    print(
        f"released in {handed_in - released_at:.2f} s; first frame {started - handed_in:.2f} s after, "
        f"stored at {THERE} {arrived - handed_in:.2f} s after"
    )
    assert started - handed_in <= STARTS_SECONDS

    net.cut([HERE], [THERE])
    time.sleep(2.0)
    net.heal()
    stored = _stored(net)
    eventually(lambda: _stored(net) > stored, WAIT_SECONDS)
    for code in (THERE, HERE):
        stored = _stored(net)
        net.kill(code)
        net.start(code)
        assert _stored(net) >= stored
        eventually(lambda least=stored: _stored(net) > least, WAIT_SECONDS)  # type: ignore[misc]
    net.link(HERE, Shape())
    eventually(lambda: _whole(net) == 2, WAIT_SECONDS)
    spent, whole = _received_bytes(net) - before, _stored(net)
    print(f"{spent} bytes on the line for {whole} of bodies")
    assert spent <= whole * 1.05 + 3 * FRAMES_IN_FLIGHT + 100_000


def _officer(net: Testnet, code: str, name: str) -> AbstractContextManager[Terminal]:
    return open_terminal(net.home(code) / "terminals" / name, net.passphrase_file.read_bytes().strip())


def _cable(precedence: Precedence, subject: str, *files: Path) -> Composition:
    return Composition((THERE,), precedence, Clearance.UNCLASSIFIED, subject, "Text.", files=files)


def _has(terminal: Terminal, cable_id: bytes) -> bool:
    return any(one.cable_id == cable_id for one in terminal.cables())


def _received_bytes(net: Testnet) -> int:
    found: int = net.relay.state()["received_bytes"].get(THERE, 0)
    return found


def _ask(net: Testnet, query: str) -> int:
    path = node_folder(net.home(THERE)) / DATABASE_FILE
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as store:
        found: int = store.execute(query).fetchone()[0] or 0
    return found


def _stored(net: Testnet) -> int:
    """Bytes of bodies that are durable at the addressee's node."""
    return _ask(net, "SELECT sum(length) FROM body_parts")


def _whole(net: Testnet) -> int:
    return _ask(net, "SELECT count(*) FROM bodies WHERE whole")


def _has_come(net: Testnet) -> bool:
    return "FLASH has come" in net.log(THERE).read_text()


def _moment(net: Testnet, code: str, what: str) -> float:
    """When a node has said so first (POSIX seconds)."""
    found = re.search(rf"^([0-9-]+ [0-9:]+),([0-9]+) .*{what}", net.log(code).read_text(), re.MULTILINE)
    assert found is not None
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").timestamp() + int(found[2]) / 1000
