"""What a node's memory grows by: ten thousand cables in its queue, and an attachment of 500 MB that it hands on.

Two real nodes; the kernel's figures (proc(5)). The peak of a process is read after its mark has been set back.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row
from benchmarks.posts import HEADQUARTERS, MISSION, PASSPHRASE, TwoPosts
from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from terminal.compose import Composition

QUEUED = 10_000
ATTACHMENT_BYTES = 500_000_000
BODY_SECONDS = 900.0
MB = 1_000_000


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, TwoPosts(Path(folder)) as posts:
        posts.wait()
        yield from _attachment(posts, Path(folder))
        yield from _queue(posts)


def _attachment(posts: TwoPosts, folder: Path) -> Iterator[Row]:
    file, passphrase = folder / "attachment", folder / "passphrase"
    with file.open("wb") as out:
        for _ in range(ATTACHMENT_BYTES // MB):
            out.write(os.urandom(MB))
    passphrase.write_bytes(PASSPHRASE)
    passphrase.chmod(0o600)
    pids = {code: posts.pid(code) for code in (HEADQUARTERS, MISSION)}
    before = {code: _resident(pid) for code, pid in pids.items()}
    for pid in pids.values():
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    started = time.perf_counter()
    _send(posts, file, passphrase)
    handed_in = time.perf_counter()
    posts.wait_empty(MISSION, BODY_SECONDS)
    carried = time.perf_counter()
    terminal = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    for code, role in ((MISSION, "sending"), (HEADQUARTERS, "receiving")):
        yield _row(f"500 MB attachment: {role} node grows by", _peak(pids[code]) - before[code])
    yield _row("  the terminal that seals it, at most", terminal)
    yield Row("  sealed and handed in", handed_in - started, None, "s", "", None)
    yield Row("  carried on, durable at the other node", carried - handed_in, None, "s", "", None)


def _send(posts: TwoPosts, file: Path, passphrase: Path) -> None:
    marking = ("--precedence", "ROUTINE", "--classification", "UNCLASSIFIED", "--subject", "Large")
    place = ("--home", str(posts.home(MISSION)), "--officer", "first", "--passphrase-file", str(passphrase))
    command = ("cable", "send", "--to", HEADQUARTERS, *marking, *place, "--attach", str(file), "-")
    subprocess.run(
        (sys.executable, "-m", "cli.main", *command),
        input=b"See the attachment.\n",
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _queue(posts: TwoPosts) -> Iterator[Row]:
    """HQ is away; the mission's officer goes on writing."""
    posts.stop(HEADQUARTERS)
    pid = posts.pid(MISSION)
    before = _resident(pid)
    composition = Composition((HEADQUARTERS,), Precedence.ROUTINE, Clearance.UNCLASSIFIED, "bench", "x" * 1000)
    with posts.terminal() as terminal:
        for _ in range(QUEUED):
            terminal.send(composition, accept_stale=True)
    yield _row(f"{QUEUED:,} cables queued at a node: it grows by", _resident(pid) - before)


def _row(name: str, size: int) -> Row:
    return Row(name, size / MB, None, "MB", "", None)


def _resident(pid: int) -> int:
    return _status(pid, "VmRSS")


def _peak(pid: int) -> int:
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"(?m)^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0
